"""The ledger over HTTP."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from hub.ledger import Settled
from tests.support.api import names, running_api
from wire.errors import Reason

if TYPE_CHECKING:
    from pathlib import Path

    from hub.ledger.model import Sequenced

HOUR_NS = 3600 * 1_000_000_000


def settled(arrival_ns: int, *nodes: str, sequences: list[tuple[str, Sequenced]] | None = None) -> Settled:
    """Of each node one message stored, one handled, one refused."""
    one = Counter(nodes)
    return Settled(
        arrival_ns=arrival_ns,
        received=Counter(dict.fromkeys(nodes, 3)),
        stored=one,
        duplicate=Counter(),
        handled=one,
        refused=Counter({(node, Reason.NOT_JSON): 1 for node in nodes}),
        values_refused=Counter({(node, Reason.NOT_FINITE): 2 for node in nodes}),
        sequences=sequences or [],
    )


def test_the_ledger_is_paged_by_node(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.ledger.settle(settled(api.clock(), "", *(f"n{number}" for number in range(5))))
            pages = [page async for page in api.pages("/api/v1/ledger", limit=2)]
            assert names(row for page in pages for row in page["items"]) == ["", "n0", "n1", "n2", "n3", "n4"]
            assert {page["total"] for page in pages} == {6}
            one = (await api.http.get("/api/v1/ledger", params={"node": "n3"})).json()
            assert one["total"] == 1
            assert one["items"] == [
                {
                    "node": "n3",
                    "received": 3,
                    "stored": 1,
                    "duplicate": 0,
                    "handled": 1,
                    "refused": {"not-json": 1},
                    "values_refused": {"not-finite": 2},
                    "missing": 0,
                    "late": 0,
                    "dropped_by_node": 0,
                    "repeats": 0,
                    "unaccounted": 0,
                }
            ]

    asyncio.run(scenario())


def test_hours_are_paged_newest_first_within_the_range(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            now_ns = api.clock()
            for ago in (30, 2, 1, 0):
                await api.ledger.settle(settled(now_ns - ago * HOUR_NS, "a", "b"))
            hours = [row async for page in api.pages("/api/v1/ledger/hours", limit=2) for row in page["items"]]
            assert names(hours) == ["b", "a"] * 3
            assert names(hours, "start") == sorted(names(hours, "start"), reverse=True)
            assert [row["received"] for row in hours] == [3] * 6
            one = (await api.http.get("/api/v1/ledger/hours", params={"node": "a", "start": "-2d"})).json()["items"]
            assert (names(one), one[0]["start"][14:]) == (["a"] * 4, "00:00.000Z")
            wrong = await api.http.get("/api/v1/ledger/hours", params={"page": "nonsense"})
            assert wrong.status_code == 422

    asyncio.run(scenario())


def test_sessions_show_what_is_missing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            sequences: list[tuple[str, Sequenced]] = [("n", "s"), ("n", 1), ("n", 4), ("n", (5, 6)), ("n", 2)]
            await api.ledger.settle(settled(api.clock(), "n", sequences=sequences))
            (row,) = (await api.http.get("/api/v1/ledger/sessions", params={"node": "n"})).json()["items"]
            assert row == {
                "session": "s",
                "first": 1,
                "last": 6,
                "watermark": 2,
                "seen": 3,
                "missing": 1,
                "given_up": 0,
                "dropped": 2,
                "late": 1,
                "repeats": 0,
                "gaps": [[3, 3]],
            }
            assert (await api.http.get("/api/v1/ledger/sessions", params={"node": "m"})).json()["items"] == []
            assert (await api.http.get("/api/v1/ledger/sessions")).status_code == 422

    asyncio.run(scenario())
