"""The running counts of all nodes, in memory. No I/O.

    Settled ─▶ prepare ─▶ Entry (to the journal) ─▶ apply ─▶ counts      now and then: changes() ─▶ tables ─▶ folded()

``prepare`` changes nothing, so that a group that could not be journaled may be settled again. ``apply`` of the same
entries in the same order gives the same books; that is how they are restored.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from hub.ledger.model import HOUR_NS, Counts, LedgerRow, Sequenced, SessionRow, Settled, Watermark
from hub.ledger.tally import NodeBook, NodeState, Tally
from hub.ledger.tracker import MAX_SEQ
from wire.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Entry(msgspec.Struct, array_like=True):
    """One settled group as the journal holds it."""

    arrival_ns: int
    #: Node, received, stored, duplicate, handled; older journals have every node here, and as the sixth what is in
    #: ``tops`` now.
    nodes: list[tuple[str, int, int, int, int, int | None]]
    #: What followed of a node after the run of numbers in ``tops``, and the sessions that were named, in order.
    odd: list[tuple[str, Sequenced]]
    refused: dict[tuple[str, Reason], int]
    values_refused: dict[tuple[str, Reason], int]
    #: Messages received, stored, duplicate, handled, of all nodes.
    sums: tuple[int, int, int, int]
    #: Nodes all of whose messages were stored: nearly all there are.
    stored: dict[str, int] = {}
    #: The next expected number after the run of numbers in order with which a node's part of the group began.
    tops: dict[str, int] = {}


class Changes(NamedTuple):
    """What happened since :meth:`Books.folded`. Hours are counted from the epoch."""

    #: node, hour, received, stored, duplicate, handled, missing, late, dropped, repeats: to be added.
    hours: list[tuple[str | int, ...]]
    #: node, hour, missing, late, dropped: to be added to the rows of earlier hours that are still kept.
    earlier: list[tuple[str | int, ...]]
    #: node, hour, reason, 1 for messages and 0 for values, how many: to be added.
    refusals: list[tuple[str | int, ...]]
    #: To be replaced.
    nodes: list[tuple[str, NodeState]]


class Books:
    """Counts and sequence numbers of all nodes.

    Args:
        gaps_per_node: ranges of missing numbers that are remembered; the oldest are given up for more.
        sessions_per_node: sessions that are remembered, the current one among them.
        warn: told what people should know: text and facts.
    """

    def __init__(
        self, *, gaps_per_node: int, sessions_per_node: int, warn: Callable[[str, Mapping[str, object]], None]
    ) -> None:
        self._gaps_per_node = gaps_per_node
        self._sessions_per_node = sessions_per_node
        self._warn = warn
        self._nodes: dict[str, NodeBook] = {}
        self._all = Tally()
        # Since the last fold; all of it happened in one hour.
        self._hour = 0
        self._dirty: set[str] = set()
        self._moved: dict[tuple[str, int], list[int]] = {}
        self._refused: Counter[tuple[str, str, bool]] = Counter()

    # -- settling ---------------------------------------------------------------------------------------------------

    def must_fold(self, arrival_ns: int) -> bool:
        """Whether the changes must be folded before an entry of that time is applied."""
        return bool(self._dirty) and arrival_ns // HOUR_NS != self._hour

    def prepare(self, settled: Settled) -> Entry:
        """Work out what to journal. The loop over the numbers is the only thing done for each single message."""
        stored, duplicate, handled = settled.stored, settled.duplicate, settled.handled
        plain: dict[str, int]
        if settled.received == stored:
            plain, others = stored, {**duplicate, **handled}
        else:
            plain = {node: n for node, n in settled.received.items() if stored.get(node) == n}
            others = {node: 0 for each in (settled.received, stored) for node in each if node not in plain}
            others |= {**duplicate, **handled}
        if others:
            plain = {node: n for node, n in plain.items() if node not in others}
        tops, odd = self._runs(settled.sequences)
        return Entry(
            arrival_ns=settled.arrival_ns,
            nodes=[
                (node, settled.received[node], stored[node], duplicate[node], handled[node], None) for node in others
            ],
            odd=odd,
            refused=settled.refused,
            values_refused=settled.values_refused,
            sums=(settled.received.total(), stored.total(), duplicate.total(), handled.total()),
            stored=plain,
            tops=tops,
        )

    def apply(self, entry: Entry) -> None:
        """Count one entry that is durable."""
        self._hour = entry.arrival_ns // HOUR_NS
        nodes = self._nodes
        self._dirty.update(entry.stored)
        for node, stored in entry.stored.items():
            book = nodes.get(node)
            if book is None:
                book = nodes[node] = NodeBook()
            book.received += stored
            book.stored += stored
        for node, received, stored, duplicate, handled, top in entry.nodes:
            book = self._book(node)
            book.grow((received, stored, duplicate, handled))
            if top is not None:
                book.current.top = top  # type: ignore[union-attr]  # a run has a tracker
        self._dirty.update(entry.tops)
        for node, top in entry.tops.items():
            nodes[node].current.top = top  # type: ignore[union-attr]  # a run has a tracker
        self._all.grow(entry.sums)
        self._refuse(entry.refused, whole=True)
        self._refuse(entry.values_refused, whole=False)
        for node, what in entry.odd:
            self._sequence(node, what)

    # -- reading ----------------------------------------------------------------------------------------------------

    def totals(self) -> Counts:
        """All nodes together."""
        return Counts(**self._all.fields())

    def count(self) -> int:
        """How many nodes there are."""
        return len(self._nodes)

    def names(self) -> list[str]:
        """All nodes, sorted."""
        return sorted(self._nodes)

    def row(self, node: str) -> LedgerRow | None:
        """One node."""
        book = self._nodes.get(node)
        return LedgerRow(node=node, **book.fields()) if book is not None else None

    def sessions(self, node: str) -> list[SessionRow]:
        """Sequence numbers of one node; the session that was named last comes first."""
        book = self._nodes.get(node)
        return [tracker.row() for tracker in reversed(book.sessions.values())] if book is not None else []

    def watermark(self, node: str) -> Watermark | None:
        """Of the current session."""
        book = self._nodes.get(node)
        if book is None or book.current is None:
            return None
        return Watermark(book.current.session, book.current.watermark)

    def changed(self) -> int:
        """Nodes with counts that are not folded yet."""
        return len(self._dirty)

    # -- the disk ---------------------------------------------------------------------------------------------------

    def changes(self) -> Changes:
        """What is to be written; :meth:`folded` says that it was."""
        hours: list[tuple[str | int, ...]] = []
        hour = self._hour
        for node in self._dirty:
            book = self._nodes[node]
            grown = (now - before for now, before in zip(book.simple(), book.folded, strict=True))
            hours.append((node, hour, *grown, *self._moved.get((node, hour), (0, 0, 0, 0))))
        return Changes(
            hours=hours,
            earlier=[(node, then, *moved[:3]) for (node, then), moved in self._moved.items() if then != hour],
            refusals=[(node, hour, reason, int(whole), n) for (node, reason, whole), n in self._refused.items()],
            nodes=[(node, self._nodes[node].state()) for node in self._dirty],
        )

    def folded(self) -> None:
        """All of :meth:`changes` is on the disk."""
        for node in self._dirty:
            book = self._nodes[node]
            book.folded = book.simple()
        self._dirty.clear()
        self._moved.clear()
        self._refused.clear()

    def restore(self, node: str, state: NodeState) -> None:
        """Take one node from the disk; before anything is applied."""
        self._nodes[node] = NodeBook.restored(state)
        self._all.add(state.counts)

    def touch_all(self) -> None:
        """The disk has nothing any more: :meth:`changes` shall name every node."""
        self._dirty.update(self._nodes)

    # -- private ----------------------------------------------------------------------------------------------------

    def _runs(self, sequences: Iterable[tuple[str, Sequenced]]) -> tuple[dict[str, int], list[tuple[str, Sequenced]]]:
        """Where the numbers of each node that came in order end, and all that came otherwise or after that."""
        tops: dict[str, int | None] = {}
        ends: dict[str, int] = {}
        odd: list[tuple[str, Sequenced]] = []
        for node, what in sequences:
            try:
                top = tops[node]
            except KeyError:
                book = self._nodes.get(node)
                top = tops[node] = book.current.top if book is not None and book.current is not None else None
            if top == what:
                tops[node] = what + 1
                continue
            if top is not None:
                ends[node] = top
                tops[node] = None  # nothing equals it: what follows of this node is odd too
            odd.append((node, what))
        return {node: top for node, top in tops.items() if top is not None} | ends, odd

    def _book(self, node: str) -> NodeBook:
        self._dirty.add(node)
        book = self._nodes.get(node)
        if book is None:
            book = self._nodes[node] = NodeBook()
        return book

    def _refuse(self, refused: Mapping[tuple[str, Reason], int], *, whole: bool) -> None:
        for (node, reason), n in refused.items():
            self._book(node).refuse(reason, n, whole=whole)
            self._all.refuse(reason, n, whole=whole)
            self._refused[node, reason.value, whole] += n

    def _sequence(self, node: str, what: Sequenced) -> None:
        book = self._book(node)
        if isinstance(what, str):
            book.name_session(what, self._sessions_per_node)
            return
        low, high = what if isinstance(what, tuple) else (what, what)
        if not 0 <= low <= high <= MAX_SEQ:
            self._warn("this is no sequence number and not counted", {"node": node, "number": what, "max": MAX_SEQ})
            return
        for move in book.number(what, self._hour):
            book.move(move)
            self._all.move(move)
            moved = self._moved.setdefault((node, move.hour), [0, 0, 0, 0])
            for i, n in enumerate(move[1:]):
                moved[i] += n
        if (forgotten := book.give_up(self._gaps_per_node)) is not None:
            session, first, last = forgotten
            self._warn(
                "too many gaps in the sequence numbers of a node: the oldest stays missing for good",
                {"node": node, "session": session, "first": first, "last": last, "max_gaps": self._gaps_per_node},
            )
