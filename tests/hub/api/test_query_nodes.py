"""``GET query`` for a list of nodes, as charts of many nodes ask it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from hub.api.schemas import QueryAnswer
from hub.nodes.callers import Role, Scope
from tests.support.api import bearer, running_api
from wire.point import Point, SeriesKey

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api

S = 1_000_000_000


async def filled(api: Api) -> None:
    """Ten samples, one a second, of ``dev`` and of ``dev2``."""
    start = time.time_ns() - 600 * S
    keys = [SeriesKey("dev", "cpu"), SeriesKey("dev2", "cpu")]
    await api.parts.store.write(
        [
            Point(key, start + second * S, {"usage": float(second), "busy": second > 4})
            for key in keys
            for second in range(10)
        ]
    )


async def query(api: Api, **params: Any) -> QueryAnswer:
    answer = await api.http.get("/api/v1/query", params=params)
    assert answer.status_code == 200, answer.text
    return QueryAnswer.model_validate_json(answer.content)


def test_samples_are_chosen_by_a_list_of_nodes_also_beside_a_pattern(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await filled(api)
            assert {one.node for one in (await query(api, nodes="dev,dev2")).series} == {"dev", "dev2"}
            assert {one.node for one in (await query(api, nodes="dev2,ghost")).series} == {"dev2"}
            assert (await query(api, nodes="dev*")).series == []  # ids, no patterns
            assert (await query(api, nodes="dev,dev2", node="*2", field="usage")).rows == 10
            reduced = await query(api, nodes="dev2", field="usage", points=10)
            assert {one.node for one in reduced.series} == {"dev2"}

    asyncio.run(scenario())


def test_a_list_of_nodes_shows_nobody_what_its_groups_hide(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await filled(api)
            await api.parts.registry.declare("dev", ["lab"])
            await api.parts.registry.users.add("narrow", None, Role.VIEWER, api.clock(), groups=["lab"])
            token = await api.parts.registry.users.issue("narrow", Scope.READ, api.clock(), None)
            for points in ({}, {"points": "10"}):
                params = {"nodes": "dev,dev2", **points}
                answer = await api.anyone.get("/api/v1/query", params=params, headers=bearer(token))
                shown = QueryAnswer.model_validate_json(answer.content)
                assert {one.node for one in shown.series} == {"dev"}

    asyncio.run(scenario())
