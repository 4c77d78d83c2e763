"""Replies that nobody asked for, more than anybody reads: they fill neither the journal nor the list of commands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hub.commands.oddities import Oddities
from tests.hub.commands.test_book import NOW_NS, kinds, opened, reply
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from pathlib import Path


def test_a_flood_of_replies_that_nobody_asked_for_is_counted_and_does_not_fill_the_journal(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as book:
            book._oddities = Oddities(a_window=10)
            await book.observe([reply(0, "done", id=f"x{i}") for i in range(100)])
            assert await kinds(book) == ["stray"] * 10
            book._clock_ns = lambda: NOW_NS + 61 * NS_PER_S
            await book.expire(NOW_NS)
            last = (await book.journal(after=0, limit=100))[-1]
            assert (last.kind, '"rows":90' in last.facts) == ("left-out", True)

    asyncio.run(test())


def test_a_flood_of_whole_streams_that_nobody_asked_for_fills_neither_journal_nor_list(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened(tmp_path) as book:
            book._oddities = Oddities(a_window=10)
            for i in range(50):
                await book.observe([reply(n, state, id=f"x{i}") for n, state in enumerate(("accepted", "done"))])
            assert await kinds(book) == ["stray"] * 10
            assert len(await book.select((), 1000)) <= 10
            await book.observe([reply(0, "done", node="n2", id="y")])
            assert await kinds(book) == ["stray"] * 11, "a flood of one node hides nothing of another"

    asyncio.run(test())
