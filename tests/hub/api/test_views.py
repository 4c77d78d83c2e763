"""Saved views: one's own, those that are shared, and who may do what."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hub.nodes.callers import Role, Scope
from hub.nodes.views import MOST_VIEWS
from tests.support.api import PASSWORD, running_api

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api

PARAMS = {"m": ["cpu"], "f": ["usage", "user"], "from": ["-1d"]}


async def holder(api: Api, name: str, role: Role) -> dict[str, str]:
    """Headers of somebody who has just logged in."""
    await api.parts.registry.users.add(name, PASSWORD, role, api.clock())
    answer = await api.http.post("/api/v1/token", json={"user": name, "password": PASSWORD, "scope": "full"})
    return {"Authorization": f"Bearer {answer.json()['token']}"}


async def save(api: Api, who: dict[str, str], name: str, **more: Any) -> int:
    body = {"page": "explore", "name": name, "params": PARAMS, **more}
    return (await api.http.post("/api/v1/views", json=body, headers=who)).status_code


async def names(api: Api, who: dict[str, str], **params: str) -> list[str]:
    answer = await api.http.get("/api/v1/views", headers=who, params=params)
    return [one["name"] for one in answer.json()["items"]]


def test_a_view_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            ann = await holder(api, "ann", Role.VIEWER)
            assert await save(api, ann, "my boiler") == 201
            (view,) = (await api.http.get("/api/v1/views", headers=ann)).json()["items"]
            assert (view["name"], view["page"], view["params"]) == ("my boiler", "explore", PARAMS)
            assert (view["owner"], view["shared"]) == ("ann", False)

    asyncio.run(scenario())


def test_a_view_of_the_same_page_and_name_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            ann = await holder(api, "ann", Role.VIEWER)
            await save(api, ann, "one")
            await save(api, ann, "one", params={"m": ["mem"]})
            (view,) = (await api.http.get("/api/v1/views", headers=ann)).json()["items"]
            assert view["params"] == {"m": ["mem"]}

    asyncio.run(scenario())


def test_others_see_what_is_shared_and_nothing_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            ann, bob = await holder(api, "ann", Role.VIEWER), await holder(api, "bob", Role.OPERATOR)
            await save(api, bob, "of bob")
            await save(api, bob, "for all", shared=True)
            await save(api, bob, "of logs", shared=True, page="logs")
            assert await names(api, ann) == ["for all", "of logs"]
            assert await names(api, ann, of="logs") == ["of logs"]
            assert await names(api, bob, of="explore") == ["of bob", "for all"]

    asyncio.run(scenario())


def test_viewers_share_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            ann = await holder(api, "ann", Role.VIEWER)
            assert await save(api, ann, "for all", shared=True) == 403
            assert await names(api, ann) == []

    asyncio.run(scenario())


def test_a_token_that_may_only_read_saves_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.parts.registry.users.add("ann", PASSWORD, Role.OPERATOR, api.clock())
            token = await api.parts.registry.users.issue("ann", Scope.READ, api.clock(), None, session=False)
            assert await save(api, {"Authorization": f"Bearer {token}"}, "mine") == 403

    asyncio.run(scenario())


def test_only_its_owner_and_administrators_remove_a_view(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            bob, eve = await holder(api, "bob", Role.OPERATOR), await holder(api, "eve", Role.OPERATOR)
            boss = await holder(api, "boss", Role.ADMIN)
            await save(api, bob, "own")
            await save(api, bob, "shared", shared=True)
            own, shared = (one["id"] for one in (await api.http.get("/api/v1/views", headers=bob)).json()["items"])

            async def remove(number: int, who: dict[str, str]) -> int:
                return (await api.http.delete(f"/api/v1/views/{number}", headers=who)).status_code

            assert await remove(own, eve) == 404
            assert await remove(own, boss) == 404
            assert await remove(shared, eve) == 403
            assert await remove(shared, boss) == 204
            assert await remove(own, bob) == 204
            assert await remove(own, bob) == 404

    asyncio.run(scenario())


def test_views_go_with_their_owner(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            ann, bob = await holder(api, "ann", Role.VIEWER), await holder(api, "bob", Role.OPERATOR)
            await save(api, bob, "for all", shared=True)
            await api.parts.registry.users.remove("bob")
            assert await names(api, ann) == []

    asyncio.run(scenario())


def test_there_is_an_end_to_views(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            ann = await holder(api, "ann", Role.VIEWER)
            assert {await save(api, ann, f"view {i}") for i in range(MOST_VIEWS)} == {201}
            assert await save(api, ann, "one more") == 409
            assert await save(api, ann, "view 0") == 201

    asyncio.run(scenario())


def test_long_lists_come_in_pages(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            ann = await holder(api, "ann", Role.VIEWER)
            for name in "abc":
                await save(api, ann, name)
            first = (await api.http.get("/api/v1/views", headers=ann, params={"limit": 2})).json()
            assert [one["name"] for one in first["items"]] == ["a", "b"]
            assert await names(api, ann, page=first["next"]) == ["c"]

    asyncio.run(scenario())
