"""One DuckDB file: opening, connections, errors, and the tables in it. The rest of the store asks it for connections.

The file belongs to one process. Within it, one connection writes; reading and maintenance lease connections of their
own, and each lease is one transaction, so that it sees one state of the whole file whatever is written meanwhile.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import duckdb

from hub.store.base import StoreBroken, StoreError, StoreUnavailable
from hub.store.partition import Kind, Partition, parse_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duckdb import DuckDBPyConnection

_SCHEMA_VERSION: Final = 1

# No primary keys: they make writes 7 times slower and the file 50 times larger. duck_write.py keeps rows unique.
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (name VARCHAR, value BIGINT);
CREATE TABLE IF NOT EXISTS series (
    id INTEGER, node VARCHAR, measurement VARCHAR, tags VARCHAR, field VARCHAR, kind VARCHAR
);
-- Time range and last value of each series, as of the first `rows` rows of each partition: see duck_state.py.
CREATE TABLE IF NOT EXISTS state (
    series INTEGER, first_ns BIGINT, last_ns BIGINT, last_number DOUBLE, last_text VARCHAR
);
CREATE TABLE IF NOT EXISTS state_rows (name VARCHAR, rows BIGINT);
-- Minutes that got samples after they were rolled up: see duck_rollup.py.
CREATE TABLE IF NOT EXISTS stale (series INTEGER, minute BIGINT);
"""
_ROLLUP: Final = (
    "series INTEGER, ts BIGINT, n BIGINT, total DOUBLE, low DOUBLE, high DOUBLE, m2 DOUBLE, "
    "first_ns BIGINT, first DOUBLE, last_ns BIGINT, last DOUBLE"
)
_COLUMNS: Final = {
    Kind.NUMBERS: "series INTEGER, ts BIGINT, value DOUBLE",
    Kind.LATE_NUMBERS: "series INTEGER, ts BIGINT, value DOUBLE",
    Kind.TEXTS: "series INTEGER, ts BIGINT, value VARCHAR",
    Kind.LOGS: "ts BIGINT, node VARCHAR, level VARCHAR, source VARCHAR, message VARCHAR, fields VARCHAR",
    Kind.MINUTES: _ROLLUP,
    Kind.HOURS: _ROLLUP,
}
#: A look-up of up to this many times or series reads only the blocks that can hold them (DuckDB's default is 50).
_LOOK_UPS: Final = 1000
#: A checkpoint stops writes for about 3 ms a MiB of write-ahead log (measured), hence small and often.
_CHECKPOINT_AT: Final = "16MiB"
_CLOSE_WAIT_S: Final = 30.0
_INTERRUPT_AGAIN_S: Final = 0.1

_HOLDER = re.compile(r"PID (\d+)")
_DISK = re.compile(r"No space left|File too large|Disk quota|Input/output error|Too many open files", re.IGNORECASE)
_ACCESS = re.compile(r"Permission denied|Read-only file|No such file|Not a directory|Is a directory", re.IGNORECASE)
_NEWER = re.compile(r"version number", re.IGNORECASE)
_WAL = re.compile(r"replaying WAL", re.IGNORECASE)
_CORRUPT = re.compile(
    r"corrupt|checksum|not a valid DuckDB|Serialization Error|deserializ|enough bytes|replaying WAL", re.IGNORECASE
)


class DuckFile:
    """The file at ``path``; made when it does not exist."""

    def __init__(self, path: Path, *, memory_bytes: int, threads: int) -> None:
        self.path = path
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{memory_bytes}B",
            "threads": threads,
            "checkpoint_threshold": _CHECKPOINT_AT,
            "dynamic_or_filter_threshold": _LOOK_UPS,
            # Nothing is ever fetched from the network.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._gate = threading.Condition()
        self._leased: set[DuckDBPyConnection] = set()
        self._root: DuckDBPyConnection | None = None
        self._writer: DuckDBPyConnection | None = None

    def open(self) -> None:
        """Open the file and make what is missing in it.

        Raises:
            StoreBroken: another process holds it, it is corrupt or newer than this program, or may not be opened.
            StoreUnavailable: the disk is full.
        """
        root = None
        try:
            root = duckdb.connect(self.path, config=self._config)
            root.execute(_TABLES)
            found = root.execute("SELECT value FROM meta WHERE name = 'schema'").fetchall()
            if not found:
                root.execute("INSERT INTO meta VALUES ('schema', ?)", [_SCHEMA_VERSION])
            with self._gate:
                self._root, self._writer = root, root.cursor()
        except duckdb.Error as error:
            if root is not None:
                root.close()
            raise self._cannot_open(error) from error
        if found and found[0][0] > _SCHEMA_VERSION:
            self.close()
            raise StoreBroken(
                f"{self.path} was written by a newer version of this program (tables of version {found[0][0]}, known "
                f"are {_SCHEMA_VERSION}): install that version, or move the file aside to start with an empty one"
            )

    def close(self) -> None:
        """Interrupt the leases, wait for them to end, and close. What was committed is on disk either way."""
        with self._gate:
            root, self._root = self._root, None
            until_s = time.monotonic() + _CLOSE_WAIT_S
            while self._leased and time.monotonic() < until_s:
                for connection in self._leased:
                    connection.interrupt()
                self._gate.wait(_INTERRUPT_AGAIN_S)  # one that was about to ask did not hear it
        for each in (self._writer, root):
            if each is not None:
                each.close()
        self._writer = None

    @property
    def writer(self) -> DuckDBPyConnection:
        """The connection of the one thread that writes samples."""
        if self._writer is None:
            raise StoreUnavailable(f"{self.path} is closed")
        return self._writer

    @contextmanager
    def lease(self) -> Iterator[DuckDBPyConnection]:
        """A connection for any thread, inside a transaction that is undone unless the block commits it.

        Raises:
            StoreError: for every error of DuckDB in the block.
        """
        with self._gate:
            if self._root is None:
                raise StoreUnavailable(f"{self.path} is closed")
            connection = self._root.cursor()
            self._leased.add(connection)
        try:
            connection.begin()
            yield connection
        except duckdb.Error as error:
            raise self.translated(error) from error
        finally:
            connection.close()
            with self._gate:
                self._leased.discard(connection)
                self._gate.notify_all()

    def translated(self, error: duckdb.Error) -> StoreError:
        """What an error of a running database means to callers."""
        text = str(error)
        if _CORRUPT.search(text):
            return self._corrupt(error)
        if _DISK.search(text):
            return StoreUnavailable(f"{self.path}: the disk does not take the write, free some space: {_brief(error)}")
        if isinstance(error, duckdb.ProgrammingError):
            return StoreBroken(f"{self.path}: a fault of this program, please report it: {_brief(error)}")
        return StoreUnavailable(f"{self.path}: {_brief(error)}")

    def size_bytes(self) -> int:
        """Bytes on disk, with the write-ahead log."""
        return sum(p.stat().st_size for p in (self.path, self._wal) if p.exists())

    @property
    def _wal(self) -> Path:
        return self.path.with_name(self.path.name + ".wal")

    def _cannot_open(self, error: duckdb.Error) -> StoreError:
        text = str(error)
        if "lock" in text and (holder := _HOLDER.search(text)):
            return StoreBroken(
                f"{self.path} is in use by process {holder[1]}: one hub at a time can own it. Stop that process, or "
                "give this one another state directory (--state)"
            )
        if _DISK.search(text):
            return self.translated(error)
        if _ACCESS.search(text):
            return StoreBroken(
                f"{self.path} cannot be opened: {_brief(error)}. Check that its directory exists and is ours"
            )
        if _NEWER.search(text):
            return StoreBroken(
                f"{self.path} was written by another version of DuckDB than {duckdb.__version__}: {_brief(error)}"
            )
        return self._corrupt(error)

    def _corrupt(self, error: duckdb.Error) -> StoreBroken:
        moved, cost = [self.path, self._wal], "a new file is made"
        if _WAL.search(str(error)):
            moved, cost = [self._wal], "all but the samples since the last checkpoint is there"
        commands = "; ".join(f"mv {path} {path}.damaged" for path in moved if path.exists())
        return StoreBroken(
            f"{self.path} is damaged: {_brief(error)}. Stop the hub, run `{commands}` and start again: {cost}"
        )


def partitions(connection: DuckDBPyConnection) -> list[Partition]:
    """The partitions in the file, as the connection's transaction sees it; sorted by kind and time."""
    names = connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary").fetchall()
    return sorted(part for (name,) in names if (part := parse_table(name)) is not None)


def make_partition(connection: DuckDBPyConnection, part: Partition) -> None:
    """Make the table of a partition, if there is none yet."""
    connection.execute(f"CREATE TABLE IF NOT EXISTS {part.table} ({_COLUMNS[part.kind]})")


def get_meta(connection: DuckDBPyConnection, name: str) -> int:
    """A stored figure; 0 when it was never set."""
    found = connection.execute("SELECT value FROM meta WHERE name = ?", [name]).fetchall()
    return int(found[0][0]) if found else 0


def set_meta(connection: DuckDBPyConnection, name: str, value: int) -> None:
    """Store a figure, within the connection's transaction."""
    connection.execute("DELETE FROM meta WHERE name = ?", [name])
    connection.execute("INSERT INTO meta VALUES (?, ?)", [name, value])


def _brief(error: duckdb.Error) -> str:
    """The first line of DuckDB's message: the rest is advice about DuckDB."""
    return str(error).splitlines()[0].strip()
