"""Sends what waits in an outbox, in order, as fast as the broker acknowledges, and reads what the broker says.

0x00        delivered
0x10        nobody subscribes (no hub): stays, tried again at growing intervals
0x87, 0x95… the same for ever: set aside with a word
no answer   the connection went: sent again on the next one
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final

from wire.backoff import Backoff, Outage
from wire.errors import OutboxError, SessionDown

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
        session.on_connected = self._connected

    async def run(self) -> None:
        """Send for ever."""
        while True:
            await self._session.connected.wait()
            self._outbox.changed.clear()
            settled, kept = await self.send_pending()
            if kept and self._session.connected.is_set():
                await asyncio.sleep(self._retry.next_s())
            elif not settled:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._outbox.next_s()):
                        await self._outbox.changed.wait()

    async def drain(self, timeout_s: float) -> bool:
        """Send what is due, as long as it gets through; whether all of it did."""
        settled, kept = 1, 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                with contextlib.suppress(OutboxError):  # it has said so itself
                    await self._outbox.flush()
                while settled and self._session.connected.is_set():
                    settled, kept = await self.send_pending()
        return not settled and not kept

    async def send_pending(self) -> tuple[int, int]:
        """Send one window of messages; how many were settled, and how many the broker did not take this time."""
        entries = await self._outbox.pending(self._window)
        if not entries:
            return 0, 0
        answers = await asyncio.gather(*(self._send(entry) for entry in entries))
        delivered, refused, kept, unheard = [], [], [], 0
        for entry, answer in zip(entries, answers, strict=True):
            if answer is not None and answer.delivered:
                delivered.append(entry)
            elif answer is not None and answer.permanent:
                refused.append(entry)
                _LOG.error("message %d on %s set aside: the broker says %s", entry.seq, entry.topic, answer)
            else:
                kept.append(entry)
                unheard += answer is not None and answer.nobody_subscribed
        self._outbox.settled(delivered, refused, kept)
        self.refused += len(refused)
        if unheard:
            self._tell_unheard()
        if delivered:
            self._retry.reset()
            if not unheard:
                self._unheard.back(time.monotonic())
            self._on_delivered()
        return len(delivered) + len(refused), len(kept)

    async def _send(self, entry: Entry) -> PubAck | None:
        try:
            return await self._session.publish(entry.topic, entry.payload)
        except SessionDown:
            return None

    def _connected(self) -> None:
        self._outbox.rewind()
        self._outbox.changed.set()

    def _tell_unheard(self) -> None:
        if self._unheard.lost(time.monotonic(), "unheard"):
            _LOG.warning(
                "no hub subscribes to what node %s publishes; %d messages wait",
                self._session.options.node,
                self._outbox.waiting,
            )
