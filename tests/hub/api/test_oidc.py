"""``/token/oidc`` against an issuer over real HTTP: who gets in, as what, and who does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from hub.config import Settings
from hub.nodes.callers import Role
from tests.support.api import PASSWORD, bearer, running_api
from tests.support.issuer import CLIENT_ID, CLIENT_SECRET, challenge, jwk, person, running_issuer, sign
from wire.errors import SettingsError
from wire.settings import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    import httpx

    from tests.support.api import Api
    from tests.support.issuer import Issuer

ROUTE = "/api/v1/token/oidc"
BACK = "http://dash/login/callback"


def settings_for(issuer: str, **more: Any) -> Settings:
    oidc = {
        "issuer": issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "name": "Plant ID",
        "admins": ["hub-admins"],
        "operators": ["hub-operators"],
        "viewers": ["hub-viewers"],
        **more,
    }
    return Settings.model_validate({"api": {"oidc": oidc}})


@contextlib.asynccontextmanager
async def both(folder: Path, **more: Any) -> AsyncIterator[tuple[Issuer, Api]]:
    async with running_issuer() as issuer, running_api(folder, settings=settings_for(issuer.url, **more)) as api:
        yield issuer, api


def running(folder: Path, play: Callable[[Issuer, Api], Awaitable[None]], **more: Any) -> None:
    async def scenario() -> None:
        async with both(folder, **more) as (issuer, api):
            await play(issuer, api)

    asyncio.run(scenario())


def departure(issuer: Issuer) -> dict[str, str]:
    """What a login page keeps, and the code that the issuer gave for it."""
    verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    query = {"response_type": "code", "client_id": CLIENT_ID, "redirect_uri": BACK, "nonce": nonce}
    code = issuer.authorize({**query, "code_challenge": challenge(verifier), "code_challenge_method": "S256"})
    return {"code": code, "code_verifier": verifier, "redirect_uri": BACK, "nonce": nonce}


async def log_in(issuer: Issuer, api: Api, **changed: str) -> httpx.Response:
    return await api.anyone.post(ROUTE, json=departure(issuer) | changed)


async def user(api: Api, name: str) -> dict[str, Any]:
    users = (await api.http.get("/api/v1/users")).json()["items"]
    found: dict[str, Any] = next(one for one in users if one["name"] == name)
    return found


async def names(api: Api) -> set[str]:
    return {one["name"] for one in (await api.http.get("/api/v1/users")).json()["items"]}


async def last_login(api: Api) -> tuple[str, bool]:
    newest = (await api.http.get("/api/v1/audit/logins")).json()["items"][0]
    return newest["user"], newest["accepted"]


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


# -- what is no proof --------------------------------------------------------------------------------------------------


def with_secret(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "s" * 64, algorithm="HS256", headers={"kid": "one"})


BAD: dict[str, Callable[[dict[str, Any]], str]] = {
    "another nonce": lambda claims: sign(claims | {"nonce": "n" * 20}),
    "no nonce": lambda claims: sign({name: value for name, value in claims.items() if name != "nonce"}),
    "another audience": lambda claims: sign(claims | {"aud": "other"}),
    "authorised for another": lambda claims: sign(claims | {"aud": [CLIENT_ID, "x"], "azp": "x"}),
    "another issuer": lambda claims: sign(claims | {"iss": "https://evil.example"}),
    "expired": lambda claims: sign(claims | {"iat": 1, "exp": int(time.time()) - 120}),
    "of the future": lambda claims: sign(claims | {"iat": int(time.time()) + 600}),
    "for ever": lambda claims: sign({name: value for name, value in claims.items() if name != "exp"}),
    "alg none": lambda claims: jwt.encode(claims, "", algorithm="none", headers={"kid": "one"}),
    "shared secret": with_secret,
    "foreign key": lambda claims: sign(claims, name="foreign"),
    "unknown key": lambda claims: sign(claims, kid="other", name="foreign"),
    "not a token": lambda claims: f"planted.{claims['sub']}",
}


def test_tokens_that_prove_nothing_open_nothing(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        for kind, spoilt in list(BAD.items()):
            issuer.sign = spoilt
            api.parts.oidc_limiter.give_back("127.0.0.1", "127.0.0.1")
            answer = await log_in(issuer, api)
            assert answer.status_code == 401, f"{kind}: {answer.text}"
            assert "The login was not accepted" in answer.json()["detail"], kind
            assert await last_login(api) == ("(oidc)", False)
        assert await names(api) == {"admin"}
        issuer.sign = sign
        assert (await log_in(issuer, api)).status_code == 201, "the issuer is right but for what was changed"

    running(tmp_path, play)


def test_a_shared_secret_among_the_published_keys_signs_nothing(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        issuer.keys = [{"kty": "oct", "k": "c3Nz" * 21 + "cw", "kid": "one"}]
        for kind in (with_secret, sign):
            issuer.sign = kind
            assert (await log_in(issuer, api)).status_code == 401

    running(tmp_path, play)


def test_a_code_counts_once_and_for_who_asked_for_it(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        body = departure(issuer)
        assert (await api.anyone.post(ROUTE, json=body)).status_code == 201
        assert (await api.anyone.post(ROUTE, json=body)).status_code == 401
        assert (await log_in(issuer, api, code_verifier="v" * 43)).status_code == 401
        assert (await log_in(issuer, api, redirect_uri="http://evil.example/")).status_code == 401
        assert (await log_in(issuer, api, nonce="n" * 16)).status_code == 401

    running(tmp_path, play)


def test_guessing_codes_is_slowed_down_and_passwords_go_on_working(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        statuses = [(await log_in(issuer, api, code="guess")).status_code for _ in range(12)]
        assert statuses == [401] * 10 + [429] * 2
        right = await api.anyone.post("/api/v1/token", json={"user": "admin", "password": PASSWORD})
        assert right.status_code == 201

    running(tmp_path, play)


# -- the issuer is away ------------------------------------------------------------------------------------------------


def test_an_issuer_that_is_away_is_told_and_not_asked_at_every_look(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        issuer.away = True
        for _ in range(3):
            answer = await api.anyone.get(ROUTE)
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:iothub:problem:issuer")
            assert "answered 503" in answer.json()["detail"]
            assert answer.headers["retry-after"] == "10"
        assert len(issuer.asked) == 1

    running(tmp_path, play)


def test_an_issuer_that_fails_at_the_code_is_told_without_secrets(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        assert (await api.anyone.get(ROUTE)).status_code == 200
        body = departure(issuer)
        issuer.away = True
        answer = await api.anyone.post(ROUTE, json=body)
        assert answer.status_code == 503
        issuer.away, issuer.sign = False, lambda _claims: "planted-token"
        refused = await api.anyone.post(ROUTE, json=departure(issuer))
        assert refused.status_code == 401
        said = answer.text + refused.text + "".join(capfd.readouterr())
        for secret in (CLIENT_SECRET, body["code"], body["code_verifier"], body["nonce"], "planted-token"):
            assert secret not in said

    running(tmp_path, play)


def test_nothing_listens_where_the_issuer_should_be(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path, settings=settings_for("http://127.0.0.1:1")) as api:
            answer = await api.anyone.get(ROUTE)
            assert answer.status_code == 503
            assert "does not answer" in answer.json()["detail"]
            assert "Users with a password here can log in." in answer.json()["detail"]

    asyncio.run(scenario())


def test_an_issuer_that_calls_itself_otherwise_is_named(tmp_path: Path) -> None:
    async def play(issuer: Issuer, api: Api) -> None:
        issuer.calls_itself = "https://evil.example"
        answer = await api.anyone.get(ROUTE)
        assert answer.status_code == 503
        assert "calls itself 'https://evil.example'" in answer.json()["detail"]

    running(tmp_path, play)


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('issuer = "http://id.example.org"\nclient_id = "x"', "https://"),
        ('issuer = "https://id.example.org"', "client_id is required"),
        ('issuer = "https://id.example.org"\nclient_id = "x"', "nobody could log in"),
        ('scopes = "profile"', "must contain openid"),
        ('default_role = "root"', "must be 'viewer', 'operator' or 'admin'"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "iothub.toml"
    file.write_text(f"[api.oidc]\n{text}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=said):
        load(Settings, file, environ={})


def test_roles_rank_admin_over_operator_over_viewer() -> None:
    from hub.oidc_rights import role_of  # noqa: PLC0415  here alone

    settings = settings_for("https://id.example.org").api.oidc
    every = frozenset({"hub-viewers", "hub-operators", "hub-admins"})
    assert role_of(every, settings) is Role.ADMIN
    assert role_of(every - {"hub-admins"}, settings) is Role.OPERATOR
    assert role_of(frozenset(), settings) is None
