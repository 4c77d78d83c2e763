"""A SQLite file of the hub's own state: one thread, one owner, errors by what the caller does. ``sqlite3`` lives here.

    await file.run(work) ─▶ thread ─▶ work(connection) ─┬─▶ result
                                                        ├─▶ disk full, disk failing ─▶ StateFull, StateUnavailable
                                                        └─▶ damaged ─▶ moved aside, new one begun ─▶ StateUnavailable

Write-ahead log, held exclusively for as long as it is open: no second process can write to it, and no memory is mapped
that a full disk could take away. Work should be few statements with many rows each (``json_each``, ``VALUES`` lists):
every statement gives the interpreter away once and may have to wait for the event loop to get it back.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import msgspec
import structlog

from hub.statefaults import (
    StateBroken,
    StateError,
    StateFull,
    StateUnavailable,
    damage,
    is_damage,
    translated,
    unopened,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

__all__ = ["StateBroken", "StateError", "StateFile", "StateFull", "StateUnavailable", "many", "transaction"]

_T = TypeVar("_T")

_LOCK_WAIT_S: Final = 1.0
_PAGE_BYTES: Final = 8192
#: Of the write-ahead log; what is written again and again within it reaches the file once.
_LOG_PAGES: Final = 2000
_MAX_INTEGER: Final = 2**63 - 1


class StateFile:
    """Runs functions of a connection, all in one thread, in order. ``async with`` opens the file and closes it.

    Args:
        path: the file, made with mode 0600 when it is missing; its folder must exist.
        migrations: step n brings a file from version n to n + 1, as SQL statements; a new file runs all of them.
        sync: True: what returned outlives a power cut (as far as the disk is honest). False: it outlives ``kill -9``.
        loaded: called in the thread whenever a file was opened, before anything else; its second argument is True when
            the file before it was found damaged while running, and this one starts empty.

    Raises:
        StateBroken: on entering: no permission, another process has it open, or a newer iothub made it.
        StateUnavailable: on entering: the disk is full or fails.
    """

    def __init__(
        self,
        path: Path,
        migrations: Sequence[Sequence[str]],
        *,
        sync: bool,
        loaded: Callable[[Connection, bool], None] = lambda _connection, _replaced: None,
    ) -> None:
        self.path = path
        self._migrations = migrations
        self._sync = sync
        self._loaded = loaded
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=path.stem)
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._start)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        finally:
            self._thread.shutdown(wait=False)

    async def run(self, work: Callable[[Connection], _T]) -> _T:
        """Call ``work(connection)`` in the thread. Each statement is its own transaction, see :func:`transaction`.

        A call whose caller is cancelled is either not begun or carried out to its end.

        Raises:
            StateUnavailable: the disk is full or fails, or the file was found damaged and a new one was begun.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work)

    # -- in the thread ----------------------------------------------------------------------------------------------

    def _run(self, work: Callable[[Connection], _T]) -> _T:
        if self._connection is None:
            self._connection = self._open(replaced=True)
        try:
            return work(self._connection)
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                self._close()
                kept_as = self._move_aside(error)
                self._connection = self._open(replaced=True)
                raise StateUnavailable(
                    f"{self.path} was damaged ({error}): it is now {kept_as.name} and a new one was begun"
                ) from error
            raise translated(self.path, error) from error

    def _start(self) -> None:
        try:
            self._connection = self._open(replaced=False)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._move_aside(error)
            self._connection = self._open(replaced=False)

    def _open(self, *, replaced: bool) -> Connection:
        """Open, check, migrate, load; damage is raised as the driver's own error, all else translated."""
        unclean = self._beside("-wal").exists()
        connection = None
        try:
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600))
            connection = sqlite3.connect(self.path, timeout=_LOCK_WAIT_S, isolation_level=None)
            self._set_up(connection)
            if unclean:
                _check(connection)
            self._migrate(connection)
            self._loaded(connection, replaced)
        except BaseException as error:
            if connection is not None:
                with suppress(sqlite3.Error):
                    connection.close()
            if isinstance(error, OSError) or (isinstance(error, sqlite3.DatabaseError) and not is_damage(error)):
                raise unopened(self.path, error) from error
            raise
        return connection

    def _set_up(self, connection: Connection) -> None:
        for setting in (
            f"page_size = {_PAGE_BYTES}",
            "locking_mode = EXCLUSIVE",
            "journal_mode = WAL",
            f"synchronous = {'FULL' if self._sync else 'NORMAL'}",
            f"wal_autocheckpoint = {_LOG_PAGES}",
            f"journal_size_limit = {_LOG_PAGES * _PAGE_BYTES}",
            "secure_delete = OFF",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {setting}").fetchall()

    def _migrate(self, connection: Connection) -> None:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(self._migrations):
            raise StateBroken(
                f"{self.path} was made by a newer iothub (version {version}, this one knows {len(self._migrations)}): "
                "install that one again, or move the file away"
            )
        for step in range(version, len(self._migrations)):
            with transaction(connection):
                for statement in self._migrations[step]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {step + 1}")

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:
                # Everything that returned is in the write-ahead log; the next start reads it.
                _log.warning("state file not closed cleanly", file=str(self.path), error=str(error))

    def _move_aside(self, why: sqlite3.DatabaseError) -> Path:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        target = self._beside(f".damaged-{stamp}")
        while target.exists():
            target = target.with_name(target.name + "x")
        try:
            self.path.rename(target)
            for ending in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    self._beside(ending).rename(target.with_name(target.name + ending))
        except OSError as error:
            raise StateBroken(f"{self.path} is damaged ({why}) and cannot be moved away: {error.strerror}") from error
        _log.error(
            "state file is damaged: moved aside, a new one is begun; what it held is not shown any more",
            file=str(self.path),
            kept_as=str(target),
            damage=str(why),
        )
        return target

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """All statements inside, or none of them."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):  # the first error is the one that counts
                connection.execute("ROLLBACK")
        raise


def many(connection: Connection, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    """Run ``INSERT … SELECT value ->> 0, … FROM json_each(?)`` once for all ``rows``; numbers fit 64 bits then."""
    clamped = [[min(v, _MAX_INTEGER) if type(v) is int else v for v in row] for row in rows]
    if clamped:
        connection.execute(statement, (msgspec.json.encode(clamped).decode(),))


# -- private -----------------------------------------------------------------------------------------------------------

_log: Final = structlog.get_logger("hub.statefile")


def _check(connection: Connection) -> None:
    """Read the whole file; damage is raised as if a statement had met it."""
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise damage(found)
