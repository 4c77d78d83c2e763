"""The whole way of a login elsewhere: dashboard, issuer and API over real HTTP, with a browser without script."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from dashboard.client import Client
from dashboard.gate import Gate
from dashboard.identity import COOKIE, Identities
from dashboard.login import Login
from hub.config import Settings
from tests.support.api import PASSWORD, running_api
from tests.support.issuer import CLIENT_ID, CLIENT_SECRET, person, running_issuer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.support.issuer import Issuer

HTML = {"Accept": "text/html"}


def visiting(
    folder: Path,
    visit: Callable[[httpx.AsyncClient, Issuer], Awaitable[None]],
    *,
    public_url: str = "",
    secure: bool = False,
    base_url: str = "http://dash",
) -> None:
    """Run ``visit`` before the dashboard of an API that takes logins of an issuer."""

    async def scenario() -> None:
        async with running_issuer() as issuer:
            oidc = {
                "issuer": issuer.url,
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "name": "Plant <ID>",
                "viewers": ["hub-viewers"],
            }
            settings = Settings.model_validate({"api": {"oidc": oidc}})
            async with running_api(folder, settings=settings) as api:
                with Client(api.url) as client:
                    identities = Identities(client)
                    login = Login(client, identities, secure=secure, public_url=public_url)
                    app = Starlette(
                        routes=[*login.routes(), Route("/page", lambda _: PlainTextResponse("inside"))],
                        middleware=[Middleware(Gate, identities=identities)],
                    )
                    transport = httpx.ASGITransport(app)
                    async with httpx.AsyncClient(transport=transport, base_url=base_url, timeout=60) as browser:
                        await visit(browser, issuer)

    asyncio.run(scenario())


async def at_issuer(departed: httpx.Response) -> str:
    """Follow the browser to the issuer; where that sends it back to."""
    async with httpx.AsyncClient(timeout=60) as elsewhere:
        answer = await elsewhere.get(departed.headers["location"])
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def log_in(browser: httpx.AsyncClient, following: str = "/page?a=1") -> httpx.Response:
    departed = await browser.get("/login/oidc", params={"next": following})
    assert departed.status_code == 303, departed.text
    return await browser.get(await at_issuer(departed))


def test_a_login_elsewhere_leads_back_to_where_one_wanted_to_go(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, _: Issuer) -> None:
        first = await browser.get("/page?a=1", headers=HTML)
        form = await browser.get(first.headers["location"])
        assert "Log in with Plant &lt;ID&gt;" in form.text
        link = form.text.split('class="button" href="')[1].split('"')[0]
        departed = await browser.get(link)
        kept = next(line for line in departed.headers.get_list("set-cookie") if line.startswith("iothub_oidc="))
        assert "HttpOnly" in kept
        assert "samesite=lax" in kept.lower()
        assert "Path=/login" in kept
        logged_in = await browser.get(await at_issuer(departed))
        assert (logged_in.status_code, logged_in.headers["location"]) == (303, "/page?a=1")
        session = next(line for line in logged_in.headers.get_list("set-cookie") if line.startswith(COOKIE))
        assert "HttpOnly" in session
        assert "iothub_oidc" not in browser.cookies, "used up"
        assert (await browser.get("/page", headers=HTML)).text == "inside"
        assert (await browser.post("/logout")).status_code == 200
        assert (await browser.get("/page", headers=HTML)).status_code == 303

    visiting(tmp_path, visit)


def test_the_browser_carries_a_challenge_and_never_the_verifier_or_the_secret(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, _: Issuer) -> None:
        departed = await browser.get("/login/oidc")
        kept = json.loads(base64.urlsafe_b64decode(browser.cookies["iothub_oidc"]))
        asked = parse_qs(urlsplit(departed.headers["location"]).query)
        assert asked["redirect_uri"] == ["http://dash/login/callback"]
        assert asked["code_challenge_method"] == ["S256"]
        assert kept["verifier"] not in departed.headers["location"]
        assert CLIENT_SECRET not in str(departed.headers) + departed.text
        again = await browser.get("/login/oidc")
        assert parse_qs(urlsplit(again.headers["location"]).query)["state"] != asked["state"]

    visiting(tmp_path, visit)


@pytest.mark.parametrize("state", ["", "state=made-up"])
def test_a_return_that_was_not_begun_here_logs_nobody_in(tmp_path: Path, state: str) -> None:
    async def visit(browser: httpx.AsyncClient, issuer: Issuer) -> None:
        foreign = await browser.get(f"/login/callback?code=x&{state}")
        assert foreign.status_code == 403, "no cookie"
        back = await at_issuer(await browser.get("/login/oidc"))
        code = parse_qs(urlsplit(back).query)["code"][0]
        refused = await browser.get(f"/login/callback?code={code}&{state}")
        assert refused.status_code == 403
        assert "was not begun here" in refused.text
        assert COOKIE not in browser.cookies
        assert "/token" not in issuer.asked
        assert (await browser.get(back)).status_code == 403, "the cookie is gone"

    visiting(tmp_path, visit)


def test_a_cookie_that_is_not_ours_is_no_login(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, _: Issuer) -> None:
        for cookie in (b"x", b"e30=", base64.urlsafe_b64encode(b'{"state": 1}'), b"\xff"):
            headers = [(b"cookie", b"iothub_oidc=" + cookie)]
            assert (await browser.get("/login/callback?code=x&state=", headers=headers)).status_code == 403, cookie

    visiting(tmp_path, visit)


def test_a_code_that_was_used_opens_nothing(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, issuer: Issuer) -> None:
        back = await at_issuer(await browser.get("/login/oidc"))
        issuer.codes.clear()
        refused = await browser.get(back)
        assert refused.status_code == 401
        assert "does not accept the code" in refused.text
        assert COOKIE not in browser.cookies

    visiting(tmp_path, visit)


def test_who_may_not_use_the_hub_is_told_on_the_login_page(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, issuer: Issuer) -> None:
        issuer.claims = person("eve", "others")
        refused = await log_in(browser)
        assert refused.status_code == 403
        assert "may not use this hub" in refused.text
        assert COOKIE not in browser.cookies

    visiting(tmp_path, visit)


def test_what_the_issuer_says_of_a_refusal_is_shown_as_text(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, _: Issuer) -> None:
        for said, shown in (("access_denied", "refused the login: access_denied."), ("<script>", "no code.")):
            back = urlsplit(await at_issuer(await browser.get("/login/oidc")))
            state = parse_qs(back.query)["state"][0]
            refused = await browser.get("/login/callback", params={"error": said, "state": state})
            assert refused.status_code == 403
            assert shown in refused.text
            assert "<script>" not in refused.text

    visiting(tmp_path, visit)


def test_a_link_cannot_lead_to_another_site_after_the_login(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, _: Issuer) -> None:
        for wanted in ("https://evil.example/", "//evil.example/", "/\\evil.example"):
            assert (await log_in(browser, wanted)).headers["location"] == "/", wanted

    visiting(tmp_path, visit)


def test_while_the_issuer_is_away_people_with_a_password_log_in(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, issuer: Issuer) -> None:
        issuer.away = True
        form = await browser.get("/login")
        assert form.status_code == 200
        assert "answered 503" in form.text
        assert 'href="/login/oidc' not in form.text
        assert (await browser.get("/login/oidc")).status_code == 503
        csrf = form.text.split('name="csrf" value="')[1].split('"')[0]
        given = {"csrf": csrf, "next": "/page", "user": "admin", "password": PASSWORD}
        assert (await browser.post("/login", data=given)).status_code == 303

    visiting(tmp_path, visit)


@pytest.mark.parametrize(
    ("public_url", "expected"),
    [("https://iot.example.org", "https://iot.example.org/login/callback"), ("", "https://dash/login/callback")],
)
def test_behind_a_proxy_the_browser_is_sent_back_to_where_it_came_from(
    tmp_path: Path, public_url: str, expected: str
) -> None:
    async def visit(browser: httpx.AsyncClient, _: Issuer) -> None:
        departed = await browser.get("/login/oidc")
        assert parse_qs(urlsplit(departed.headers["location"]).query)["redirect_uri"] == [expected]
        kept = next(line for line in departed.headers.get_list("set-cookie") if line.startswith("iothub_oidc="))
        assert "Secure" in kept

    visiting(tmp_path, visit, public_url=public_url, secure=True)


def test_a_hub_without_an_issuer_offers_none(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            with Client(api.url) as client:
                app = Starlette(routes=Login(client, Identities(client), secure=False).routes())
                async with httpx.AsyncClient(
                    transport=httpx.ASGITransport(app), base_url="http://dash", timeout=60
                ) as browser:
                    assert "Log in with" not in (await browser.get("/login")).text
                    assert (await browser.get("/login/oidc")).status_code == 404

    asyncio.run(scenario())
