from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from hub.nodes.database import Database, RegistryError, sqlite_url
from hub.nodes.registry import Registry
from tests.support.births import online

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from sqlalchemy import Connection

    from hub.paths import StatePaths

    Opened = Callable[[], AbstractAsyncContextManager[Registry]]


def test_the_event_loop_goes_on_while_the_database_works(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            started, turns = asyncio.Event(), 0
            loop = asyncio.get_running_loop()

            def slow(connection: Connection) -> None:
                loop.call_soon_threadsafe(started.set)
                count = (
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3e5) SELECT max(i) FROM n"
                )
                connection.execute(text(count))

            work = asyncio.create_task(registry.database.run(slow))
            await started.wait()
            while not work.done():
                turns += 1
                await asyncio.sleep(0)
            assert turns > 1

    asyncio.run(scenario())


def test_the_database_allows_no_second_open_connection(paths: StatePaths, opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            await registry.record(online("dev"), {})

    asyncio.run(scenario())
    database = sqlite3.connect(paths.registry)
    with pytest.raises(sqlite3.IntegrityError):
        database.execute("INSERT INTO connections (node, connected_ns, reason_connected) VALUES ('dev', 1, 'x')")
    database.close()


def test_the_file_is_readable_for_its_owner_only(paths: StatePaths, opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            await registry.declare("dev")
            assert {path.stat().st_mode & 0o777 for path in paths.root.glob("hub.db*")} == {0o600}

    asyncio.run(scenario())


def test_an_old_database_is_brought_up_to_date_step_by_step_and_keeps_its_rows(tmp_path: Path) -> None:
    def add_table(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE commands (id INTEGER)"))

    def fill_table(connection: Connection) -> None:
        connection.execute(text("INSERT INTO commands SELECT 7"))

    async def scenario() -> None:
        url = sqlite_url(tmp_path / "hub.db")
        async with Registry(url) as registry:
            await registry.declare("dev")
        for _ in range(2):  # the second time there is nothing left to do
            async with Database(url, migrations=(add_table, fill_table)) as database:
                rows = await database.run(lambda connection: connection.execute(text("SELECT id FROM commands")).all())
                nodes = await database.run(lambda connection: connection.execute(text("SELECT node FROM nodes")).all())
                assert (rows, nodes) == ([(7,)], [("dev",)])

    asyncio.run(scenario())


def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    def broken(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (id INTEGER)"))
        connection.execute(text("INSERT INTO nowhere VALUES (1)"))

    async def scenario() -> None:
        url = sqlite_url(tmp_path / "hub.db")
        async with Registry(url):
            pass
        with pytest.raises(RegistryError, match="nowhere"):
            async with Database(url, migrations=(broken,)):
                pass
        async with Database(url) as database:
            tables = await database.run(lambda c: c.execute(text("SELECT name FROM sqlite_master")).scalars().all())
            assert "half" not in tables

    asyncio.run(scenario())


def test_a_database_of_a_newer_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async def scenario() -> None:
        url = sqlite_url(tmp_path / "hub.db")
        async with Database(url, migrations=(lambda _: None,) * 3):
            pass
        with pytest.raises(RegistryError, match=r"newer iothub \(schema 4, this one knows 1\): install"):
            async with Registry(url):
                pass

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nonsense", "no SQLAlchemy URL"),
        ("oracle+nodriver://user:secret@host/db", "no driver"),
        ("sqlite:////nowhere/at/all/hub.db", "No such file"),
    ],
)
def test_a_url_that_cannot_be_opened_is_told_without_its_password(url: str, told: str) -> None:
    async def scenario() -> str:
        with pytest.raises(RegistryError, match=told) as caught:
            async with Registry(url):
                pass
        return str(caught.value)

    assert "secret" not in asyncio.run(scenario())


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "hub.db").write_bytes(b"this is not a database, not at all, really not" * 50)
        with pytest.raises(RegistryError, match="not a database"):
            async with Registry(sqlite_url(tmp_path / "hub.db")):
                pass

    asyncio.run(scenario())


def test_a_closed_registry_refuses_calls(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            pass
        with pytest.raises(RegistryError, match="closed"):
            await registry.node("dev")

    asyncio.run(scenario())
