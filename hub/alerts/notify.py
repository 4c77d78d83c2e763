"""Notifications: alerts and the clock go in, people are told.

    changed ─▶ planner ─▶ due ─▶ message ─▶ registry ─▶ channel ─▶ apprise
    clock ────────┘                            ▲           │ sent, failed
                                               └───────────┘

A message is written to the registry before it is sent, together with the knowledge that it is told; what a crash
leaves queued is sent after the restart. A message may thus arrive twice, with the same number, and none is forgotten.
While the registry cannot be written (a full disk is worth an alert, too) messages are sent all the same, and written
later.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Final, Never

import structlog

from hub.alerts.notify_channel import Channel, ChannelStatus
from hub.alerts.notify_model import Due, Occasion, Plan
from hub.alerts.notify_plan import Planner
from hub.alerts.notify_queue import Message, RetryLimits, give_up
from hub.alerts.notify_records import NotificationBook, Writes
from hub.alerts.notify_route import DIRECT, Routes
from hub.alerts.notify_send import AppriseSender, Sender
from hub.alerts.notify_text import compose
from hub.alerts.notify_times import parse_zone
from hub.nodes.database import Database, RegistryError
from hub.rules.events import Severity
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from hub.alerts.model import Alert, AlertChange
    from hub.config_notify import ChannelSettings, NotifySettings
    from hub.metrics import Metrics

_SAVE_AGAIN_S: Final = 5.0
_LAST_SAVE_S: Final = 5.0

_log: Final = structlog.get_logger("hub.notify")


class NoSuchChannel(Exception):  # noqa: N818  the name says what the caller is told
    """The settings have no channel of that name; the text lists those that there are."""


class Notifier:
    """Tells people about alerts.

    Args:
        settings: ``[notify]``.
        database: the registry's.
        find: an alert by its number, open or not; None when it is kept no more.
        quiet: whether a silence or a mute schedule keeps an alert quiet at that time.
        groups_of: the groups that a node is in.
        channels_of: the channels that a rule names itself.
        clock_ns: wall clock.
        sender: makes what sends to one channel.
    """

    def __init__(
        self,
        settings: NotifySettings,
        database: Database,
        *,
        find: Callable[[int], Awaitable[Alert | None]],
        quiet: Callable[[Alert, int], bool] = lambda _alert, _now_ns: False,
        groups_of: Callable[[str], Collection[str]] = lambda _node: (),
        channels_of: Callable[[str], Collection[str]] = lambda _rule: (),
        clock_ns: Callable[[], int] = time.time_ns,
        sender: Callable[[ChannelSettings, float], Sender] = AppriseSender,
    ) -> None:
        self.book = NotificationBook(database)
        self._settings = settings
        self._zone = parse_zone(settings.time_zone)
        self._find = find
        self._clock_ns = clock_ns
        self._planner = Planner(
            Routes(settings),
            groups_of=groups_of,
            channels_of=channels_of,
            quiet=quiet,
            waits=lambda channel, alert: self._channels[channel].waits_with(alert),
        )
        limits = RetryLimits.of(settings)
        self._channels = {
            each.name: Channel(
                each.name, sender(each, settings.timeout), limits, clock_ns=clock_ns, settled=self._settled
            )
            for each in settings.channels
        }
        self._writes = Writes()
        #: Why the registry cannot be written; empty while it can.
        self._trouble = ""
        self._woken = asyncio.Event()

    async def restore(self, alerts: Iterable[Alert]) -> None:
        """Go on where the hub stopped; call it once, before ``changed`` and ``run``.

        Args:
            alerts: all that are open.

        Raises:
            RegistryError: it cannot be read.
        """
        now_ns = self._clock_ns()
        kept = await self.book.load()
        known = {alert.id: alert for alert in alerts}
        for told in kept.told:
            if told.alert not in known:
                alert = await self._find(told.alert)
                if alert is None:
                    self._writes.told[told.alert, told.channel] = None
                else:
                    known[alert.id] = alert
        self._planner.restore(known.values(), kept.told, now_ns)
        for message in kept.queued:
            if message.channel in self._channels:
                self._channels[message.channel].put([message])
            else:
                give_up(message, f"the settings have no channel {message.channel!r} any more", now_ns)
                _log.error("a notification is given up: nobody was told", why=message.error, notification=message.id)
                self._writes.messages[message.id] = message

    def changed(self, change: AlertChange) -> None:
        """Take what happened to an alert; never blocks."""
        self._planner.update(change.alert, self._clock_ns())
        self._woken.set()

    def look_again(self) -> None:
        """Consider all alerts anew, at once: silences or rules have changed. Without it a minute may pass."""
        self._planner.look_again(self._clock_ns())
        self._woken.set()

    async def run(self) -> Never:
        """Tell people, until it is cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for channel in self._channels.values():
                    tasks.create_task(channel.run(), name=f"notify {channel.name}")
                while True:
                    await self._step()
        finally:
            await self._last_save()

    def statuses(self) -> list[ChannelStatus]:
        """How each channel is, in the order of the settings."""
        return [channel.status() for channel in self._channels.values()]

    async def test(self, name: str, by: str) -> Message:
        """Send a test message to a channel, once, and return it as it was sent.

        Raises:
            NoSuchChannel: there is none.
            SendFailed: it did not take it; the text says why.
        """
        channel = self._channels.get(name)
        if channel is None:
            there_are = ", ".join(self._channels) or "none: write [[notify.channels]] in the settings"
            raise NoSuchChannel(f"there is no channel {name!r}; there are: {there_are}")
        number = _number()
        lines = [f"{by} tries the channel {name}. Alerts would arrive here.", self._settings.link]
        message = Message(
            id=number,
            channel=name,
            route=DIRECT,
            occasion=Occasion.TEST,
            severity=Severity.INFO,
            title="[TEST] iothub can reach you",
            body="\n".join([*filter(None, lines), f"Notification {number}"]),
            alerts=(),
            created_ns=self._clock_ns(),
        )
        await channel.test(message)
        return message

    async def maintain(self, now_ns: int) -> None:
        """Drop old history; call it every minute or so.

        Raises:
            RegistryError: nothing was dropped.
        """
        await self.book.maintain(now_ns - int(self._settings.history * NS_PER_S))

    def gauges(self, metrics: Metrics) -> None:
        """Add what the channels do to the metrics."""
        figures: dict[str, tuple[str, Callable[[ChannelStatus], float]]] = {
            "iothub_notifications_sent": ("Notifications that their channel took", lambda status: status.sent),
            "iothub_notification_failures": ("Tries that failed", lambda status: status.failures),
            "iothub_notifications_given_up": ("Notifications that reached nobody", lambda status: status.given_up),
            "iothub_notifications_waiting": ("Notifications not taken yet", lambda status: status.waiting),
            "iothub_notify_channel_failing": (
                "1 while a channel takes nothing",
                lambda status: float(status.failing_since_ns is not None),
            ),
        }
        for name, (text, figure) in figures.items():
            metrics.gauge_of_each(
                name, text, "channel", {each: _figure(channel, figure) for each, channel in self._channels.items()}
            )

    # -- private ------------------------------------------------------------------------------------------------------

    async def _step(self) -> None:
        """Do what is due, then wait for the next thing."""
        plan = self._planner.look(self._clock_ns())
        messages = self._take(plan)
        await self._save()
        for message in messages:
            self._channels[message.channel].put([message])
        next_ns = self._planner.next_ns()
        wait_s = max(0.0, (next_ns - self._clock_ns()) / NS_PER_S) if next_ns is not None else None
        if self._writes and self._trouble:
            wait_s = min(_SAVE_AGAIN_S, _SAVE_AGAIN_S if wait_s is None else wait_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):  # wait_for of Python 3.11 may swallow the end
                await self._woken.wait()
        self._woken.clear()

    def _take(self, plan: Plan) -> list[Message]:
        messages = [self._message(due) for due in plan.due]
        self._writes.messages |= {message.id: message for message in messages}
        self._writes.told |= {(told.alert, told.channel): told for told in plan.told}
        self._writes.told |= dict.fromkeys(plan.done)
        return messages

    def _message(self, due: Due) -> Message:
        number, now_ns = _number(), self._clock_ns()
        title, body = compose(due, number, now_ns=now_ns, zone=self._zone, link=self._settings.link)
        return Message(
            id=number,
            channel=due.channel,
            route=due.route,
            occasion=min((item.occasion for item in due.items), key=list(Occasion).index),
            severity=due.items[0].alert.severity,
            title=title,
            body=body,
            alerts=tuple(item.alert.id for item in due.items),
            created_ns=now_ns,
        )

    def _settled(self, message: Message) -> None:
        self._writes.messages[message.id] = message
        self._woken.set()

    async def _save(self) -> None:
        """Write what there is to write; what cannot be written stays for the next time."""
        writes, self._writes = self._writes, Writes()
        if not writes:
            return
        try:
            await self.book.write(writes)
        except asyncio.CancelledError:
            self._put_back(writes)  # nobody knows whether it was written; twice does no harm
            raise
        except RegistryError as error:
            self._put_back(writes)
            if not self._trouble:
                _log.error("notifications are sent, but cannot be written down; trying again", why=str(error))
            self._trouble = str(error)
        else:
            self._trouble = ""

    def _put_back(self, writes: Writes) -> None:
        writes.under(self._writes)
        self._writes = writes

    async def _last_save(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_SAVE_S):
                await self._save()


def _number() -> str:
    return secrets.token_hex(6)


def _figure(channel: Channel, figure: Callable[[ChannelStatus], float]) -> Callable[[], float]:
    return lambda: figure(channel.status())
