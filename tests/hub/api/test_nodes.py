from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from hub.broker.errors import BrokerSilent, NameReserved
from hub.nodes.model import Contact
from tests.support.api import names, running_api
from wire.messages import NodeState, Status
from wire.point import Point, SeriesKey

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api

S = 1_000_000_000
T0 = 1_763_750_000 * S


async def heard(api: Api, *nodes: str, at_ns: int = T0) -> None:
    await api.parts.registry.record(api.parts.presence.observe_data(nodes, at_ns), {})


def test_a_declared_node_gets_an_account_whose_password_is_shown_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            answer = await api.http.post("/api/v1/nodes", json={"node": "dev", "groups": ["b", "a"]})
            assert answer.status_code == 201
            assert answer.headers["location"] == "/api/v1/nodes/dev"
            assert answer.json() == {
                "node": "dev",
                "credentials": {"username": "dev", "password": "first", "client_id": "dev"},
                "mqtt": {"host": "127.0.0.1", "port": 1883, "tls": False, "root": "iot/v1"},
            }
            assert api.accounts.passwords == {"dev": "first"}
            assert api.parts.presence.contact("dev") is Contact.NEVER
            shown = await api.http.get("/api/v1/nodes/dev")
            assert "first" not in shown.text.replace("first_seen", "")
            assert (shown.json()["standing"], shown.json()["groups"]) == ("declared", ["a", "b"])

    asyncio.run(scenario())


def test_a_node_is_declared_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.http.post("/api/v1/nodes", json={"node": "dev"})
            again = await api.http.post("/api/v1/nodes", json={"node": "dev"})
            assert again.status_code == 409
            assert again.json()["type"] == "urn:iothub:problem:node-exists"
            assert api.accounts.passwords == {"dev": "first"}

    asyncio.run(scenario())


def test_a_node_that_appeared_by_itself_can_be_declared(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await heard(api, "dev")
            assert (await api.http.get("/api/v1/nodes/dev")).json()["standing"] == "new"
            assert (await api.http.post("/api/v1/nodes", json={"node": "dev"})).status_code == 201
            found = (await api.http.get("/api/v1/nodes/dev")).json()
            assert (found["standing"], found["contact"]) == ("declared", "online")

    asyncio.run(scenario())


def test_without_accounts_of_our_own_a_node_is_declared_all_the_same(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path, accounts=False) as api:
            answer = await api.http.post("/api/v1/nodes", json={"node": "dev"})
            assert (answer.status_code, answer.json()["credentials"]) == (201, None)
            rotated = await api.http.post("/api/v1/nodes/dev/credentials")
            assert rotated.status_code == 409
            assert (await api.http.delete("/api/v1/nodes/dev")).status_code == 204

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("broken", "expected"), [(BrokerSilent("no answer within 5 s"), 503), (NameReserved("'hub' is the hub's"), 422)]
)
def test_a_node_whose_account_cannot_be_made_is_not_declared(tmp_path: Path, broken: Exception, expected: int) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            api.accounts.broken = broken
            answer = await api.http.post("/api/v1/nodes", json={"node": "dev"})
            assert answer.status_code == expected
            assert str(broken) in answer.json()["detail"]
            assert await api.parts.registry.node("dev") is None

    asyncio.run(scenario())


def test_new_credentials_replace_the_old_ones(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.http.post("/api/v1/nodes", json={"node": "dev"})
            answer = await api.http.post("/api/v1/nodes/dev/credentials")
            assert answer.json()["credentials"]["password"] == "first+"
            assert (await api.http.post("/api/v1/nodes/other/credentials")).status_code == 404

    asyncio.run(scenario())


def test_a_removed_node_loses_its_account_and_is_new_when_it_comes_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.http.post("/api/v1/nodes", json={"node": "dev"})
            await heard(api, "dev")
            assert (await api.http.delete("/api/v1/nodes/dev")).status_code == 204
            assert api.accounts.passwords == {}
            assert (await api.http.get("/api/v1/nodes/dev")).status_code == 404
            assert (await api.http.delete("/api/v1/nodes/dev")).status_code == 404
            await heard(api, "dev")
            assert (await api.http.get("/api/v1/nodes/dev")).json()["standing"] == "new"

    asyncio.run(scenario())


def test_a_node_shows_what_it_says_about_itself_and_what_it_publishes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            now = time.time_ns() // S * S
            birth = Status(NodeState.ONLINE, ts=now // 10**6, session="s1", version="2", outbox=True, info={"os": "x"})
            await api.parts.registry.record(
                api.parts.presence.observe_status("dev", birth, now, retained=False), {"dev": now}
            )
            room = SeriesKey("dev", "room", (("floor", "1"),))
            await api.parts.store.write(
                [
                    Point(room, now - S, {"t": 20.0, "door": True, "note": "hi"}),
                    Point(room, now, {"t": 21.5}),
                    Point(SeriesKey("dev2", "room"), now, {"t": 99.0}),
                ]
            )
            found = (await api.http.get("/api/v1/nodes/dev")).json()
            assert (found["contact"], found["session"], found["version"]) == ("online", "s1", "2")
            assert (found["outbox"], found["info"], found["reason"]) == (True, {"os": "x"}, "birth")
            shown = {(one["field"], one["kind"], one["value"]) for one in found["publishes"]}
            assert shown == {("t", "number", 21.5), ("door", "boolean", True), ("note", "text", "hi")}
            assert {one["tags"]["floor"] for one in found["publishes"]} == {"1"}
            assert found["series_total"] == 3

    asyncio.run(scenario())


def test_last_seen_is_fresher_than_what_the_registry_has_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await heard(api, "dev")
            api.parts.presence.observe_data(["dev"], T0 + S)
            assert (await api.http.get("/api/v1/nodes/dev")).json()["last_seen"] == "2025-11-21T18:33:21.000Z"

    asyncio.run(scenario())


def test_nodes_are_paged_without_gaps_or_repeats(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await heard(api, *(f"n{number:02}" for number in range(25)))
            pages = [page async for page in api.pages("/api/v1/nodes", limit=10)]
            assert [len(page["items"]) for page in pages] == [10, 10, 5]
            assert names(row for page in pages for row in page["items"]) == [f"n{number:02}" for number in range(25)]
            assert {page["total"] for page in pages} == {25}

    asyncio.run(scenario())


def test_a_last_page_that_is_full_has_no_next(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await heard(api, "a", "b")
            assert [page["next"] async for page in api.pages("/api/v1/nodes", limit=2)] == [None]

    asyncio.run(scenario())


def test_nodes_are_filtered_by_standing_contact_group_and_text(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.http.post("/api/v1/nodes", json={"node": "Pump-1", "groups": ["cellar"]})
            await heard(api, "dev")
            for params, expected in [
                ({"standing": "declared"}, ["Pump-1"]),
                ({"contact": "online"}, ["dev"]),
                ({"contact": "never"}, ["Pump-1"]),
                ({"group": "cellar"}, ["Pump-1"]),
                ({"text": "pump"}, ["Pump-1"]),
                ({"text": "%"}, []),
            ]:
                answer = await api.http.get("/api/v1/nodes", params=params)
                assert names(answer.json()["items"]) == expected, params

    asyncio.run(scenario())


def test_connections_are_paged_newest_first_with_reasons_and_durations(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            presence, registry = api.parts.presence, api.parts.registry
            for turn in range(3):
                await heard(api, "dev", at_ns=T0 + turn * 1000 * S)
                if turn < 2:
                    await registry.record(presence.tick(T0 + (turn * 1000 + 500) * S), {})
            rows = [row async for page in api.pages("/api/v1/nodes/dev/connections", limit=2) for row in page["items"]]
            assert [row["duration_s"] for row in rows] == [None, 0.0, 0.0]
            assert rows[0]["disconnected_at"] is None
            assert rows[1] == {
                "connected_at": "2025-11-21T18:50:00.000Z",
                "disconnected_at": "2025-11-21T18:50:00.000Z",
                "reason_connected": "back from silence",
                "reason_disconnected": "silence",
                "duration_s": 0.0,
                "session": None,
            }
            assert (await api.http.get("/api/v1/nodes/other/connections")).status_code == 404

    asyncio.run(scenario())


HOSTILE = [
    "a b",
    "%00",
    "..%2f..%2fetc",
    "x" * 65,
    "é",
    "<script>",
    "';--",
    "%0d%0aSet-Cookie:%20a=b",
    "*",
    "[a-z]",
    "%ff",
]
OUTSIDE_THE_GRAMMAR = ["", "a b", "a/b", "+", "#", "x" * 65, "é", "a\n", "a\x00", None, 5, ["a"]]


def test_hostile_node_names_are_not_found_and_harm_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await heard(api, "dev")
            await api.parts.store.write([Point(SeriesKey("dev", "room"), time.time_ns(), {"t": 1.0})])
            for name in HOSTILE:
                for path in (f"/api/v1/nodes/{name}", f"/api/v1/nodes/{name}/connections"):
                    answer = await api.http.get(path)
                    assert answer.status_code == 404, answer.text
                    assert answer.headers["content-type"] == "application/problem+json"
                    assert "set-cookie" not in answer.headers
                assert (await api.http.delete(f"/api/v1/nodes/{name}")).status_code == 404
            assert await api.parts.registry.node("dev") is not None

    asyncio.run(scenario())


def test_a_node_id_outside_the_grammar_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            for name in OUTSIDE_THE_GRAMMAR:
                answer = await api.http.post("/api/v1/nodes", json={"node": name})
                assert answer.status_code == 422, name
                assert answer.json()["errors"][0]["where"] == "body.node"
            assert api.accounts.passwords == {}

    asyncio.run(scenario())
