"""Refused messages once more: today's decoder, guard and store, at the time of their first arrival."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.group import Group
from hub.rejects import ReplayOutcome
from wire.errors import Reason

if TYPE_CHECKING:
    import asyncio

    from hub.intake import Intake
    from hub.rejects import Reject
    from hub.store.base import Store


class _Again(msgspec.Struct, frozen=True):
    """A message as the intake wants it; it has no packet to acknowledge."""

    topic: str
    payload: bytes
    retain: bool
    packet_id: None = None


class Replay:
    """Decodes and stores rejects; nothing is counted again, for they were counted when they arrived.

    Args:
        intake: the pipeline's own, so that types of series are the same.
        store: the pipeline's own.
        writing: held by whoever writes to the store.
    """

    def __init__(self, intake: Intake, store: Store, writing: asyncio.Lock) -> None:
        self._intake = intake
        self._store = store
        self._writing = writing

    async def __call__(self, reject: Reject) -> ReplayOutcome:
        """Store what can be stored of it now.

        Raises:
            StoreUnavailable: try again later.
        """
        group = Group()
        message = _Again(reject.topic, reject.payload, reject.retain)
        self._intake.decode((message,), group, arrival_ns=reject.arrival_ns)
        if group.controls:
            return ReplayOutcome(reject.reason, "a control message of the past is not acted upon")
        refused = [(found.reason, found.detail) for found in group.rejects]
        stored = False
        if group.points:
            async with self._writing:
                result = await self._store.write(group.points)
            refused += [(Reason.STORE_REFUSED, found.reason) for found in result.rejected]
            stored = len([found for found in result.rejected if found.whole]) < len(group.points)
        if not refused:
            return ReplayOutcome()
        return ReplayOutcome(refused[0][0], "; ".join(detail for _, detail in refused), partial=stored)
