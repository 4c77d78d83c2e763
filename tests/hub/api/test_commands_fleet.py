"""One command to many nodes: in stages, stopped after failures, carried on after a restart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from hub.nodes.callers import Role, Scope
from tests.hub.api.test_commands import bench
from tests.support.api import bearer
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub.api.test_commands import Bench


async def start(it: Bench, **more: Any) -> dict[str, Any]:
    answer = await it.http.post("/api/v1/commands", json={"command": "ping", "nodes": ["lab-*"], **more})
    assert answer.status_code == 202, answer.text
    run: dict[str, Any] = answer.json()
    return run


async def shown(it: Bench, run: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await it.http.get(f"/api/v1/fleet-runs/{run['id']}")).json()
    return found


async def ended(it: Bench, run: dict[str, Any]) -> dict[str, Any]:
    await eventually(lambda: run["id"] not in it.commanding.fleet._going)
    return await shown(it, run)


def test_all_nodes_that_match_get_it_and_the_run_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            await it.born("lab-1", "lab-2", "other")
            run = await start(it)
            await eventually(lambda: len(it.link.published) == 2)
            await it.nodes.answer()
            found = await ended(it, run)
            assert (found["state"], found["states"], found["nodes"]) == ("done", {"done": 2}, 2)
            results = (await it.http.get("/api/v1/commands", params={"run": run["id"]})).json()["items"]
            assert {each["node"] for each in results} == {"lab-1", "lab-2"}

    asyncio.run(scenario())


def test_groups_are_nodes_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            await it.http.post("/api/v1/nodes", json={"node": "a", "groups": ["lab"]})
            await start(it, nodes=["group:lab", "n1"])
            await eventually(lambda: len(it.link.published) == 2)
            assert sorted(it.link.nodes) == ["a", "n1"]

    asyncio.run(scenario())


def test_a_stage_waits_for_the_one_before(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            await it.born(*(f"lab-{i:02d}" for i in range(20)))
            run = await start(it, stages=["1", "25%", "all"])
            for expected in (1, 5, 20):
                await eventually(lambda expected=expected: len(it.link.published) == expected)  # type: ignore[misc]
                assert len(it.link.published) == expected
                await it.nodes.answer()
            assert (await ended(it, run))["states"] == {"done": 20}
            assert len(set(it.link.nodes)) == 20

    asyncio.run(scenario())


def test_too_many_failures_stop_it_before_the_next_stage(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            await it.born(*(f"lab-{i}" for i in range(8)))
            run = await start(it, stages=["2", "all"], stop_after_failures=1)
            await eventually(lambda: len(it.link.published) == 2)
            await it.nodes.answer(lambda node: "failed" if node == "lab-0" else "done")
            found = await ended(it, run)
            assert (found["state"], found["states"], found["stage"]) == ("stopped", {"done": 1, "failed": 1}, 1)
            assert "1 failed" in found["why"]
            assert len(it.link.published) == 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "body", "why"),
    [
        ("PATCH", "/users/ada", {"role": "viewer"}, "ada may not command lab-1 any more"),
        ("PATCH", "/users/ada", {"groups": ["other"]}, "ada may not command lab-1 any more"),
        ("PUT", "/nodes/lab-2/groups", {"groups": ["other"]}, "ada may not command lab-2 any more"),
        ("DELETE", "/users/ada", None, "there is no user ada any more"),
    ],
)
def test_who_loses_the_right_begins_no_further_stage(
    tmp_path: Path, method: str, path: str, body: dict[str, Any] | None, why: str
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            for node in ("lab-1", "lab-2"):
                await it.http.post("/api/v1/nodes", json={"node": node, "groups": ["lab"]})
            users, now_ns = it.api.parts.registry.users, it.api.clock()
            await users.add("ada", None, Role.OPERATOR, now_ns, groups=["lab"])
            headers = bearer(await users.issue("ada", Scope.FULL, now_ns, None))
            wanted = {"command": "ping", "nodes": ["*"], "stages": ["1", "all"]}
            run = (await it.http.post("/api/v1/commands", json=wanted, headers=headers)).json()
            await eventually(lambda: len(it.link.published) == 1)
            changed = await it.http.request(method, f"/api/v1{path}", json=body)
            assert changed.is_success, changed.text
            await it.nodes.answer()
            found = await ended(it, run)
            assert (found["state"], found["why"], len(it.link.published)) == ("stopped", why, 1)

    asyncio.run(scenario())


def test_somebody_can_stop_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            await it.born("lab-1", "lab-2")
            run = await start(it, stages=["1", "all"])
            await eventually(lambda: it.link.published)
            assert (await it.http.post(f"/api/v1/fleet-runs/{run['id']}/stop")).status_code == 200
            found = await ended(it, run)
            assert (found["state"], found["why"], len(it.link.published)) == ("stopped", "by admin", 1)
            assert (await it.http.post(f"/api/v1/fleet-runs/{run['id']}/stop")).status_code == 409

    asyncio.run(scenario())


def test_it_goes_on_after_a_restart_of_the_hub_and_nobody_gets_it_twice(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as it:
            await it.born("lab-1", "lab-2")
            run = await start(it, stages=["1", "all"])
            await eventually(lambda: it.link.published)
            _, _, body, _ = it.link.published[0]
        async with bench(tmp_path) as it:
            await it.say("lab-1", body.id or "")
            await eventually(lambda: it.link.published)
            await it.nodes.answer()
            found = await ended(it, run)
            assert (found["state"], found["states"]) == ("done", {"done": 2})
            assert it.link.nodes == ["lab-2"]

    asyncio.run(scenario())
