"""The alerts of this hub: what the engine says comes in, people act on them, the clerk writes it all down.

    engine ──▶ apply ─┐                           ┌─▶ clerk ─▶ registry, topics, points, live, notifications
    people ──▶ acknowledge, assign, comment ──▶ Lifecycle
           ──▶ silence, unsilence ──▶ registry, then the topics that it covers

An action returns once it is in the registry; while that cannot be written it holds in memory all the same, and the
caller is told (``RegistryError``).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog
from msgspec.structs import replace

from hub.alerts.lifecycle import Lifecycle, NoSuchAlert
from hub.alerts.model import Alert, Silence, silence_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hub.alerts.book import AlertBook, Kept
    from hub.alerts.clerk import Clerk
    from hub.alerts.model import AlertChange
    from hub.rules.events import RuleEvent, Severity

#: Longest remark.
MAX_WHY: Final = 2000

_log = structlog.get_logger("hub.alerts")


class NoSuchSilence(Exception):  # noqa: N818  the name says what the caller is told
    """There is no silence of that number that still holds."""


class Silences:
    """Silences that hold or will hold, in memory."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self._silences: dict[int, Silence] = {}

    def restore(self, silences: Iterable[Silence]) -> None:
        now_ns = self._clock_ns()
        self._silences = {each.id: each for each in silences if each.ends_ns > now_ns and each.lifted_ns is None}

    def add(self, silence: Silence) -> None:
        self._silences[silence.id] = silence

    def get(self, number: int) -> Silence | None:
        return self._silences.get(number)

    def drop(self, number: int) -> None:
        self._silences.pop(number, None)

    def of(self, alert: Alert) -> Silence | None:
        """The silence over an alert now."""
        return silence_of(self._silences.values(), alert, self._clock_ns()) if self._silences else None

    def until_ns(self, alert: Alert) -> int | None:
        """When the silence over an alert ends."""
        found = self.of(alert)
        return found.ends_ns if found is not None else None

    def turned(self, before_ns: int, now_ns: int) -> list[Silence]:
        """Those that began or ended since ``before_ns``; what has ended is forgotten."""
        found = [
            each for each in self._silences.values() if before_ns < each.starts_ns <= now_ns or each.ends_ns <= now_ns
        ]
        for each in found:
            if each.ends_ns <= now_ns:
                del self._silences[each.id]
        return found


class Desk:
    """What the rest of the hub knows of alerts.

    Args:
        lifecycle: the pending and open ones.
        book: the registry's part; also for lists and histories.
        clerk: writes down what changes.
        silences: what holds now; the notifications ask it too.
        clock_ns: wall clock.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        book: AlertBook,
        clerk: Clerk,
        silences: Silences,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._life = lifecycle
        self.book = book
        self._clerk = clerk
        self.silences = silences
        self._clock_ns = clock_ns
        self._ticked_ns = clock_ns()
        #: Called when other silences hold than before: notifications.
        self.on_silence: Callable[[], None] = lambda: None

    # -- from the engine ----------------------------------------------------------------------------------------------

    async def restore(self, kept: Kept) -> None:
        """Begin with what the registry kept.

        Raises:
            RegistryError: it does not answer.
        """
        self.silences.restore(await self.book.silences())
        self._life.restore(kept.open, kept.fired)
        self._life.next_id = max(self._life.next_id, kept.next_id)
        self._clerk.restore(kept)

    def apply(self, events: Iterable[RuleEvent]) -> None:
        """Take what the engine says; quick, never waits."""
        for event in events:
            self._clerk.note(self._life.apply(event))

    def tick(self, now_ns: int) -> None:
        """What time alone brings about; once a second or so."""
        self._clerk.note(self._life.tick(now_ns))
        for silence in self.silences.turned(self._ticked_ns, now_ns):
            self._repeat(silence)
        self._ticked_ns = now_ns
        self._clerk.forget_ended(now_ns)

    # -- what there is ------------------------------------------------------------------------------------------------

    @property
    def now(self) -> list[Alert]:
        """Pending and open alerts, in no order."""
        return list(self._life.alerts)

    def count(self, severity: Severity) -> int:
        """How many alerts of this severity are open."""
        return sum(alert.state.open and alert.severity is severity for alert in self._life.alerts)

    async def alert(self, alert_id: int) -> Alert | None:
        """Any alert, pending to resolved."""
        return self._life.get(alert_id) or await self.book.alert(alert_id)

    # -- from people --------------------------------------------------------------------------------------------------

    async def acknowledge(self, alert_id: int, *, by: str, why: str = "") -> Alert:
        """Say that ``by`` knows.

        Raises:
            NoSuchAlert: or it is resolved.
            NotNow: it has not fired yet.
            RegistryError: see above.
        """
        return await self._done(
            alert_id, self._life.acknowledge(alert_id, by=by, why=why[:MAX_WHY], now_ns=self._clock_ns())
        )

    async def assign(self, alert_id: int, assignee: str | None, *, by: str, why: str = "") -> Alert:
        """Make it somebody's, or nobody's.

        Raises:
            NoSuchAlert: or it is resolved.
            RegistryError: see above.
        """
        changes = self._life.assign(alert_id, assignee, by=by, why=why[:MAX_WHY], now_ns=self._clock_ns())
        return await self._done(alert_id, changes)

    async def comment(self, alert_id: int, *, by: str, why: str) -> Alert:
        """Add a remark, also to an alert that is over.

        Raises:
            NoSuchAlert: there never was one of that number.
            RegistryError: see above.
        """
        now_ns, why = self._clock_ns(), why[:MAX_WHY]
        if self._life.get(alert_id) is not None:
            return await self._done(alert_id, self._life.comment(alert_id, by=by, why=why, now_ns=now_ns))
        over = await self.book.alert(alert_id)
        if over is None or not await self.book.comment(alert_id, by=by, why=why, now_ns=now_ns):
            raise NoSuchAlert(f"there is no alert {alert_id}")
        return over

    async def silence(
        self, *, rule: str, node: str, ends_ns: int, by: str, why: str, starts_ns: int | None = None
    ) -> Silence:
        """Keep alerts of these rules on these nodes (globs) from notifying anybody until ``ends_ns``.

        Raises:
            RegistryError: it does not hold.
        """
        now_ns = self._clock_ns()
        wanted = Silence(
            id=0,
            rule=rule,
            node=node,
            starts_ns=starts_ns if starts_ns is not None else now_ns,
            ends_ns=ends_ns,
            by=by,
            why=why[:MAX_WHY],
            created_ns=now_ns,
        )
        silence = await self.book.add_silence(wanted)
        self.silences.add(silence)
        _log.info("silence", number=silence.id, rule=rule, node=node, by=by)
        self._repeat(silence)
        return silence

    async def unsilence(self, number: int, *, by: str) -> Silence:
        """End a silence now.

        Raises:
            NoSuchSilence: or it has ended.
            RegistryError: it still holds.
        """
        silence = self.silences.get(number)
        if silence is None:
            raise NoSuchSilence(f"there is no silence {number} that still holds")
        now_ns = self._clock_ns()
        await self.book.lift(number, now_ns)
        self.silences.drop(number)
        _log.info("silence lifted", number=number, by=by)
        self._repeat(silence)
        return replace(silence, lifted_ns=now_ns)

    # -- private ------------------------------------------------------------------------------------------------------

    async def _done(self, alert_id: int, changes: list[AlertChange]) -> Alert:
        self._clerk.note(changes)
        alert = self._life.get(alert_id)
        if alert is None:
            raise NoSuchAlert(f"there is no open alert {alert_id}")
        await self._clerk.written()
        return alert

    def _repeat(self, silence: Silence) -> None:
        """Say the states again that it covers: they show until when they are silenced."""
        now_ns = max(silence.starts_ns, min(self._clock_ns(), silence.ends_ns - 1))
        self._clerk.repeat(
            (alert.rule, alert.node)
            for alert in self._life.alerts
            if alert.state.open and silence.covers(alert.rule, alert.node, now_ns)
        )
        self.on_silence()
