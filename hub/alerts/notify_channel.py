"""One channel at work: sends what waits, one message at a time, and tries again what failed.

    put ─▶ queue ─▶ take ─▶ sender ─┬─▶ sent ──────────────────────────▶ settled
              ▲                     └─▶ failed ─▶ back-off ─▶ (given up) ─▶ settled
              └──────────────────────────────────────┘

Each channel has a task and a thread of its own, so that one that hangs holds up no other, nor the hub.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Never

import structlog

from hub.alerts.notify_model import Occasion
from hub.alerts.notify_queue import Message, Queue, RetryLimits, give_up
from hub.alerts.notify_send import Sender, SendFailed
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: What is being sent when the hub stops may still arrive, and is then not sent again after the start.
_LAST_S: Final = 2.0

_log: Final = structlog.get_logger("hub.notify")


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """How a channel is, for people and for metrics."""

    name: str
    #: E.g. ``E-Mail via mail.example.org``; empty where its address cannot be read or understood.
    service: str
    waiting: int
    sent: int
    #: Tries that failed.
    failures: int
    #: Messages that failed for good.
    given_up: int
    last_sent_ns: int | None
    #: Since when it has taken nothing; None while it works.
    failing_since_ns: int | None
    #: Why the last try failed; empty while it works.
    error: str


class Channel:
    """Sends to one channel.

    Args:
        name: of the settings.
        sender: what it sends by.
        limits: how patient it is.
        clock_ns: wall clock.
        settled: called whenever something became of a message: sent, failed once more, given up.
    """

    def __init__(
        self,
        name: str,
        sender: Sender,
        limits: RetryLimits,
        *,
        clock_ns: Callable[[], int],
        settled: Callable[[Message], None],
    ) -> None:
        self.name = name
        self._sender = sender
        self._queue = Queue(limits)
        self._clock_ns = clock_ns
        self._settled = settled
        self._woken = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._sent = self._failures = self._given_up = 0
        self._last_sent_ns: int | None = None

    def waits_with(self, alert: int) -> bool:
        """Whether a message about this alert was not taken yet."""
        return self._queue.is_about(alert)

    def put(self, messages: Iterable[Message]) -> None:
        """Queue messages; never blocks. What has to go for them is settled as failed."""
        for gone in self._queue.put(messages, self._clock_ns()):
            self._give_up(gone)
        self._woken.set()

    async def run(self) -> Never:
        """Send what waits, until it is cancelled."""
        while True:
            message = self._queue.take(self._clock_ns())
            if message is not None:
                await self._send(message)
                continue
            next_ns = self._queue.next_ns()
            wait_s = max(0.0, (next_ns - self._clock_ns()) / NS_PER_S) if next_ns is not None else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()
            self._woken.clear()

    async def test(self, message: Message) -> None:
        """Send ``message`` now, past the queue, and once only.

        Raises:
            SendFailed: the channel did not take it.
        """
        try:
            async with self._one_at_a_time:
                await self._say(message)
        except SendFailed as error:
            give_up(message, str(error), self._clock_ns())
            self._settled(message)
            raise
        self._succeeded(message)
        self._woken.set()  # it works: what waits need wait no longer

    def status(self) -> ChannelStatus:
        return ChannelStatus(
            name=self.name,
            service=self._sender.service,
            waiting=len(self._queue),
            sent=self._sent,
            failures=self._failures,
            given_up=self._given_up,
            last_sent_ns=self._last_sent_ns,
            failing_since_ns=self._queue.failing_since_ns,
            error=self._queue.error,
        )

    # -- private ------------------------------------------------------------------------------------------------------

    async def _send(self, message: Message) -> None:
        async with self._one_at_a_time:
            saying = asyncio.ensure_future(self._say(message))
            try:
                await asyncio.shield(saying)
            except SendFailed as error:
                self._failed(message, str(error))
            except asyncio.CancelledError:
                await self._last(saying, message)
                raise
            else:
                self._succeeded(message)

    async def _last(self, saying: asyncio.Future[None], message: Message) -> None:
        """The hub stops: give what is on its way a moment to arrive."""
        with contextlib.suppress(TimeoutError, SendFailed):
            async with asyncio.timeout(_LAST_S):
                await saying
            self._succeeded(message)

    async def _say(self, message: Message) -> None:
        resolved = message.occasion is Occasion.RESOLVED
        await self._sender.send(message.title, message.body, message.severity, resolved=resolved)

    def _succeeded(self, message: Message) -> None:
        if self._queue.failing_since_ns is not None:
            for_s = (self._clock_ns() - self._queue.failing_since_ns) / NS_PER_S
            _log.info("the channel takes notifications again", channel=self.name, after_s=round(for_s, 1))
        self._last_sent_ns = self._clock_ns()
        self._sent += 1
        self._queue.succeeded(message, self._last_sent_ns)
        self._settled(message)

    def _failed(self, message: Message, why: str) -> None:
        self._failures += 1
        if self._queue.failed(message, why, self._clock_ns()):
            self._give_up(message)
            return
        next_ns = self._queue.next_ns() or self._clock_ns()
        _log.warning(
            "a notification failed, trying again",
            channel=self.name,
            why=why,
            notification=message.id,
            failures=message.failures,
            waiting=len(self._queue),
            again_in_s=round((next_ns - self._clock_ns()) / NS_PER_S, 1),
        )
        self._settled(message)

    def _give_up(self, message: Message) -> None:
        self._given_up += 1
        _log.error(
            "a notification is given up: nobody was told",
            channel=self.name,
            why=message.error,
            notification=message.id,
            title=message.title,
        )
        self._settled(message)
