"""What somebody with access groups does not see appears nowhere: every route of the OpenAPI document is walked over."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
import websockets

from hub.live import MessageEvent, NodeEvent, Outcome
from hub.nodes.callers import Role, Scope
from hub.nodes.model import Change
from tests.support.api import bearer
from tests.support.planted import FOREIGN, GROUPS, OURS, paths, planted, restricted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api

#: Reading routes that are about no node, or for administrators; they are walked over all the same.
NOT_ABOUT_NODES = {
    "/api/v1/token",
    "/api/v1/token/oidc",
    "/api/v1/tokens",
    "/api/v1/users",
    "/api/v1/accounts",
    "/api/v1/denials",
    "/api/v1/join-tokens",
    "/api/v1/audit",
    "/api/v1/audit/head",
    "/api/v1/audit/logins",
    "/api/v1/notify/channels",
    "/api/v1/rejects/figures",
    "/health",
    "/metrics",
}
#: Lists that name no node, even of ours.
NAMELESS = {"/api/v1/fleet-runs", "/api/v1/ledger/sessions", "/api/v1/measurements"}
#: What belongs to users or has a name of its own.
OTHERWISE = ("/api/v1/rules", "/api/v1/views", "/api/v1/tokens")
#: What a list must be asked for to show all that it has.
WIDELY = {
    "/api/v1/alerts": {"state": "all"},
    "/api/v1/silences": {"ended": "true"},
    "/api/v1/query": {"start": "-1d", "stop": "+1h"},
    "/api/v1/logs": {"start": "-1d", "stop": "+1h"},
    "/api/v1/ledger/hours": {"start": "-1d", "stop": "+1h"},
}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_a_foreign_node_is_named_by_no_reading_route(tmp_path: Path, role: Role) -> None:
    async def scenario() -> None:
        async with planted(tmp_path) as api:
            headers = await restricted(api, role)
            document = (await api.anyone.get("/openapi.json")).json()
            showing, hiding = set(), set()
            for method, template, path in paths(document, node=OURS, number="1"):
                if method != "GET":
                    continue
                params = WIDELY.get(template, {}) | ({"node": OURS} if template.endswith("/sessions") else {})
                everything = await api.http.get(path, params=params)
                seen = await api.anyone.get(path, headers=headers, params=params)
                assert FOREIGN not in seen.text, f"{path} shows {role} what it may not see: {seen.text[:400]}"
                if FOREIGN in everything.text:
                    hiding.add(template)
                if OURS in seen.text.replace(path, "") and seen.status_code == 200:
                    showing.add(template)
                for asked in ({"node": FOREIGN}, {"text": FOREIGN}):
                    narrowed = await api.anyone.get(path, headers=headers, params=params | asked)
                    assert narrowed.status_code == 422 or FOREIGN not in narrowed.text, narrowed.text[:400]
            assert len(hiding) >= 12, f"what was planted shows in {sorted(hiding)} only"
            lists = {p for p, m in document["paths"].items() if "get" in m and "{" not in p} - NOT_ABOUT_NODES
            assert lists - NAMELESS <= showing, "ours is hidden as well"

    asyncio.run(scenario())


@pytest.mark.parametrize("form", ["json", "csv", "arrow"])
def test_a_list_of_nodes_in_a_query_narrows_and_never_widens(tmp_path: Path, form: str) -> None:
    async def scenario() -> None:
        async with planted(tmp_path) as api:
            headers = await restricted(api, Role.VIEWER)
            nobody = bearer(await _issued(api, "nobody", groups=[]))
            wide = {"start": "-1d", "stop": "+1h", "format": form}
            for nodes in (FOREIGN, f"{OURS},{FOREIGN}", "", "*", f"{OURS},", None):
                for more in ({}, {"every": "1h"}, {"points": "100"}, {"node": FOREIGN}, {"node": "*"}):
                    params = wide | more | ({"nodes": nodes} if nodes is not None else {})
                    answer = await api.anyone.get("/api/v1/query", headers=headers, params=params)
                    assert answer.status_code == 200, answer.text
                    assert FOREIGN.encode() not in answer.content, params
                    shows = (nodes is None or OURS in nodes) and more.get("node") != FOREIGN
                    assert (OURS.encode() in answer.content) is shows, params
                    empty = await api.anyone.get("/api/v1/query", headers=nobody, params=params)
                    assert OURS.encode() not in empty.content
                    assert FOREIGN.encode() not in empty.content

    asyncio.run(scenario())


def test_what_belongs_to_a_foreign_node_answers_as_what_is_not_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with planted(tmp_path) as api:
            headers = await restricted(api)
            document = (await api.anyone.get("/openapi.json")).json()
            runs = (await api.http.get("/api/v1/fleet-runs")).json()["items"]
            (foreign_run,) = [run["id"] for run in runs if await _is_foreign(api, run["id"])]
            there = list(paths(document, node=FOREIGN, number="2", run=foreign_run))
            nowhere = list(paths(document, node="nobody-here", number="77"))
            bodies: dict[str, Any] = {"/assign": {"to": "x"}, "/comment": {"why": "x"}}
            for (method, template, path), (_, _, other) in zip(there, nowhere, strict=True):
                if "{" not in template or template.startswith(OTHERWISE):
                    continue
                body = next((body for end, body in bodies.items() if template.endswith(end)), None)
                one = await api.anyone.request(method, path, headers=headers, json=body)
                two = await api.anyone.request(method, other, headers=headers, json=body)
                assert one.status_code == two.status_code, f"{method} {path}: {one.text} but {other}: {two.text}"
                assert one.status_code in (403, 404, 422), f"{method} {path}: {one.text}"
            for method, path in (("GET", "/api/v1/rules/rule-2"), ("DELETE", "/api/v1/silences/2")):
                assert (await api.anyone.request(method, path, headers=headers)).status_code == 404

    asyncio.run(scenario())


def test_commands_silences_and_replays_reach_ones_own_nodes_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with planted(tmp_path) as api:
            headers = await restricted(api)

            async def post(path: str, body: Any) -> int:
                return (await api.anyone.post(f"/api/v1{path}", headers=headers, json=body)).status_code

            assert await post(f"/nodes/{OURS}/commands/ping", {}) == 202
            assert await post(f"/nodes/{FOREIGN}/commands/ping", {}) == 404
            assert await post("/commands", {"command": "ping", "nodes": [FOREIGN]}) == 404
            assert await post("/commands", {"command": "ping", "nodes": ["group:vault"]}) == 404
            run = await api.anyone.post("/api/v1/commands", headers=headers, json={"command": "ping", "nodes": ["*"]})
            assert (run.status_code, run.json()["nodes"]) == (202, 1), "everything means everything that is seen"
            for wide in ("*", FOREIGN, "b*"):
                assert await post("/silences", {"node": wide, "ends": "+1h", "why": "x"}) == 403
            assert await post("/silences", {"node": OURS, "ends": "+1h", "why": "x"}) == 201
            assert await post("/rejects/replay", {"ids": [2]}) == 404
            assert await post("/rejects/replay", {"ids": [1, 2]}) == 404
            assert await post("/alerts/2/ack", {}) == 404
            assert await post("/alerts/1/ack", {}) == 200

    asyncio.run(scenario())


def test_a_backtest_looks_at_ones_own_history_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with planted(tmp_path) as api:
            headers = await restricted(api, Role.VIEWER)
            wanted = {"start": "-1h", "rule": {"metric": "room.temperature", "above": 0}}
            everything = (await api.http.post("/api/v1/rules/test", json=wanted)).text
            assert FOREIGN in everything
            seen = (await api.anyone.post("/api/v1/rules/test", headers=headers, json=wanted)).text
            assert OURS in seen
            assert FOREIGN not in seen

    asyncio.run(scenario())


def test_live_events_of_foreign_nodes_and_of_none_do_not_arrive(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with planted(tmp_path) as api:
            headers = await restricted(api, Role.VIEWER)
            url = api.url.replace("http", "ws", 1) + "/api/v1/live"
            async with asyncio.timeout(20), websockets.connect(url, additional_headers=headers) as client:
                await client.send("{}")
                assert json.loads(await client.recv()) == {"type": "ready"}
                for node in (FOREIGN, None, OURS):
                    topic = f"iot/v1/{node}/telemetry/room"
                    api.parts.live.publish(MessageEvent(1, topic, node, "room", Outcome.STORED, 4))
                api.parts.live.publish(NodeEvent(1, FOREIGN, Change.ONLINE, "birth"))
                api.parts.live.publish(NodeEvent(1, OURS, Change.ONLINE, "birth"))
                found = [json.loads(await client.recv())["node"] for _ in range(2)]
                assert found == [OURS, OURS]

    asyncio.run(scenario())


def test_a_stream_ends_when_its_token_is_revoked_or_other_nodes_may_be_seen(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with planted(tmp_path) as api:
            users = api.parts.registry.users
            url = api.url.replace("http", "ws", 1) + "/api/v1/live"

            async def code_after(change: Any) -> int:
                headers = await restricted(api, Role.VIEWER)
                async with asyncio.timeout(20), websockets.connect(url, additional_headers=headers) as client:
                    await client.send("{}")
                    await client.recv()
                    await change(headers["Authorization"].split()[1])
                    with contextlib.suppress(websockets.ConnectionClosed):
                        while True:
                            await client.recv()
                    return client.close_code or 0

            async def regroup(_: str) -> None:
                await api.http.put(f"/api/v1/nodes/{FOREIGN}/groups", json={"groups": ["vault", GROUPS[OURS]]})

            assert await code_after(users.revoke) == 4401
            assert await code_after(lambda _: users.revoke_all("narrow-viewer")) == 4401
            assert await code_after(regroup) == 1013
            assert await code_after(lambda _: users.remove("narrow-viewer")) == 4401

    asyncio.run(scenario())


def test_groups_that_change_hold_for_tokens_that_there_are(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with planted(tmp_path) as api:
            headers = await restricted(api, Role.VIEWER)

            async def seen() -> list[str]:
                answer = await api.anyone.get("/api/v1/nodes", headers=headers)
                return [row["node"] for row in answer.json()["items"]]

            assert await seen() == [OURS]
            changed = await api.http.patch("/api/v1/users/narrow-viewer", json={"groups": ["vault"]})
            assert changed.status_code == 200, changed.text
            assert await seen() == [FOREIGN]
            await api.http.patch("/api/v1/users/narrow-viewer", json={"groups": []})
            assert await seen() == []
            await api.http.patch("/api/v1/users/narrow-viewer", json={"groups": None})
            assert await seen() == [OURS, FOREIGN]
            both = bearer(await api.parts.registry.users.issue("narrow-viewer", Scope.READ, api.clock(), None))
            assert (await api.anyone.get(f"/api/v1/nodes/{FOREIGN}", headers=both)).status_code == 200

    asyncio.run(scenario())


async def _issued(api: Api, name: str, *, groups: list[str]) -> str:
    users = api.parts.registry.users
    await users.add(name, None, Role.VIEWER, api.clock(), groups=groups)
    return await users.issue(name, Scope.FULL, api.clock(), None)


async def _is_foreign(api: Api, run: str) -> bool:
    found = (await api.http.get("/api/v1/commands", params={"run": run})).json()["items"]
    return [command["node"] for command in found] == [FOREIGN]
