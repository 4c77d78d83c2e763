"""What this node ran, kept on disk, so that no request runs twice and each gets its final reply, whatever happens.

    remember() ─▶ accepted ─▶ reserve(): replies up to n ─▶ finish(): the final reply ─▶ delivered()
                     │ killed here: failed at the next start      │ killed here: sent at the next start
                     ▼                                            ▼
                  unfinished()                                unfinished()

A row is kept until its command has expired for an hour, or as long as the settings say where it does not expire. What
was forgotten cannot come back either: ``forgotten_ms`` is the latest ``expires`` among the rows that were deleted, and
what expires before is refused, so that a clock that is set back brings nothing back.

The file is made with the first command. One thread at a time: :class:`Memory` gives it one of its own.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

_LOG: Final = logging.getLogger(__name__)
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS commands (
    key TEXT PRIMARY KEY, nonce TEXT UNIQUE, name TEXT NOT NULL, accepted_ms INTEGER NOT NULL, keep_ms INTEGER NOT NULL,
    expires_ms INTEGER, reply_id TEXT NOT NULL, topic TEXT NOT NULL, correlation BLOB, reserved INTEGER NOT NULL,
    final BLOB, delivered INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_keep ON commands (keep_ms);
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_SLACK_MS: Final = 3_600_000
_CLEAN_EVERY: Final = 100
#: Rows kept: past them those without ``expires`` go, the oldest first.
_MOST: Final = 100_000


class MemoryDown(Exception):  # noqa: N818  the name says what is the matter
    """The file cannot be read or written; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One command that is about to run, and where its replies go."""

    #: The request's id or correlation data, or one made up where it has neither.
    key: str
    #: Whether it is the request's, so that it can come again.
    named: bool
    name: str
    accepted_ms: int
    expires_ms: int | None
    #: With the operator, so that it is unique; None where nothing is signed.
    nonce: str | None
    reply_id: str
    topic: str
    correlation: bytes | None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A command of an earlier run of the agent whose final reply the broker has not taken."""

    entry: Entry
    #: Number above all replies that were sent.
    n: int
    #: The final reply; None when the agent ended first.
    final: bytes | None


class Memory:
    """The file and its thread. ``async with`` closes it.

    Args:
        keep_s: how long commands without ``expires`` are remembered.
    """

    def __init__(self, path: Path, *, keep_s: float, clock_ms: Callable[[], int]) -> None:
        self._path = path
        self._keep_ms = int(keep_s * 1000)
        self._clock_ms = clock_ms
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commands")
        self._connection: sqlite3.Connection | None = None
        self._count = 0

    async def remember(self, entry: Entry) -> str | None:
        """Write down that ``entry`` is about to run; why it must not, None when it may.

        Raises:
            MemoryDown: not written.
        """
        return await self._run(lambda: self._remember(entry))

    async def reserve(self, key: str, n: int) -> None:
        """Replies below ``n`` may have been sent."""
        await self._run(lambda: self._change("UPDATE commands SET reserved = ? WHERE key = ?", (n, key)))

    async def finish(self, key: str, final: bytes) -> None:
        """The command has ended; ``final`` is its last reply, and the broker has to get it."""
        await self._run(lambda: self._change("UPDATE commands SET final = ? WHERE key = ?", (final, key)))

    async def delivered(self, key: str) -> None:
        """The broker has the final reply."""
        await self._run(lambda: self._change("UPDATE commands SET delivered = 1, final = '' WHERE key = ?", (key,)))

    async def unfinished(self) -> list[Unfinished]:
        """What an earlier run of the agent left; empty where there is no file."""
        return await self._run(self._unfinished) if self._path.exists() else []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            await self._run(self._connection.close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            raise MemoryDown(f"{self._path} does not work: {error}") from error

    # -- in the thread --------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = self._connect()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):  # locked, no rights, disk full
                    raise
                aside = self._path.with_name(f"{self._path.name}.damaged-{time.time_ns()}")
                self._path.rename(aside)
                _LOG.error(
                    "%s is damaged (%s) and kept as %s; commands of before may run again", self._path, error, aside
                )
                self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=2)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        self._path.chmod(0o600)
        return connection

    def _change(self, statement: str, values: tuple[object, ...]) -> None:
        self._open().execute(statement, values)

    def _remember(self, entry: Entry) -> str | None:
        connection = self._open()
        if self._count % _CLEAN_EVERY == 0:
            self._clean(connection)
        self._count += 1
        forgotten = connection.execute("SELECT value FROM state WHERE key = 'forgotten_ms'").fetchone()
        if forgotten is not None and entry.expires_ms is not None and entry.expires_ms <= forgotten[0]:
            return "it expires before what this node has forgotten already: was its clock set back?"
        first = connection.execute(
            "SELECT accepted_ms, final IS NULL FROM commands WHERE key = ? OR nonce = ?", (entry.key, entry.nonce)
        ).fetchone()
        if first is not None:
            return "running" if first[1] else f"came before, {_ago(self._clock_ms() - first[0])}, and is not run again"
        keep_ms, expires_ms = entry.accepted_ms + self._keep_ms, entry.expires_ms
        if not entry.named:
            keep_ms, expires_ms = entry.accepted_ms, None
        elif expires_ms is not None and expires_ms + _SLACK_MS <= keep_ms:
            keep_ms = expires_ms + _SLACK_MS
        else:  # as if it never expired
            expires_ms = None
        connection.execute(
            "INSERT INTO commands VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL, 0)",
            (
                entry.key, entry.nonce, entry.name, entry.accepted_ms, keep_ms, expires_ms, entry.reply_id,
                entry.topic, entry.correlation,
            ),
        )  # fmt: skip
        return None

    def _clean(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            (latest,) = connection.execute(
                "SELECT max(expires_ms) FROM commands WHERE keep_ms < ? AND delivered = 1", (self._clock_ms(),)
            ).fetchone()
            connection.execute("DELETE FROM commands WHERE keep_ms < ? AND delivered = 1", (self._clock_ms(),))
            (count,) = connection.execute("SELECT count(*) FROM commands").fetchone()
            if count > _MOST:
                _LOG.warning("more than %d commands are remembered; the oldest without expires are forgotten", _MOST)
                connection.execute(
                    "DELETE FROM commands WHERE key IN (SELECT key FROM commands WHERE delivered = 1 "
                    "AND expires_ms IS NULL AND nonce IS NULL ORDER BY accepted_ms LIMIT ?)",
                    (_MOST // 10,),
                )
            if latest is not None:
                connection.execute(
                    "INSERT INTO state VALUES ('forgotten_ms', ?) "
                    "ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)",
                    (latest,),
                )

    def _unfinished(self) -> list[Unfinished]:
        rows = self._open().execute(
            "SELECT key, name, accepted_ms, expires_ms, nonce, reply_id, topic, correlation, reserved, final "
            "FROM commands WHERE delivered = 0 ORDER BY accepted_ms"
        )
        return [
            Unfinished(
                Entry(
                    key=key, named=True, name=name, accepted_ms=accepted_ms, expires_ms=expires_ms, nonce=nonce,
                    reply_id=reply_id, topic=topic, correlation=correlation,
                ),
                reserved,
                final,
            )
            for key, name, accepted_ms, expires_ms, nonce, reply_id, topic, correlation, reserved, final in rows
        ]  # fmt: skip


def _ago(ms: int) -> str:
    return f"{max(0, ms) / 1000:.0f} s ago"
