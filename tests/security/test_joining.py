"""Joining over the network, the hub's side: only with a good token, and nothing that is another's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.api import running_api
from tests.support.joining import World, in_world

if TYPE_CHECKING:
    from pathlib import Path

HOUR_NS = 3600 * 10**9


def test_a_machine_with_a_token_becomes_a_node_at_once(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        answer = await w.join(await w.token(groups=["lab"]), "new1")
        assert answer.status_code == 201
        said = answer.json()
        assert (said["credentials"]["username"], said["mqtt"]["tls"]) == ("new1", True)
        (node,) = (await w.api.http.get("/api/v1/nodes")).json()["items"]
        assert (node["node"], node["standing"], node["groups"]) == ("new1", "declared", ["lab"])

    in_world(tmp_path, test)


def test_a_token_is_good_as_often_as_it_says(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        token = await w.token(uses=2)
        codes = [(await w.join(token, f"n{i}")).status_code for i in range(4)]
        assert codes == [201, 201, 403, 403]

    in_world(tmp_path, test)


def test_the_last_use_is_given_to_one_of_those_who_come_together(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        token = await w.token()
        answers = await asyncio.gather(*(w.join(token, f"n{i}") for i in range(8)))
        assert sorted(answer.status_code for answer in answers) == [201] + [403] * 7

    in_world(tmp_path, test)


def test_a_token_ends(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        token = await w.token(lifetime_s=60)
        w.api.clock.ahead_ns = HOUR_NS
        assert (await w.join(token, "late")).status_code == 403

    in_world(tmp_path, test)


def test_a_token_that_was_taken_back_is_worth_nothing(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        token = await w.token()
        (listed,) = (await w.api.http.get("/api/v1/join-tokens")).json()["items"]
        assert "token" not in listed
        assert (await w.api.http.delete(f"/api/v1/join-tokens/{listed['id']}")).status_code == 204
        assert (await w.join(token, "n1")).status_code == 403

    in_world(tmp_path, test)


def test_a_token_of_one_node_is_no_other_nodes(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        token = await w.token(node="mine")
        assert (await w.join(token, "other")).status_code == 403
        assert (await w.join(token, "mine")).status_code == 201

    in_world(tmp_path, test)


def test_a_token_for_anybody_gives_away_no_account_that_there_is(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        await w.api.http.post("/api/v1/nodes", json={"node": "old"})
        token = await w.token()
        assert (await w.join(token, "old")).status_code == 409
        assert w.api.accounts.passwords["old"] == "first"
        assert (await w.join(token, "new")).status_code == 201, "what failed used nothing up"

    in_world(tmp_path, test)


def test_a_token_made_for_a_node_renews_its_account(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        await w.api.http.post("/api/v1/nodes", json={"node": "old"})
        assert (await w.join(await w.token(node="old"), "old")).status_code == 201
        assert w.api.accounts.passwords["old"] == "first+"

    in_world(tmp_path, test)


def test_guessing_tokens_is_stopped(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        codes = [(await w.join(f"ihj_{i:032d}", "x")).status_code for i in range(14)]
        assert codes[:10] == [403] * 10
        assert set(codes[10:]) == {429}

    in_world(tmp_path, test)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/v1/nodes"), ("POST", "/api/v1/token"), ("GET", "/metrics"), ("GET", "/health"), ("GET", "/docs")],
)
def test_the_network_reaches_no_other_route(tmp_path: Path, method: str, path: str) -> None:
    async def test(w: World) -> None:
        async with w.machine() as machine:
            assert (await machine.request(method, path)).status_code == 404

    in_world(tmp_path, test)


def test_only_an_administrator_makes_tokens(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        assert (await w.api.anyone.post("/api/v1/join-tokens", json={})).status_code == 401
        assert (await w.api.anyone.get("/api/v1/join-tokens")).status_code == 401

    in_world(tmp_path, test)


def test_no_token_is_made_where_the_network_is_closed(tmp_path: Path) -> None:
    async def run() -> None:
        async with running_api(tmp_path) as api:
            answer = await api.http.post("/api/v1/join-tokens", json={})
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:iothub:problem:no-lan")

    asyncio.run(run())


def test_nothing_that_is_kept_says_the_token(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        token = (await w.token()).partition("#")[0]
        leave = (await w.join(token, "n1")).json()["leave_token"]
        kept = b"".join(path.read_bytes() for path in sorted(tmp_path.glob("hub.db*")))  # noqa: ASYNC240  small files
        assert token.encode() not in kept
        assert leave.encode() not in kept

    in_world(tmp_path, test)


def test_a_node_leaves_with_what_it_was_given_and_nobody_else_does(tmp_path: Path) -> None:
    async def test(w: World) -> None:
        leave_token = (await w.join(await w.token(), "n1")).json()["leave_token"]
        assert (await w.ask("/leave", {"node": "n1", "leave_token": "x" * 32})).status_code == 403
        assert (await w.ask("/leave", {"node": "n2", "leave_token": leave_token})).status_code == 403
        assert (await w.ask("/leave", {"node": "n1", "leave_token": leave_token})).status_code == 204
        assert w.api.accounts.passwords == {}
        assert (await w.api.http.get("/api/v1/nodes/n1")).status_code == 404
        # A later node of that name is not removed with the old token.
        await w.api.http.post("/api/v1/nodes", json={"node": "n1"})
        assert (await w.ask("/leave", {"node": "n1", "leave_token": leave_token})).status_code == 403

    in_world(tmp_path, test)
