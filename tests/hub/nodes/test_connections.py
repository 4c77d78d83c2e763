"""The history of connections: paged, and bounded by age and number."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from hub.nodes.database import RegistryError, sqlite_url
from hub.nodes.presence import Presence
from hub.nodes.registry import Registry
from tests.support.births import T0, S, flapping, online

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    Opened = Callable[[], AbstractAsyncContextManager[Registry]]


def test_connections_are_paged_newest_first(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            for turn in range(5):
                await registry.record(online("dev", T0 + turn * S), {})
            first = await registry.connections("dev", limit=2)
            second = await registry.connections("dev", before=first[-1].id, limit=2)
            times = [row.connected_ns for row in first + second]
            assert times == [T0 + turn * S for turn in (4, 3, 2, 1)]

    asyncio.run(scenario())


def test_connections_older_than_a_year_are_dropped_unless_they_last(opened: Opened) -> None:
    async def scenario() -> None:
        async with opened() as registry:
            for turn in range(2):
                await registry.record(online("dev", T0 + turn * S), {})
            assert await registry.maintain(T0 + 366 * 86_400 * S) == 1
            (row,) = await registry.connections("dev")
            assert row.disconnected_ns is None

    asyncio.run(scenario())


def test_of_a_node_that_flaps_only_the_newest_connections_are_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Registry(sqlite_url(tmp_path / "hub.db"), connections_kept=5) as registry:
            await registry.record([*flapping(20), *online("steady")], {})
            assert await registry.maintain(T0) == 15
            assert [row.session for row in await registry.connections("flapping")] == [
                "s19",
                "s18",
                "s17",
                "s16",
                "s15",
            ]
            assert len(await registry.connections("steady")) == 1
            assert await registry.maintain(T0) == 0

    asyncio.run(scenario())


def test_while_connections_of_very_many_nodes_are_counted_others_get_their_turn(tmp_path: Path) -> None:
    nodes = [f"n{i:05d}" for i in range(2_600)]

    async def scenario() -> None:
        statements: list[str] = []
        presence, births = Presence(90), []
        for turn in range(2):
            for node in nodes[: 2_600 if turn == 0 else 3]:
                births += online(node, T0 + turn * S, session=f"s{turn}", presence=presence)
        async with Registry(sqlite_url(tmp_path / "hub.db"), connections_kept=1) as registry:
            await registry.record(births, {})
            engine = registry.database._engine
            assert engine is not None
            event.listen(engine, "before_cursor_execute", lambda *of: statements.append(of[2]))
            assert await registry.maintain(T0) == 3
            begun = sum("BEGIN" in statement for statement in statements)
            assert begun >= len(nodes) // 500
            # Not a statement a node: 100,000 nodes that all came back would hold everything up for a minute.
            assert len(statements) < 50

    asyncio.run(scenario())


def test_connections_that_could_not_be_counted_are_counted_the_next_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Registry(sqlite_url(tmp_path / "hub.db"), connections_kept=1) as registry:
            await registry.record(flapping(4), {})
            full = "CREATE TRIGGER full BEFORE DELETE ON connections BEGIN SELECT RAISE(FAIL, 'disk full'); END"
            await registry.database.run(lambda connection: connection.exec_driver_sql(full))
            with pytest.raises(RegistryError):
                await registry.maintain(T0)
            await registry.database.run(lambda connection: connection.exec_driver_sql("DROP TRIGGER full"))
            assert await registry.maintain(T0) == 3

    asyncio.run(scenario())
