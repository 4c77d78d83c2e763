"""Login and gate over real HTTP: the real API behind, nothing in front of the app but a valid cookie."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from dashboard.client import Client
from dashboard.errors import Refused
from dashboard.gate import Gate
from dashboard.identity import COOKIE, Identities
from dashboard.login import Login
from hub.nodes.callers import Role
from tests.support.api import PASSWORD, running_api

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.support.api import Api


def visiting(folder: Path, visit: Callable[[httpx.AsyncClient, Api], Awaitable[None]]) -> None:
    """Run ``visit`` as a browser without script before the dashboard of a running API."""

    async def scenario() -> None:
        async with running_api(folder) as api:
            await api.parts.registry.users.add("ann", PASSWORD, Role.VIEWER, api.clock())
            with Client(api.url) as client:
                identities = Identities(client)
                app = Starlette(
                    routes=[
                        *Login(client, identities, secure=False).routes(),
                        Route("/page", lambda _: PlainTextResponse("inside")),
                    ],
                    middleware=[Middleware(Gate, identities=identities)],
                )
                transport = httpx.ASGITransport(app)
                async with httpx.AsyncClient(transport=transport, base_url="http://dash", timeout=60) as browser:
                    await visit(browser, api)

    asyncio.run(scenario())


async def log_in(browser: httpx.AsyncClient, password: str, following: str = "/page?a=1") -> httpx.Response:
    form = await browser.get("/login", params={"next": following})
    csrf = form.text.split('name="csrf" value="')[1].split('"')[0]
    return await browser.post("/login", data={"csrf": csrf, "next": following, "user": "ann", "password": password})


HTML = {"Accept": "text/html"}


def test_who_is_not_logged_in_is_led_to_the_login_and_back(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, _: Api) -> None:
        first = await browser.get("/page?a=1", headers=HTML)
        assert (first.status_code, first.headers["location"]) == (303, "/login?next=%2Fpage%3Fa%3D1")
        logged_in = await log_in(browser, PASSWORD)
        assert (logged_in.status_code, logged_in.headers["location"]) == (303, "/page?a=1")
        cookie = next(line for line in logged_in.headers.get_list("set-cookie") if line.startswith(COOKIE))
        assert "HttpOnly" in cookie
        assert "samesite=lax" in cookie.lower()
        assert (await browser.get("/page", headers=HTML)).text == "inside"

    visiting(tmp_path, visit)


def test_a_wrong_password_is_told_and_opens_nothing(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, _: Api) -> None:
        refused = await log_in(browser, "wrong")
        assert refused.status_code == 401
        assert "Unknown user or wrong password." in refused.text
        assert "wrong</" not in refused.text.replace("wrong password", "")
        assert (await browser.get("/page")).status_code == 401

    visiting(tmp_path, visit)


def test_what_is_no_page_is_answered_with_401_and_no_redirect(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, _: Api) -> None:
        assert (await browser.get("/media/download.csv")).status_code == 401
        assert (await browser.post("/page", headers=HTML)).status_code == 401

    visiting(tmp_path, visit)


def test_a_form_of_another_site_logs_nobody_in(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, _: Api) -> None:
        given = {"csrf": "made up", "next": "/", "user": "ann", "password": PASSWORD}
        refused = await browser.post("/login", data=given)
        assert refused.status_code == 403
        assert COOKIE not in browser.cookies

    visiting(tmp_path, visit)


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\r\nLocation: https://evil.example",
        " //evil.example",
        "javascript:alert(1)",
    ],
)
def test_a_link_cannot_lead_to_another_site_after_the_login(tmp_path: Path, wanted: str) -> None:
    async def visit(browser: httpx.AsyncClient, _: Api) -> None:
        logged_in = await log_in(browser, PASSWORD, wanted)
        assert logged_in.headers["location"] == "/"

    visiting(tmp_path, visit)


def test_a_session_that_somebody_planted_is_not_the_one_that_is_logged_in(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, api: Api) -> None:
        planted = "iothub_" + 43 * "A"
        browser.cookies.set(COOKIE, planted, domain="dash", path="/")
        answer = await log_in(browser, PASSWORD)
        (given,) = [each for each in answer.headers.get_list("set-cookie") if each.startswith(COOKIE + "=iothub_")]
        assert planted not in given
        assert "HttpOnly" in given
        held = {"Authorization": f"Bearer {planted}"}
        assert (await api.anyone.get("/api/v1/token", headers=held)).status_code == 401

    visiting(tmp_path, visit)


def test_what_the_hub_says_of_a_logout_is_shown_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Refused("<script>alert(1)</script>", 503)

    async def visit(browser: httpx.AsyncClient, _: Api) -> None:
        await log_in(browser, PASSWORD)
        monkeypatch.setattr(Client, "delete", refuse)
        said = (await browser.post("/logout")).text
        assert "&lt;script&gt;" in said
        assert "<script>" not in said

    visiting(tmp_path, visit)


def test_logging_out_ends_the_token_at_the_api_too(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, api: Api) -> None:
        await log_in(browser, PASSWORD)
        token = browser.cookies[COOKIE]
        assert (await browser.post("/logout")).status_code == 200
        assert (await browser.get("/page", headers=HTML)).status_code == 303
        answer = await api.anyone.get("/api/v1/nodes", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401

    visiting(tmp_path, visit)


def test_guessing_is_slowed_down(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, _: Api) -> None:
        codes = [(await log_in(browser, f"guess {n}")).status_code for n in range(12)]
        assert codes[:10] == [401] * 10
        assert codes[10:] == [429] * 2

    visiting(tmp_path, visit)


def test_a_form_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, _: Api) -> None:
        assert (await browser.post("/login", data={"user": "x" * 10_000})).status_code == 413

    visiting(tmp_path, visit)


def test_the_name_that_was_typed_comes_back_as_text(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, _: Api) -> None:
        form = await browser.get("/login")
        csrf = form.text.split('name="csrf" value="')[1].split('"')[0]
        hostile = '"><script>alert(1)</script>'
        answer = await browser.post("/login", data={"csrf": csrf, "user": hostile, "password": "x"})
        assert "<script>" not in answer.text

    visiting(tmp_path, visit)


def test_while_the_api_is_away_a_page_says_so_and_tries_again() -> None:
    async def scenario() -> None:
        with Client("http://127.0.0.1:1") as client:
            identities = Identities(client)
            app = Gate(Starlette(), identities=identities)
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://dash", timeout=60
            ) as browser:
                answer = await browser.get("/", headers={**HTML, "Cookie": f"{COOKIE}=x"})
        assert answer.status_code == 503
        assert "The hub does not answer" in answer.text
        assert 'http-equiv="refresh"' in answer.text

    asyncio.run(scenario())


def test_every_answer_forbids_frames_and_what_comes_from_elsewhere(tmp_path: Path) -> None:
    async def visit(browser: httpx.AsyncClient, _: Api) -> None:
        headers = (await browser.get("/login")).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"

    visiting(tmp_path, visit)
