"""``/token/oidc``: tokens that prove nothing, an issuer that is away, settings that cannot work."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from hub.config import Settings
from hub.nodes.callers import Role
from hub.oidc_rights import role_of
from tests.support.api import PASSWORD, running_api
from tests.support.issuer import CLIENT_ID, CLIENT_SECRET, sign
from tests.support.oidc import ROUTE, departure, last_login, log_in, names, running, settings_for
from wire.errors import SettingsError
from wire.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.issuer import Issuer

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
    settings = settings_for("https://id.example.org").api.oidc
    every = frozenset({"hub-viewers", "hub-operators", "hub-admins"})
    assert role_of(every, settings) is Role.ADMIN
    assert role_of(every - {"hub-admins"}, settings) is Role.OPERATOR
    assert role_of(frozenset(), settings) is None
