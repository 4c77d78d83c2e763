"""Points that the database refused when they were replayed from a spool, kept as rejects.

Their messages were acknowledged and counted as stored when they were spooled, and the bytes are gone. So each point
becomes the message that would give it again: the payload of the contract, on the topic of its node and measurement.

The ledger moves messages from stored to refused. Which points came in one message is forgotten by then, so that each
counts as one: exact but for arrays, of which too many are moved, yet never more than the node has stored; the points
beyond that count as values. Whatever is moved leaves one sum as it enters the other: received = stored + refused holds.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from hub.ledger import Settled
from hub.rejects import Reject
from wire.errors import Reason, TopicError
from wire.point import LOG_MEASUREMENT, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hub.ledger import Ledger
    from hub.rejects import Rejects
    from hub.store.base import Rejected
    from wire.point import Point
    from wire.topics import Topics

_MESSAGE = "message"


class RefusedLater:
    """Called with what a store refused at replay; see :data:`hub.store.spooled.OnRefused`.

    After a ``kill -9`` between this and the next step of the replay, the same points are kept and counted twice.

    Args:
        ledger: None where another store may hold what this one refused.
    """

    def __init__(
        self, rejects: Rejects, ledger: Ledger | None, topics: Topics, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._rejects = rejects
        self._ledger = ledger
        self._topics = topics
        self._clock_ns = clock_ns
        #: Kept, and not counted yet: the call for them is made again.
        self._kept: Sequence[tuple[Point, Rejected]] | None = None

    async def __call__(self, refused: Sequence[tuple[Point, Rejected]]) -> None:
        """Keep them.

        Raises:
            StateUnavailable: not all is done; call again with the same object.
        """
        now_ns = self._clock_ns()
        if refused is not self._kept:
            await self._rejects.keep([self._reject(point, rejected, now_ns) for point, rejected in refused])
            self._kept = refused
        if self._ledger is not None:
            await self._ledger.settle(_moved(refused, now_ns, self._ledger))
        self._kept = None

    def _reject(self, point: Point, rejected: Rejected, now_ns: int) -> Reject:
        return Reject(
            self._topic(point),
            payload(point),
            now_ns,
            Reason.STORE_REFUSED,
            rejected.reason,
            point.key.node,
            retain=False,
            partial=not rejected.whole,
        )

    def _topic(self, point: Point) -> str:
        node, measurement = point.key.node, point.key.measurement
        try:
            return (
                self._topics.log(node) if measurement == LOG_MEASUREMENT else self._topics.telemetry(node, measurement)
            )
        except TopicError:  # from a foreign topic, whose measurement no topic of ours can name
            return self._topics.telemetry(node, "unnamed")


def _moved(refused: Sequence[tuple[Point, Rejected]], now_ns: int, ledger: Ledger) -> Settled:
    """What was counted as stored and is refused after all."""
    points = Counter(point.key.node for point, _ in refused)
    whole = Counter(point.key.node for point, rejected in refused if rejected.whole)
    for node in whole:
        whole[node] = min(whole[node], sum(row.stored for row in ledger.rows(node)))
    partly = points - whole
    return Settled(
        arrival_ns=now_ns,
        received=Counter(),
        stored=Counter({node: -count for node, count in whole.items()}),
        duplicate=Counter(),
        handled=Counter(),
        refused=Counter({(node, Reason.STORE_REFUSED): count for node, count in whole.items()}),
        values_refused=Counter({(node, Reason.STORE_REFUSED): count for node, count in partly.items()}),
        sequences=[],
    )


def payload(point: Point) -> bytes:
    """The message that gives this point again."""
    tags = dict(point.key.tags)
    made: dict[str, Any] = {"ts": _iso(point.ts_ns)}
    if point.key.measurement == LOG_MEASUREMENT:
        own = {name: value for name, value in point.fields.items() if name != _MESSAGE}
        made |= {**tags, _MESSAGE: point.fields.get(_MESSAGE, ""), "fields": own}
    else:
        made["values"] = point.fields
        if tags:
            made["tags"] = tags
    if point.seq is not None:
        made["seq"] = point.seq
    return msgspec.json.encode(made)


def _iso(ts_ns: int) -> str:
    seconds, ns = divmod(ts_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns:09d}Z"
