"""``iothub ledger`` over the real API."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING

from hub.ledger import Settled
from tests.support.api import running_api
from tests.support.commands import Commands
from wire.errors import Reason

if TYPE_CHECKING:
    from pathlib import Path

    from hub.ledger.model import Sequenced


def settled(arrival_ns: int, node: str, *sequences: Sequenced, lost: int = 0) -> Settled:
    """Three messages: stored, handled, refused; ``lost`` more of which nobody knows."""
    return Settled(
        arrival_ns=arrival_ns,
        received=Counter({node: 3 + lost}),
        stored=Counter({node: 1}),
        duplicate=Counter(),
        handled=Counter({node: 1}),
        refused=Counter({(node, Reason.NOT_JSON): 1}),
        values_refused=Counter(),
        sequences=[(node, what) for what in sequences],
    )


def lines_of(text: str) -> list[str]:
    """Lines with one space between words."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_all_nodes_are_listed_each_with_its_sums_and_reasons(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            commands = Commands(tmp_path, api)
            assert (await commands("ledger")).out == "No messages yet.\n"
            await api.ledger.settle(settled(api.clock(), "n1", 1, 4))
            await api.ledger.settle(settled(api.clock(), ""))
            said = await commands("ledger")
            assert said.code == 0
            assert lines_of(said.out) == [
                "NODE RECEIVED STORED DUPL HANDLED REFUSED MISSING LATE DROPPED REASONS",
                "(no node) 3 1 0 1 1 0 0 0 not-json 1",
                "n1 3 1 0 1 1 2 0 0 not-json 1",
            ]
            assert [row["node"] for row in json.loads((await commands("ledger", "--json")).out)] == ["", "n1"]

    asyncio.run(scenario())


def test_one_node_is_shown_with_its_sessions_gaps_and_hours(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.ledger.settle(settled(api.clock(), "n1", "s1", 1, 4, 9, (10, 12), 9))
            commands = Commands(tmp_path, api)
            said = await commands("ledger", "n1")
            assert said.code == 0
            lines = lines_of(said.out)
            assert "s1 1-12 3 6 0 3 1 1 2-3, 5-8" in lines
            assert "refused 1 (not-json 1)" in lines
            assert lines[-1].split(" ", 2)[2] == "3 1 0 1 1 6 0 3 not-json 1"
            document = json.loads((await commands("ledger", "n1", "--json")).out)
            assert (document["node"], document["sessions"][0]["gaps"]) == ("n1", [[2, 3], [5, 8]])
            assert document["hours"][0]["missing"] == 6

    asyncio.run(scenario())


def test_a_node_that_sent_nothing_and_one_that_is_none_are_said(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            commands = Commands(tmp_path, api)
            unknown = await commands("ledger", "n9")
            assert (unknown.code, unknown.err.startswith("iothub: n9 has sent nothing yet")) == (1, True)
            assert (await commands("ledger", "no/node")).code == 2

    asyncio.run(scenario())


def test_a_node_that_numbers_nothing_is_told_apart_from_one_that_misses_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.ledger.settle(settled(api.clock(), "n1"))
            assert "It numbers nothing" in (await Commands(tmp_path, api)("ledger", "n1")).out

    asyncio.run(scenario())


def test_books_that_do_not_balance_are_an_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.ledger.settle(settled(api.clock(), "n1", lost=2))
            said = await Commands(tmp_path, api)("ledger")
            assert said.code == 1
            assert "nobody knows what became of 2 messages of n1" in said.err

    asyncio.run(scenario())
