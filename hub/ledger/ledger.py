"""The durable ledger.

    settle ─▶ thread: prepare ─▶ one row in the journal ─▶ apply to the books in memory ─▶ return
                                     └─ large enough or a new hour: fold the changes into the tables, empty the journal
    start  ─▶ tables ─▶ journal, entry by entry ─▶ the same books

One statement a group, whatever the number of nodes: that is what makes it cheap and what makes a group all or nothing.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Self

import structlog

from hub.ledger import tables
from hub.ledger.books import Books
from hub.ledger.model import HOUR_NS
from hub.statefile import StateFile, StateUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from sqlite3 import Connection
    from types import TracebackType

    from hub.ledger.model import Counts, HourRow, LedgerRow, SessionRow, Settled, Watermark

#: How long hourly rows are kept.
RETENTION_NS: Final = 90 * 24 * HOUR_NS
_JOURNAL_BYTES: Final = 4 << 20
#: What folding one node costs is spread over so much of the journal; with 100,000 nodes 40 MB, read in a second.
_JOURNAL_BYTES_A_NODE: Final = 400
_GAPS: Final = 10_000
_SESSIONS: Final = 8
#: Warnings of one kind and node are said once; so many are remembered.
_SAID: Final = 1000

_log: Final = structlog.get_logger("hub.ledger")


class Ledger:
    """Counts by node and hour, sequence numbers by node. ``async with`` opens it and closes it.

    Args:
        path: SQLite file.
        journal_bytes: the journal is folded when it is larger, and large compared to the nodes that it is about.
        gaps_per_node: ranges of missing numbers remembered; past that the oldest stays missing for good, the watermark
            passes it, and the log says so.
        sessions_per_node: sessions remembered; a forgotten one that is named again starts anew.

    Raises:
        StateBroken, StateUnavailable: on entering, see :class:`~hub.statefile.StateFile`.
    """

    def __init__(
        self,
        path: Path,
        *,
        journal_bytes: int = _JOURNAL_BYTES,
        gaps_per_node: int = _GAPS,
        sessions_per_node: int = _SESSIONS,
    ) -> None:
        self._file = StateFile(path, tables.MIGRATIONS, sync=False, loaded=self._load)
        self._max_journal_bytes = journal_bytes
        self._gaps_per_node = gaps_per_node
        self._sessions_per_node = sessions_per_node
        self._said: set[tuple[str, object]] = set()
        # The books change in the thread, under the lock, and are read under it anywhere. It is held for the time that
        # counting one group takes, and never while the disk is waited for.
        self._lock = threading.Lock()
        self._books = self._new_books()
        self._next_id = 1
        self._journal_bytes = 0

    async def __aenter__(self) -> Self:
        await self._file.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._file.__aexit__(kind, error, trace)

    async def settle(self, settled: Settled) -> None:
        """Count one group: all of it or nothing. On return it outlives ``kill -9``.

        Groups are counted in the order of the calls. ``settled`` must not be changed before this returns.

        Raises:
            StateUnavailable: nothing of it was counted (:class:`~hub.statefile.StateFull`: the disk is full); settle
                the same group again later, and acknowledge none of it before.
        """
        await self._file.run(lambda connection: self._settle(connection, settled))

    def watermark(self, node: str) -> Watermark | None:
        """Up to where the numbers of the node's current session are accounted for and durable; from memory.

        None for a node that gave neither a session nor a number.
        """
        with self._lock:
            return self._books.watermark(node)

    def totals(self) -> Counts:
        """All nodes together since the hub counts; from memory, cheap."""
        with self._lock:
            return self._books.totals()

    def rows(
        self,
        node: str | None = None,
        *,
        after: str | None = None,
        limit: int | None = None,
        nodes: frozenset[str] | None = None,
    ) -> list[LedgerRow]:
        """Counts by node since the hub counts, in order of their ids; from memory.

        The first may be that of messages whose topic names no node: its id is empty.

        Args:
            node: this one only; no row when it sent nothing.
            after: only ids that sort after it.
            limit: at most so many.
            nodes: none of any other; None for all.
        """
        with self._lock:
            names = [node] if node is not None else self._books.names()
            if nodes is not None:
                names = [name for name in names if name in nodes]
            chosen = [name for name in names if after is None or name > after][:limit]
            return [row for row in map(self._books.row, chosen) if row is not None]

    def count(self, nodes: frozenset[str] | None = None) -> int:
        """How many rows there are, of these nodes; from memory."""
        with self._lock:
            return self._books.count() if nodes is None else sum(name in nodes for name in self._books.names())

    def sessions(self, node: str) -> list[SessionRow]:
        """The sequence numbers of one node, the session that was named last first; from memory."""
        with self._lock:
            return self._books.sessions(node)

    async def hours(
        self,
        node: str | None = None,
        *,
        since_ns: int = 0,
        until_ns: int = 2**62,
        before: tuple[int, str] | None = None,
        limit: int = 1000,
        nodes: frozenset[str] | None = None,
    ) -> list[HourRow]:
        """Hourly counts, newest hour first; within an hour the node that sorts last first.

        Args:
            node: this one only.
            since_ns: hours that contain it or are later.
            until_ns: hours that begin before it.
            before: hour (``start_ns // HOUR_NS``) and node of the last row of the page before.
            limit: at most so many.
            nodes: none of any other; None for all.

        Raises:
            StateUnavailable: the disk fails.
        """
        try:
            await self._file.run(self._fold)
        except StateUnavailable as error:
            _log.warning("the newest counts by hour are not shown yet: they cannot be written", error=str(error))
        return await self._file.run(
            lambda connection: tables.hour_rows(
                connection, node, since_ns=since_ns, until_ns=until_ns, before=before, limit=limit, nodes=nodes
            )
        )

    async def maintain(self, now_ns: int) -> int:
        """Drop hourly rows older than 90 days; how many. Call it every hour or so.

        Raises:
            StateUnavailable: the disk fails.
        """
        return await self._file.run(lambda connection: tables.forget(connection, (now_ns - RETENTION_NS) // HOUR_NS))

    # -- in the thread ----------------------------------------------------------------------------------------------

    def _settle(self, connection: Connection, settled: Settled) -> None:
        # Before the group: if this fails the group is not counted, and if the group fails this stands for itself.
        bound = max(self._max_journal_bytes, self._books.changed() * _JOURNAL_BYTES_A_NODE)
        if self._journal_bytes > bound or self._books.must_fold(settled.arrival_ns):
            self._fold(connection)
        entry = self._books.prepare(settled)
        self._journal_bytes += tables.journal(connection, self._next_id, entry)
        self._next_id += 1
        with self._lock:
            self._books.apply(entry)

    def _fold(self, connection: Connection) -> None:
        tables.fold(connection, self._books.changes())
        self._books.folded()
        self._journal_bytes = 0

    def _load(self, connection: Connection, replaced: bool) -> None:  # noqa: FBT001  a callback of StateFile
        if replaced:
            # What we have in memory is more than what the new file has.
            self._books.touch_all()
            self._fold(connection)
            return
        books = self._books = self._new_books()
        self._next_id, self._journal_bytes = 1, 0
        for node, state in tables.states(connection):
            books.restore(node, state)
        for entry_id, size, entry in tables.journaled(connection):
            books.apply(entry)
            self._next_id = entry_id + 1
            self._journal_bytes += size

    def _new_books(self) -> Books:
        return Books(gaps_per_node=self._gaps_per_node, sessions_per_node=self._sessions_per_node, warn=self._warn)

    def _warn(self, text: str, facts: Mapping[str, object]) -> None:
        said = (text, facts.get("node"))
        if said not in self._said and len(self._said) < _SAID:
            self._said.add(said)
            _log.warning(f"{text}; said once a node", **facts)
