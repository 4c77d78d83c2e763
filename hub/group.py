"""A group: the messages that are stored and acknowledged together, and what was found out about each of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hub.ledger import Settled
from hub.rejects import Reject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hub.link import Batch
    from hub.messages import Control, Incoming
    from hub.store.base import WriteResult
    from wire.errors import Reason
    from wire.point import Point


class Group:
    """Columns rather than objects: ``data``, ``nodes`` and ``ends`` have an entry a message, ``points`` one a point."""

    __slots__ = ("batches", "controls", "data", "ends", "first_ns", "nodes", "points", "rejects", "sequences", "values")

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.points: list[Point] = []
        #: Data messages with at least one point to store, their nodes, and where their points end in ``points``.
        self.data: list[Incoming] = []
        self.nodes: list[str] = []
        self.ends: list[int] = []
        self.controls: list[Control] = []
        self.rejects: list[Reject] = []
        #: Single values refused in messages that are stored otherwise.
        self.values: Counter[tuple[str, Reason]] = Counter()
        #: (node, sequence number), (node, session) or (node, (from, to) dropped by the node), in order of arrival.
        self.sequences: list[tuple[str, int | str | tuple[int, int]]] = []
        #: When the oldest message arrived.
        self.first_ns = 0

    @property
    def messages(self) -> int:
        """Number of messages, of all kinds."""
        return sum(len(batch.messages) for batch in self.batches)

    def refuse(
        self,
        message: Incoming,
        node: str | None,
        arrival_ns: int,
        reason: Reason,
        detail: str,
        *,
        partial: bool = False,
    ) -> None:
        """Note a refusal; ``partial`` when the message is stored but for the values that ``detail`` names."""
        self.rejects.append(
            Reject(message.topic, message.payload, arrival_ns, reason, detail, node, message.retain, partial)
        )

    def spans(self) -> Iterator[tuple[Incoming, str, Sequence[Point], int]]:
        """Each data message with its node, its points and the index of the first of them."""
        start = 0
        for message, node, end in zip(self.data, self.nodes, self.ends, strict=True):
            yield message, node, self.points[start:end], start
            start = end

    def duplicates(self, result: WriteResult) -> set[int]:
        """Indices of the data messages all of whose points were stored before."""
        if not result.duplicates:
            return set()
        again = set(result.duplicates)
        found, start = set(), 0
        for i, end in enumerate(self.ends):
            if all(j in again for j in range(start, end)):
                found.add(i)
            start = end
        return found

    def settle(self, duplicates: set[int], lost: set[int]) -> Settled:
        """Count what became of the messages.

        Args:
            duplicates: indices of data messages that were stored before.
            lost: indices of data messages none of whose points the store took; their rejects are in ``rejects``.
        """
        refused = Counter((reject.node or "", reject.reason) for reject in self.rejects if not reject.partial)
        handled = Counter(control.route.node for control in self.controls)
        kept = Counter(self.nodes)
        duplicate = Counter(self.nodes[i] for i in duplicates)
        if lost:
            kept -= Counter(self.nodes[i] for i in lost)
        # No sum and no difference with nothing: each would look at every node.
        received = kept.copy()
        received.update(handled)
        for (node, _), count in refused.items():
            received[node] += count
        if self.batches and (forgotten := self.messages - received.total()):
            received[""] += forgotten  # a defect of ours: what came and was not accounted for shall show
        return Settled(
            arrival_ns=self.first_ns,
            received=received,
            stored=kept - duplicate if duplicate else kept,
            duplicate=duplicate,
            handled=handled,
            refused=refused,
            values_refused=self.values,
            sequences=self.sequences,
        )
