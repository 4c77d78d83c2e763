"""Users, their passwords and tokens over HTTP, and what the journal says of it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from hub.nodes.callers import Role
from tests.support.api import PASSWORD, bearer, running_api

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.api import Api

NEW = "a new password"


async def login(api: Api, user: str, password: str) -> Any:
    return await api.anyone.post("/api/v1/token", json={"user": user, "password": password})


async def journal(api: Api) -> list[dict[str, Any]]:
    rows = (await api.http.get("/api/v1/audit")).json()["items"]
    return [json.loads(row["facts"]) | {"subject": row["id"]} for row in rows if row["kind"] == "change"]


def test_a_user_is_made_with_a_password_shown_once_and_logs_in(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            wanted = {"name": "ann", "role": "operator", "groups": ["lab"]}
            made = (await api.http.post("/api/v1/users", json=wanted)).json()
            assert (made["role"], made["groups"]) == ("operator", ["lab"])
            token = (await login(api, "ann", made["password"])).json()
            assert (token["role"], token["scope"]) == ("operator", "operate")
            (row,) = [u for u in (await api.http.get("/api/v1/users")).json()["items"] if u["name"] == "ann"]
            assert row["tokens"] == 1
            assert row["last_login"] is not None
            assert "password" not in row
            assert (await api.http.post("/api/v1/users", json=wanted)).status_code == 409
            for wrong in ({"password": "short"}, {"role": "god"}, {"name": "a b"}, {"role": "admin"}):
                assert (await api.http.post("/api/v1/users", json=wanted | wrong)).status_code == 422
            assert made["password"] not in json.dumps(await journal(api))

    asyncio.run(scenario())


def test_a_change_of_role_holds_for_sessions_that_there_are(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.http.post("/api/v1/users", json={"name": "ann", "role": "admin", "password": NEW})
            session = bearer((await login(api, "ann", NEW)).json()["token"])
            assert (await api.anyone.get("/api/v1/users", headers=session)).status_code == 200
            await api.http.patch("/api/v1/users/ann", json={"role": "viewer"})
            assert (await api.anyone.get("/api/v1/users", headers=session)).status_code == 403
            await api.http.delete("/api/v1/users/ann")
            assert (await api.anyone.get("/api/v1/nodes", headers=session)).status_code == 401

    asyncio.run(scenario())


def test_there_is_always_somebody_who_can_log_in_as_an_administrator(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            assert (await api.http.delete("/api/v1/users/admin")).status_code == 409
            assert (await api.http.patch("/api/v1/users/admin", json={"role": "viewer"})).status_code == 409
            assert (await api.http.get("/api/v1/users")).status_code == 200
            await api.http.post("/api/v1/users", json={"name": "ann", "role": "admin", "password": NEW})
            assert (await api.http.delete("/api/v1/users/admin")).status_code == 204

    asyncio.run(scenario())


def test_ones_own_password_needs_the_old_one_and_ends_all_sessions(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            session = bearer((await login(api, "admin", PASSWORD)).json()["token"])
            wrong = {"current": "guessed", "new": NEW}
            assert (await api.anyone.put("/api/v1/password", headers=session, json=wrong)).status_code == 403
            right = {"current": PASSWORD, "new": NEW}
            assert (await api.anyone.put("/api/v1/password", headers=session, json=right)).status_code == 204
            assert (await api.anyone.get("/api/v1/nodes", headers=session)).status_code == 401
            assert (await login(api, "admin", PASSWORD)).status_code == 401
            assert (await login(api, "admin", NEW)).status_code == 201

    asyncio.run(scenario())


def test_a_login_under_way_while_the_password_changes_gives_no_session_that_outlives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            users = api.parts.registry.users
            check = users.check_password

            async def overtaken(name: str, password: str) -> Role | None:
                role = await check(name, password)
                await users.set_password(name, NEW)
                return role

            with monkeypatch.context() as patched:
                patched.setattr(users, "check_password", overtaken)
                assert (await login(api, "admin", PASSWORD)).status_code == 401
            assert (await login(api, "admin", PASSWORD)).status_code == 401
            token = (await login(api, "admin", NEW)).json()["token"]
            mine = await api.anyone.get("/api/v1/tokens", headers=bearer(token))
            assert len(mine.json()["items"]) == 1, "the session of the old password is gone"

    asyncio.run(scenario())


def test_a_token_for_a_program_is_scoped_expires_and_makes_no_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            viewer = await api.token_of(Role.VIEWER)
            wanted = {"name": "backup", "scope": "full", "lifetime_s": 60}
            made = (await api.anyone.post("/api/v1/tokens", headers=viewer, json=wanted)).json()
            assert (made["scope"], made["kind"]) == ("read", "token"), "no more than its user"
            program = bearer(made["token"])
            assert (await api.anyone.get("/api/v1/nodes", headers=program)).status_code == 200
            for method, path in (("POST", "/api/v1/tokens"), ("PUT", "/api/v1/password")):
                body = wanted if method == "POST" else {"current": "x", "new": NEW}
                assert (await api.anyone.request(method, path, headers=program, json=body)).status_code == 403
            for_admin = wanted | {"user": "admin"}
            assert (await api.anyone.post("/api/v1/tokens", headers=viewer, json=for_admin)).status_code == 403
            assert (await api.anyone.get("/api/v1/tokens?user=admin", headers=viewer)).status_code == 403
            own = (await api.anyone.get("/api/v1/tokens", headers=viewer)).json()["items"]
            assert {row["user"] for row in own} == {"a-viewer"}
            assert made["token"] not in (await api.anyone.get("/api/v1/tokens", headers=viewer)).text
            api.clock.ahead_ns = 61 * 10**9
            assert (await api.anyone.get("/api/v1/nodes", headers=program)).status_code == 401

    asyncio.run(scenario())


def test_a_token_is_ended_by_its_owner_or_an_administrator_and_by_nobody_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            viewer = await api.token_of(Role.VIEWER)
            (admins,) = (await api.http.get("/api/v1/tokens?user=admin")).json()["items"]
            path = f"/api/v1/tokens/{admins['id']}"
            assert (await api.anyone.delete(path, headers=viewer)).status_code == 404
            made = (await api.anyone.post("/api/v1/tokens", headers=viewer, json={"name": "x"})).json()
            assert (await api.http.delete(f"/api/v1/tokens/{made['id']}")).status_code == 204
            assert (await api.anyone.get("/api/v1/nodes", headers=bearer(made["token"]))).status_code == 401
            assert (await api.http.delete("/api/v1/users/a-viewer/tokens")).json() == {"revoked": 1}
            assert (await api.anyone.get("/api/v1/nodes", headers=viewer)).status_code == 401

    asyncio.run(scenario())


def test_every_change_of_rights_stands_in_the_journal_with_who_did_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.http.post("/api/v1/nodes", json={"node": "dev"})
            await api.http.put("/api/v1/nodes/dev/groups", json={"groups": ["lab"]})
            await api.http.post("/api/v1/users", json={"name": "ann", "role": "viewer", "password": NEW})
            await api.http.patch("/api/v1/users/ann", json={"groups": ["lab"], "password": NEW + "er"})
            await api.http.post("/api/v1/tokens", json={"name": "t", "user": "ann"})
            await api.http.delete("/api/v1/users/ann")
            rows = await journal(api)
            assert [(row["what"], row["subject"]) for row in rows] == [
                ("node declared", "dev"),
                ("node put into groups", "dev"),
                ("user added", "ann"),
                ("user changed", "ann"),
                ("password set", "ann"),
                ("token made", "ann"),
                ("user removed", "ann"),
            ]
            assert {row["by"] for row in rows} == {"admin"}
            assert NEW not in json.dumps(rows)

    asyncio.run(scenario())


def test_what_was_done_while_the_journal_is_full_is_answered_so_and_stands_in_it_later(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            assert api.parts.commanding is not None
            book = api.parts.commanding.book
            await book.run(lambda file: file.execute("PRAGMA max_page_count = 1").fetchall())
            many = [{"name": f"user-{number}", "role": "viewer", "groups": ["x" * 60] * 50} for number in range(5)]
            made = [await api.http.post("/api/v1/users", json=one) for one in many]
            assert [answer.status_code for answer in made] == [201] * 5
            for answer, one in zip(made, many, strict=True):
                assert (await login(api, str(one["name"]), answer.json()["password"])).status_code == 201
            assert len(await journal(api)) < 5
            await book.run(lambda file: file.execute("PRAGMA max_page_count = 100000").fetchall())
            assert (await api.http.delete("/api/v1/users/user-0")).status_code == 204
            rows = await journal(api)
            assert [row["subject"] for row in rows] == [*(str(one["name"]) for one in many), "user-0"]

    asyncio.run(scenario())
