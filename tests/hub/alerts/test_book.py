"""Lists of alerts from the registry, also of more nodes than one statement takes."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest

from hub.alerts.book import AlertBook, AlertFilter
from hub.nodes.database import Database, sqlite_url
from hub.rules.events import EventKind
from tests.support.alerting import event, lifecycle

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

NODES = 2_000
#: Of one statement; what SQLite was built with differs from one system to the next.
VARIABLES = 900


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with an alert on each of many nodes, of as many rules: every fourth is a pump."""
    folder = tmp_path_factory.mktemp("book")
    life = lifecycle()
    changes = []
    for number in range(NODES):
        node = f"{'tank' if number % 4 else 'pump'}-{number}"
        changes += life.apply(event(EventKind.FIRING, number, node=node, rule=f"r.{number}"))

    async def write() -> None:
        async with Database(sqlite_url(folder / "hub.db")) as database:
            await AlertBook(database).write(changes, {})

    asyncio.run(write())
    return folder


@pytest.mark.parametrize(
    ("chosen", "nodes", "total"),
    [
        (AlertFilter(node="*"), ["tank-1999", "tank-1998", "tank-1997"], NODES),
        (AlertFilter(node="t*"), ["tank-1999", "tank-1998", "tank-1997"], NODES * 3 // 4),
        (AlertFilter(node="[!t]*-1???"), ["pump-1996", "pump-1992", "pump-1988"], NODES // 8),
        (AlertFilter(node="*", rule="r.*[02468]"), ["tank-1998", "pump-1996", "tank-1994"], NODES // 2),
        (AlertFilter(rule="r?*"), ["tank-1999", "tank-1998", "tank-1997"], NODES),
        (AlertFilter(rule="*.19", node="*"), ["tank-19"], 1),
        (AlertFilter(node="[*"), [], 0),
    ],
    ids=str,
)
def test_globs_choose_alerts_of_however_many_nodes_and_rules(
    folder: Path, chosen: AlertFilter, nodes: list[str], total: int
) -> None:
    async def run() -> None:
        async with Database(sqlite_url(folder / "hub.db")) as database:
            await database.run(few_variables)
            alerts, found = await AlertBook(database).page(chosen, before=None, limit=3)
            assert ([alert.node for alert in alerts], found) == (nodes, total)

    asyncio.run(run())


def few_variables(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, VARIABLES)
