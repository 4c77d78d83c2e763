"""The SQLite file of an outbox: statements and transactions, nothing of when to send. One thread at a time.

    messages   what waits, by its last sequence number
    state      session, last number given, what the hub confirmed, what was given up

Locked for as long as it is open, so that a second process cannot give the same numbers. A rollback journal that keeps
its size, not a write-ahead log: on a disk that others filled, a log could not be folded into a file that cannot grow,
while here old messages still make room for new ones.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import sqlite3
import time
from typing import TYPE_CHECKING, Final

import msgspec

from wire.drops import Drop, Drops
from wire.errors import OutboxError
from wire.outbox_model import Kept, Write, size_of
from wire.outgoing import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_LOG: Final = logging.getLogger(__name__)
_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE messages (
    last INTEGER PRIMARY KEY, first INTEGER NOT NULL, ts_ms INTEGER NOT NULL, bytes INTEGER NOT NULL,
    topic TEXT NOT NULL, payload BLOB NOT NULL
);
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
#: Kept free in file and journal, for making room when the disk is full.
_RESERVE_BYTES: Final = 1 << 20
#: On a full disk old messages make this much room, and four times that at the last attempt.
_LEAST_ROOM_BYTES: Final = 64 << 10
_DAMAGED: Final = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CORRUPT_INDEX", "SQLITE_CORRUPT_SEQUENCE"})


class OutboxFile:
    """An open outbox file.

    Args:
        max_bytes: past it the oldest messages are given up; None: never, whatever the disk says.

    Raises:
        OutboxError: no permission, another process has it open, or the disk fails; the text says what to do.
    """

    def __init__(self, path: Path, *, max_bytes: int | None, sync: bool) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._sync = sync
        self._drops = Drops()
        self._messages = self._bytes = 0
        self.session = ""
        self.last_seq = self.covered = 0
        self._connection = self._open()

    def close(self) -> None:
        self._connection.close()

    def kept(self, dropped: int = 0) -> Kept:
        """Figures of now."""
        oldest = self._connection.execute("SELECT first, ts_ms FROM messages ORDER BY last LIMIT 1").fetchone()
        first, oldest_ms = oldest or (None, None)
        return Kept(self._messages, self._bytes, first, oldest_ms, self._drops.untold, dropped)

    def read(self, after: int, up_to: int, limit: int) -> list[Entry]:
        """Messages whose last number is greater than ``after`` and at most ``up_to``, in order."""
        rows = self._connection.execute(
            "SELECT first, last, topic, payload FROM messages WHERE last > ? AND last <= ? ORDER BY last LIMIT ?",
            (after, up_to, limit),
        )
        return [Entry(first, last, topic, payload) for first, last, topic, payload in rows]

    def write(self, write: Write) -> Kept:
        """Do all of it or nothing; old messages make room where the outbox, or the disk, is full.

        Raises:
            OutboxError: the disk is full, or fails, for good.
        """
        room = 0
        for last_attempt in (False, False, True):
            try:
                return self._write(write, make_room=room)
            except sqlite3.DatabaseError as error:
                if last_attempt or error.sqlite_errorname != "SQLITE_FULL" or self._max_bytes is None:
                    raise OutboxError(f"cannot write {self._path}: {error}") from error
                room = 4 * room or _LEAST_ROOM_BYTES + sum(size_of(entry) for entry, _ in write.entries)
        raise AssertionError("the last attempt returns or raises")

    def _write(self, write: Write, make_room: int) -> Kept:
        before = (self._messages, self._bytes, self._drops.all, self.covered, self.last_seq)
        try:
            with self._transaction():
                self._forget_covered(write.covered)
                if write.forgotten is not None:
                    self._drops.add_unknown(*write.forgotten)
                for entry in write.refused:
                    if self._delete(entry.seq - 1, entry.seq):
                        self._drops.add(entry.first, entry.seq)
                dropped = self._drop_oldest(self._bytes - make_room) if make_room else 0
                self._insert(write.entries)
                for first, last, told_by in write.told:
                    self._drops.tell(first, last, told_by)
                if self._max_bytes is not None:
                    dropped += self._drop_oldest(self._max_bytes)
                self.last_seq = max(self.last_seq, write.last_seq)
                self._set(
                    last_seq=str(self.last_seq),
                    covered=str(self.covered),
                    drops=msgspec.json.encode(self._drops.all).decode(),
                )
        except sqlite3.DatabaseError:
            self._messages, self._bytes, drops, self.covered, self.last_seq = before
            self._drops = Drops(drops)
            raise
        return self.kept(dropped)

    def _insert(self, entries: Sequence[tuple[Entry, int]]) -> None:
        self._connection.executemany(
            "INSERT INTO messages (last, first, ts_ms, bytes, topic, payload) VALUES (?, ?, ?, ?, ?, ?)",
            ((entry.seq, entry.first, ts_ms, size_of(entry), entry.topic, entry.payload) for entry, ts_ms in entries),
        )
        self._messages += len(entries)
        self._bytes += sum(size_of(entry) for entry, _ in entries)

    def _forget_covered(self, covered: int) -> None:
        if covered > self.covered:
            self.covered = covered
            self._delete(0, covered)
            self._drops.covered(covered)

    def _drop_oldest(self, allowed_bytes: int) -> int:
        """Give up the oldest messages until no more than ``allowed_bytes`` are there; how many."""
        dropped = 0
        while self._bytes > allowed_bytes and self._messages:
            surplus, up_to = self._bytes - allowed_bytes, 0
            for first, last, size in self._connection.execute(
                "SELECT first, last, bytes FROM messages ORDER BY last LIMIT 1000"
            ):
                self._drops.add(first, last)
                up_to, surplus = last, surplus - size
                if surplus <= 0:
                    break
            dropped += self._delete(0, up_to)
        return dropped

    def _delete(self, after: int, up_to: int) -> int:
        """Delete the messages named by numbers greater than ``after`` and at most ``up_to``; how many."""
        chosen = (after, up_to)
        count, size = self._connection.execute(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM messages WHERE last > ? AND last <= ?", chosen
        ).fetchone()
        self._connection.execute("DELETE FROM messages WHERE last > ? AND last <= ?", chosen)
        self._messages -= count
        self._bytes -= size
        return int(count)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite may have rolled back by itself
                self._connection.execute("ROLLBACK")
            raise

    def _set(self, **values: str) -> None:
        self._connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", values.items())

    # -- opening --------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except OSError as error:
            raise OutboxError(f"cannot open {self._path}: {error.strerror}") from error
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorname not in _DAMAGED:
                raise OutboxError(self._explain(error)) from error
            aside = self._path.with_name(f"{self._path.name}.broken-{time.time_ns() // 1_000_000_000}")
            _LOG.error("%s is damaged (%s); it is kept as %s and a new one begun", self._path, error, aside.name)
            self._move_aside(aside)
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            raise OutboxError(self._explain(error)) from error

    def _connect(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=1.0)
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = PERSIST")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._sync else 'NORMAL'}")
            self._connection = connection
            self._load()
        except BaseException:
            connection.close()
            raise
        return connection

    def _load(self) -> None:
        connection = self._connection
        with self._transaction():
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise OutboxError(f"{self._path} was made by a newer version; update this program")
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
                self._set(session=secrets.token_hex(8), last_seq="0", covered="0", drops="[]")
        if version == 0:
            self._reserve()
        state = dict(connection.execute("SELECT key, value FROM state"))
        self.session, self.last_seq, self.covered = state["session"], int(state["last_seq"]), int(state["covered"])
        self._drops = Drops(msgspec.json.decode(state["drops"], type=list[Drop]))
        self._messages, self._bytes = connection.execute(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM messages"
        ).fetchone()

    def _reserve(self) -> None:
        """Grow file and journal once, and leave their pages free."""
        pages = _RESERVE_BYTES // 4096
        with self._transaction():
            self._connection.executemany(
                "INSERT INTO messages VALUES (?, 0, 0, 0, '', zeroblob(3000))", ((-page,) for page in range(1, pages))
            )
        with self._transaction():  # each page that is changed goes into the journal first
            self._connection.execute("UPDATE messages SET ts_ms = 1 WHERE last < 0")
        with self._transaction():
            self._connection.execute("DELETE FROM messages WHERE last < 0")

    def _move_aside(self, aside: Path) -> None:
        self._path.replace(aside)
        with contextlib.suppress(FileNotFoundError):
            self._path.with_name(f"{self._path.name}-journal").replace(aside.with_name(f"{aside.name}-journal"))

    def _explain(self, error: sqlite3.DatabaseError) -> str:
        if error.sqlite_errorname == "SQLITE_BUSY":
            return f"{self._path} is in use: another agent runs with this state directory. Stop it or choose another"
        return f"cannot open {self._path}: {error}"
