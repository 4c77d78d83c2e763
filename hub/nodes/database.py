"""The registry's database: one engine, one thread, one transaction a call; versions of the schema."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from sqlalchemy import URL, create_engine, event, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from hub.alerts import notify_tables as _notify_tables  # noqa: F401  they register themselves in METADATA
from hub.alerts import tables as _alert_tables  # noqa: F401
from hub.nodes import join_tables as _join_tables  # noqa: F401
from hub.nodes import tables
from hub.nodes import view_tables as _view_tables  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from sqlalchemy import Connection, Engine

_T = TypeVar("_T")

#: Step n brings a database from version n + 1 to n + 2. New databases are made from ``tables`` and run none of them.
MIGRATIONS: Final[tuple[Callable[[Connection], None], ...]] = ()


class RegistryError(Exception):
    """The registry's database failed. For one call: answer 503 or try again; on opening: a person must act."""


class Database:
    """Runs functions of a connection, each in a transaction, all in one thread of its own.

    ``async with`` opens the database, creates it where it is missing and brings it up to date.

    Args:
        url: any SQLAlchemy URL; its driver must be installed.
        migrations: see :data:`MIGRATIONS`.

    Raises:
        RegistryError: on entering: it cannot be opened, or a newer version made it.
    """

    def __init__(self, url: str | URL, *, migrations: Sequence[Callable[[Connection], None]] = MIGRATIONS) -> None:
        self._url = url
        self._migrations = migrations
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="registry")
        self._engine: Engine | None = None

    async def __aenter__(self) -> Self:
        try:
            self._engine = await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, engine.dispose)
        await asyncio.to_thread(self._thread.shutdown)

    async def run(self, work: Callable[[Connection], _T]) -> _T:
        """Call ``work`` in one transaction; calls run one after the other, in order.

        A call whose caller is cancelled is still carried out to its end.

        Raises:
            RegistryError: the database failed and nothing of ``work`` was kept.
        """
        engine = self._engine
        if engine is None:
            raise RegistryError("the registry is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, engine, work)

    # -- in the thread ----------------------------------------------------------------------------------------------

    def _transact(self, engine: Engine, work: Callable[[Connection], _T]) -> _T:
        with _translated(engine.url), engine.begin() as connection:
            return work(connection)

    def _open(self) -> Engine:
        try:
            url = make_url(self._url)
        except ArgumentError as error:
            raise RegistryError("nodes.database_url is no SQLAlchemy URL such as postgresql://user@host/db") from error
        with _translated(url):
            _create_private(url)
            engine = create_engine(url, pool_pre_ping=True)
            if url.get_backend_name() == "sqlite":
                event.listen(engine, "connect", _set_up_sqlite)
                event.listen(engine, "begin", _begin_sqlite)
            with engine.begin() as connection:
                self._bring_up_to_date(connection)
        return engine

    def _bring_up_to_date(self, connection: Connection) -> None:
        latest = len(self._migrations) + 1
        is_new = not inspect(connection).has_table(tables.SCHEMA.name)
        tables.METADATA.create_all(connection)  # tables that are new to an old database need no step of their own
        if is_new:
            connection.execute(insert(tables.SCHEMA).values(version=latest, at_ns=time.time_ns()))
            return
        version = max(connection.execute(select(tables.SCHEMA.c.version)).scalars())
        if version > latest:
            raise RegistryError(
                f"{connection.engine.url!r} was made by a newer iothub (schema {version}, this one knows {latest}): "
                "install that version again, or use another state directory"
            )
        for step in range(version, latest):
            self._migrations[step - 1](connection)
            connection.execute(insert(tables.SCHEMA).values(version=step + 1, at_ns=time.time_ns()))


def sqlite_url(path: Path) -> URL:
    """URL of a SQLite file."""
    return URL.create("sqlite", database=str(path))


# -- private -----------------------------------------------------------------------------------------------------------


@contextmanager
def _translated(url: URL) -> Iterator[None]:
    try:
        yield
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise RegistryError(f"no driver for {url!r} is installed: {error}") from error
    except DBAPIError as error:
        raise RegistryError(f"registry {url!r}: {error.orig}") from error
    except (SQLAlchemyError, OSError) as error:
        raise RegistryError(f"registry {url!r}: {error}") from error


def _create_private(url: URL) -> None:
    """Make the file of a SQLite database before the driver does, which would make it readable for all."""
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        os.close(os.open(str(url.database), os.O_WRONLY | os.O_CREAT, 0o600))


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver would begin late and commit before DDL: see _begin_sqlite
    for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 5000"):
        connection.execute(f"PRAGMA {setting}").close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
