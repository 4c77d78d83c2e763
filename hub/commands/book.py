"""The book of commands: one file, one thread; each call is one transaction of commands, output and journal.

events ─▶ load the commands they are about ─▶ life (pure) ─▶ write commands, output, journal ─▶ progress
                                                                  └─ all durable, or none of it ─┘
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final, Self, TypeVar

import msgspec
import structlog

from hub.commands import life, tables
from hub.commands.journal import Finding, Head, chained, verified
from hub.commands.model import Answer, Command, Entry, Progress, Seen
from hub.commands.oddities import Oddities
from hub.statefile import StateFile, transaction
from wire.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from sqlite3 import Connection
    from types import TracebackType

    from hub.commands.journal import Row
    from hub.commands.model import Chunk
    from hub.commands.tables import Condition

_PAGE: Final = 1000
_DUE_AT_ONCE: Final = 1000

_T = TypeVar("_T")

_log: Final = structlog.get_logger("hub.commands")


class Book:
    """Commands and their journal. ``async with`` opens it and closes it.

    Args:
        path: SQLite file.
        keep_bytes: output that is kept of one command.
        keep_total_bytes: output that is kept of all; the oldest goes first.
        clock_ns: wall clock.

    Raises:
        StateBroken, StateUnavailable: on entering, see :class:`~hub.statefile.StateFile`. The latter also by every
            call that is awaited: nothing of it was done.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_bytes: int = 1 << 20,
        keep_total_bytes: int = 256 << 20,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._file = StateFile(path, tables.MIGRATIONS, sync=True, loaded=self._load)
        self._keep_bytes = keep_bytes
        self._keep_total_bytes = keep_total_bytes
        self._clock_ns = clock_ns
        self._oddities = Oddities()
        #: The journal's end, as it is on the disk.
        self.head = Head()

    async def __aenter__(self) -> Self:
        await self._file.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._file.__aexit__(kind, error, trace)

    # -- writing ------------------------------------------------------------------------------------------------------

    async def ask(self, wanted: Sequence[tuple[Command, str]]) -> None:
        """Record commands that are about to be sent, each with the digest of its payload; they get numbers."""

        def work(writing: _Writing) -> None:
            for command, digest in wanted:
                writing.add(command)
                writing.said(command, life.Step(life.asked(command, digest)))

        await self._write(work)

    async def confirm(self, answers: Mapping[int, str | None]) -> list[Progress]:
        """Record what the broker said to commands, by their number: None for yes, or why it refused."""
        now_ns = self._clock_ns()

        def work(writing: _Writing) -> None:
            for command in writing.numbered(answers):
                writing.said(command, life.confirmed(command, now_ns, answers[command.number]))

        return await self._write(work)

    async def observe(self, events: Sequence[Seen | Answer]) -> list[Progress]:
        """Record what was seen on the broker, in order of arrival."""

        def work(writing: _Writing) -> None:
            keys = {(e.node, e.id) for e in events if e.id is not None}
            known = tables.newest(writing.connection, keys)
            strays = {e.id for e in events if isinstance(e, Answer) and (e.node, e.id) not in known}
            elsewhere = tables.nodes_of(writing.connection, strays) if strays else {}
            for event in events:
                if isinstance(event, Seen):
                    self._seen(writing, known, event)
                else:
                    self._answered(writing, known, event, elsewhere.get(event.id))

        return await self._write(work)

    async def expire(self, until_ns: int) -> list[Progress]:
        """Give up on commands that were due before, and say what the journal left out."""
        now_ns = self._clock_ns()

        def work(writing: _Writing) -> None:
            for command in tables.select(
                writing.connection, [("due_ns <= ?", until_ns)], limit=_DUE_AT_ONCE, newest_first=False
            ):
                writing.said(command, life.overdue(command, now_ns))
            writing.entries += self._oddities.closed(now_ns)

        return await self._write(work)

    async def put_run(self, run_id: str, run: str, entry: Entry, *, ended: bool) -> None:
        """Write a fleet run as JSON, and a row of the journal about it."""

        def work(writing: _Writing) -> None:
            tables.put_run(writing.connection, run_id, run, ended=ended)
            writing.entries.append(entry)

        await self._write(work)

    async def note(self, *entries: Entry) -> None:
        """Write rows of the journal that are about no command."""
        await self._write(lambda writing: writing.entries.extend(entries))

    async def maintain(self, keep_ns: int) -> None:
        """Drop commands that ended ``keep_ns`` ago, and output beyond its bound; the journal stays whole."""
        now_ns = self._clock_ns()

        def work(connection: Connection) -> None:
            with transaction(connection):
                tables.drop_old(connection, now_ns - keep_ns)
                tables.shed_output(connection, self._keep_total_bytes)

        await self._file.run(work)

    async def runs(self, where: Sequence[Condition], limit: int) -> list[tuple[int, str]]:
        """Fleet runs that meet all conditions, as number and JSON, newest first."""
        return await self._file.run(lambda connection: tables.runs(connection, where, limit=limit))

    # -- reading ------------------------------------------------------------------------------------------------------

    async def run(self, work: Callable[[Connection], _T]) -> _T:
        """Read by a function of :mod:`hub.commands.tables`."""
        return await self._file.run(work)

    async def find(self, command_id: str, node: str | None = None) -> list[Command]:
        """The newest command of this id, of each node that had one (or of ``node`` alone)."""
        where: list[Condition] = [("id = ?", command_id), *([("node = ?", node)] if node is not None else [])]
        found = await self._file.run(lambda connection: tables.select(connection, where, limit=_PAGE))
        return list({command.node: command for command in reversed(found)}.values())

    async def select(self, where: Sequence[Condition], limit: int) -> list[Command]:
        """Commands that meet all conditions, newest first."""
        return await self._file.run(lambda connection: tables.select(connection, where, limit=limit))

    async def counts(self, where: Sequence[Condition]) -> dict[str, int]:
        """How many commands that meet all conditions are in each state."""
        return await self._file.run(lambda connection: tables.counts(connection, where))

    async def output(self, number: int, *, after: int, limit: int) -> list[Chunk]:
        """Output of a command that is kept, from above number ``after`` on."""
        return await self._file.run(lambda connection: tables.output(connection, number, after=after, limit=limit))

    async def journal(self, *, after: int, limit: int) -> list[Row]:
        """Rows of the journal from above ``after`` on."""
        return await self._file.run(lambda connection: tables.journal(connection, after=after, limit=limit))

    # -- private ------------------------------------------------------------------------------------------------------

    def _seen(self, writing: _Writing, known: dict[tuple[str, str], Command], event: Seen) -> None:
        if event.id is None:
            event = _named(event)
        found = known.get((event.node, event.id or ""))
        command, step = life.seen(found, event)
        if command is not None:
            known[command.node, command.id] = command
            writing.add(command)
            writing.said(command, step)
        elif found is not None and step.entry is not None:
            writing.said(found, step)

    def _answered(
        self, writing: _Writing, known: dict[tuple[str, str], Command], event: Answer, asked_of: Sequence[str] | None
    ) -> None:
        found = known.get((event.node, event.id))
        command, step = life.answered(found, event, self._keep_bytes)
        if found is None:
            step.entry = _with_asked(step.entry, asked_of)
            if self._oddities.full(event.node, event.at_ns):  # counted, and nothing else of it is kept
                writing.entries += [step.entry] if step.entry is not None else []
                return
            known[event.node, event.id] = command
            writing.add(command)
        writing.said(command, step)

    async def _write(self, work: Callable[[_Writing], None]) -> list[Progress]:
        def change(connection: Connection) -> list[Progress]:
            with transaction(connection):
                # From the file, never from memory: an attempt that failed may have been kept all the same.
                writing, head = _Writing(connection, tables.next_number(connection)), tables.head(connection)
                work(writing)
                rows = chained(self._oddities.passed(writing.entries), head)
                writing.finish()
                tables.append(connection, rows)
            if rows:
                self.head = Head(rows[-1].number, rows[-1].digest)
            return writing.progress

        return await self._file.run(change)

    def _load(self, connection: Connection, replaced: bool) -> None:  # noqa: FBT001  a callback of StateFile
        self.head = tables.head(connection)
        if self.head.number == 0:
            facts = {"version": __version__, "journal": secrets.token_hex(16), "after_damage": replaced}
            rows = chained([Entry(self._clock_ns(), "begun", "", "", facts)], self.head)
            with transaction(connection):
                tables.append(connection, rows)
            self.head = Head(rows[-1].number, rows[-1].digest)
            if replaced:
                _log.error("the journal of commands was damaged: a new one is begun; the old file is kept beside it")


class _Writing:
    """What one transaction writes."""

    def __init__(self, connection: Connection, next_number: int) -> None:
        self.connection = connection
        self.next_number = next_number
        self.entries: list[Entry] = []
        self.progress: list[Progress] = []
        self._changed: dict[int, Command] = {}
        self._chunks: list[tuple[int, Chunk]] = []

    def add(self, command: Command) -> None:
        """Give a new command its number."""
        command.number = self.next_number
        self.next_number += 1

    def numbered(self, numbers: Iterable[int]) -> list[Command]:
        found = []
        for number in numbers:
            found += tables.select(self.connection, [("number = ?", number)], limit=1)
        return found

    def said(self, command: Command, step: life.Step) -> None:
        """Take a step of a command that is changed."""
        self._changed[command.number] = command
        if step.entry is not None:
            self.entries.append(step.entry)
        if step.progress is not None:
            self.progress.append(step.progress)
        if step.chunk is not None:
            self._chunks.append((command.number, step.chunk))

    def finish(self) -> None:
        tables.put(self.connection, ((command, life.due_ns(command)) for command in self._changed.values()))
        tables.keep_output(self.connection, self._chunks)


def verified_file(connection: Connection, noted: Head | None) -> Finding:
    """Check the journal of an open file."""

    def rows() -> Iterator[Row]:
        after = 0
        while page := tables.journal(connection, after=after, limit=_PAGE):
            yield from page
            after = page[-1].number

    return verified(rows(), head=tables.head(connection), noted=noted)


def _named(event: Seen) -> Seen:
    """A request without an id gets one of the hub's own, so that it can be told from others."""
    return msgspec.structs.replace(event, id=f"{life.NAMELESS}{event.at_ns:x}")


def _with_asked(entry: Entry | None, nodes: Sequence[str] | None) -> Entry | None:
    if entry is None or not nodes:
        return entry
    return msgspec.structs.replace(entry, facts={**entry.facts, "asked_of": list(nodes)})
