"""Sends what waits in an outbox, in order, as fast as the broker acknowledges, and reads what the broker says.

0x00        delivered
0x10        nobody subscribes (no hub): stays, tried again at growing intervals
0x87, 0x95… the same for ever: set aside with a word
no answer   the connection went: sent again on the next one
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from wire.backoff import Backoff, Outage
from wire.errors import SessionDown

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.outgoing import Entry, Outbox
    from wire.packets import PubAck
    from wire.session import NodeSession

_LOG: Final = logging.getLogger(__name__)


class Delivery:
    """Runs between one outbox and one session.

    Args:
        window: Messages sent before the first of them must be acknowledged.
        on_delivered: Called after messages got through: the moment to tell what was dropped.
    """

    def __init__(
        self,
        session: NodeSession,
        outbox: Outbox,
        *,
        window: int = 100,
        first_retry_s: float = 1.0,
        longest_retry_s: float = 30.0,
        on_delivered: Callable[[], None] = lambda: None,
    ) -> None:
        self._session = session
        self._outbox = outbox
        self._window = window
        self._retry = Backoff(first_retry_s, longest_retry_s)
        self._on_delivered = on_delivered
        self._unheard = Outage()
        #: Messages that the broker refused for good.
        self.refused = 0

    async def run(self) -> None:
        """Send for ever."""
        while True:
            self._outbox.changed.clear()
            if not self._outbox.waiting:
                await self._outbox.changed.wait()
            await self._session.connected.wait()
            if not await self.send_pending() and self._session.connected.is_set():
                await asyncio.sleep(self._retry.next_s())

    async def drain(self, timeout_s: float) -> bool:
        """Send what waits, as long as it gets through; whether all did."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._session.connected.is_set() and await self.send_pending():
                    pass
        except TimeoutError:
            pass
        return self._outbox.waiting == 0

    async def send_pending(self) -> bool:
        """Send one window of messages; whether any of them was settled, so that more may follow at once."""
        entries = self._outbox.pending(self._window)
        answers = await asyncio.gather(*(self._send(entry) for entry in entries))
        unheard = sum(answer is not None and answer.nobody_subscribed for answer in answers)
        settled = [self._settle(entry, answer) for entry, answer in zip(entries, answers, strict=True) if answer]
        if unheard:
            self._tell_unheard()
        if any(settled):
            self._retry.reset()
            if not unheard:
                self._unheard.back(time.monotonic())
            self._on_delivered()
        return any(settled)

    async def _send(self, entry: Entry) -> PubAck | None:
        try:
            return await self._session.publish(entry.topic, entry.payload)
        except SessionDown:
            return None

    def _settle(self, entry: Entry, answer: PubAck) -> bool:
        if answer.delivered:
            self._outbox.delivered(entry.seq)
        elif answer.permanent:
            self.refused += 1
            self._outbox.refused(entry.seq)
            _LOG.error("message %d on %s set aside: the broker says %s", entry.seq, entry.topic, answer)
        else:
            return False
        return True

    def _tell_unheard(self) -> None:
        if self._unheard.lost(time.monotonic(), "unheard"):
            _LOG.warning(
                "no hub subscribes to what node %s publishes; %d messages wait",
                self._session.options.node,
                self._outbox.waiting,
            )
