"""``/token/oidc`` against an issuer over real HTTP: who gets in, and as what."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from tests.support.api import PASSWORD, bearer, running_api
from tests.support.issuer import CLIENT_ID, CLIENT_SECRET, jwk, person, sign
from tests.support.oidc import BACK, ROUTE, last_login, log_in, names, running, user

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.issuer import Issuer

# -- who gets in -------------------------------------------------------------------------------------------------------


def test_without_the_setting_there_is_no_such_login(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            assert (await api.anyone.get(ROUTE)).status_code == 404
            body = {"code": "x", "code_verifier": "v" * 43, "redirect_uri": BACK, "nonce": "n" * 16}
            assert (await api.anyone.post(ROUTE, json=body)).status_code == 404

    asyncio.run(scenario())


def test_a_login_page_is_told_where_to_send_the_browser_and_no_secret(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        answer = await api.anyone.get(ROUTE)
        assert answer.json() == {
            "name": "Plant ID",
            "authorization_endpoint": f"{issuer.url}/authorize",
            "client_id": CLIENT_ID,
            "scopes": "openid profile email",
        }
        assert CLIENT_SECRET not in answer.text

    running(tmp_path, play)


def test_a_code_gives_a_token_of_a_user_without_a_password(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        answer = await log_in(issuer, api)
        assert answer.status_code == 201, answer.text
        assert (answer.json()["user"], answer.json()["role"], answer.json()["scope"]) == ("ann", "viewer", "read")
        assert (await api.anyone.get("/api/v1/nodes", headers=bearer(answer.json()["token"]))).status_code == 200
        made = await user(api, "ann")
        assert (made["issuer"], made["has_password"], made["groups"]) == (issuer.url, False, None)
        assert await last_login(api) == ("ann", True)
        assert api.parts.commanding is not None
        rows = await api.parts.commanding.book.journal(after=0, limit=10)
        told = [json.loads(row.facts) for row in rows if row.kind == "change"]
        assert [(one["what"], one["by"], one["via"]) for one in told] == [("user added", "ann", "oidc")]
        assert (await log_in(issuer, api)).status_code == 201, "and again"
        by_password = await api.anyone.post("/api/v1/token", json={"user": "ann", "password": ""})
        assert by_password.status_code == 401

    running(tmp_path, play)


def test_a_secret_may_be_in_a_file_which_is_read_at_each_login(tmp_path: Path) -> None:
    file = tmp_path / "oidc-secret"
    file.write_text("old", encoding="utf-8")

    async def play(issuer: Issuer, api: Api) -> None:
        refused = await log_in(issuer, api)
        assert refused.status_code == 503
        assert "check api.oidc.client_id and its secret" in refused.json()["detail"]
        file.write_text(CLIENT_SECRET + "\n", encoding="utf-8")
        assert (await log_in(issuer, api)).status_code == 201

    running(tmp_path, play, client_secret_file=str(file))


def test_keys_that_the_issuer_changed_are_fetched_anew(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        assert (await log_in(issuer, api)).status_code == 201
        issuer.keys = [jwk("two", "second")]
        issuer.sign = lambda claims: sign(claims, kid="two", name="second")
        assert (await log_in(issuer, api)).status_code == 201
        assert issuer.asked.count("/keys") == 2
        assert issuer.asked.count("/.well-known/openid-configuration") == 1

    running(tmp_path, play)


# -- roles and groups --------------------------------------------------------------------------------------------------


def test_a_role_that_changed_takes_effect_at_the_next_login_for_older_sessions_too(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        issuer.claims = person("ann", "hub-viewers", "hub-admins")
        first = (await log_in(issuer, api)).json()
        assert (first["role"], first["scope"]) == ("admin", "full")
        issuer.claims = person("ann", "hub-operators")
        assert (await log_in(issuer, api)).json()["role"] == "operator"
        held = await api.anyone.get("/api/v1/token", headers=bearer(first["token"]))
        assert held.json()["role"] == "operator"
        assert (await api.anyone.get("/api/v1/users", headers=bearer(first["token"]))).status_code == 403

    running(tmp_path, play)


def test_whom_nothing_gives_a_role_is_refused_and_made_no_user(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        issuer.claims = person("eve", "others")
        refused = await log_in(issuer, api)
        assert refused.status_code == 403
        assert "'eve' may not use this hub" in refused.json()["detail"]
        assert "eve" not in await names(api)
        assert await last_login(api) == ("eve", False)

    running(tmp_path, play)


def test_who_lost_every_role_loses_the_sessions_too_when_he_comes_again(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        token = (await log_in(issuer, api)).json()["token"]
        issuer.claims = person("ann")
        assert (await log_in(issuer, api)).status_code == 403
        assert (await api.anyone.get("/api/v1/nodes", headers=bearer(token))).status_code == 401

    running(tmp_path, play)


def test_a_default_role_and_a_claim_inside_others(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        issuer.claims = person("ann", "hub-admins")
        assert (await log_in(issuer, api)).json()["role"] == "viewer", "groups are not asked"
        issuer.claims["realm_access"] = {"roles": ["hub-operators"]}
        assert (await log_in(issuer, api)).json()["role"] == "operator"

    running(tmp_path, play, role_claim="realm_access.roles", default_role="viewer")


def test_access_groups_follow_their_claim_and_none_is_nothing(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        issuer.claims = person("ann", "hub-viewers") | {"sees": ["lab", "heating"]}
        await log_in(issuer, api)
        assert (await user(api, "ann"))["groups"] == ["heating", "lab"]
        del issuer.claims["sees"]
        await log_in(issuer, api)
        assert (await user(api, "ann"))["groups"] == []

    running(tmp_path, play, group_claim="sees")


def test_access_groups_that_were_set_here_stay_where_the_issuer_says_none(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        await log_in(issuer, api)
        await api.http.patch("/api/v1/users/ann", json={"groups": ["lab"]})
        await log_in(issuer, api)
        assert (await user(api, "ann"))["groups"] == ["lab"]

    running(tmp_path, play)


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["admin", "ADMIN"])
def test_a_user_of_the_hub_is_not_taken_over_by_one_of_the_same_name(tmp_path: Path, name: str) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        issuer.claims = person(name, "hub-admins")
        refused = await log_in(issuer, api)
        assert refused.status_code == 403
        assert f"There is another user {name!r} here" in refused.json()["detail"]
        assert (await user(api, "admin"))["issuer"] is None
        right = await api.anyone.post("/api/v1/token", json={"user": "admin", "password": PASSWORD})
        assert right.status_code == 201

    running(tmp_path, play)


def test_the_subject_counts_and_not_the_name(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        await log_in(issuer, api)
        issuer.claims["preferred_username"] = "ann-smith"
        assert (await log_in(issuer, api)).json()["user"] == "ann", "she keeps her name here"
        issuer.claims = person("ann", "hub-viewers") | {"sub": "another"}
        assert (await log_in(issuer, api)).status_code == 403

    running(tmp_path, play)


def test_a_name_that_no_user_can_have_gives_way_to_the_address(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        issuer.claims = person("<b>Ann</b>", "hub-viewers") | {"email": "ann+iot@example.org"}
        assert (await log_in(issuer, api)).json()["user"] == "ann+iot@example.org"
        issuer.claims = person("Ann Smith", "hub-viewers") | {"sub": "auth0|1"}
        assert (await log_in(issuer, api)).status_code == 403

    running(tmp_path, play)


def test_a_user_of_the_issuer_gets_no_password_here(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        await log_in(issuer, api)
        answer = await api.http.patch("/api/v1/users/ann", json={"password": "long enough for it"})
        assert answer.status_code == 409
        assert (await user(api, "ann"))["has_password"] is False

    running(tmp_path, play)
