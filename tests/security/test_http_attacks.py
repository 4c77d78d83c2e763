"""Attacks over HTTP, each denied and, where somebody guesses, recorded."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
import websockets

from hub.nodes.callers import Role
from tests.support.api import PASSWORD, bearer, running_api
from wire.point import Point, SeriesKey

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api

SCRIPT = "<script>alert(1)</script>"
TOKEN = "/api/v1/token"


async def logins(api: Api, **chosen: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.http.get("/api/v1/audit/logins", params=chosen)).json()["items"]
    return found


def stand_still(api: Api) -> None:
    """Give no attempts back while a busy machine is slow."""
    for limiter in (api.parts.login_limiter, api.parts.token_limiter, api.parts.oidc_limiter, api.parts.join_limiter):
        limiter._clock_s = lambda: 0.0


def test_guessing_a_password_is_limited_recorded_and_does_not_end_sessions(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            stand_still(api)
            codes = []
            for n in range(14):
                answer = await api.anyone.post(TOKEN, json={"user": "admin", "password": f"guess {n}"})
                codes.append(answer.status_code)
            assert codes == [401] * 10 + [429] * 4
            right = await api.anyone.post(TOKEN, json={"user": "admin", "password": PASSWORD})
            assert right.status_code == 429, "what is right is not told apart either"
            assert int(right.headers["retry-after"]) > 0
            assert (await api.http.get("/api/v1/nodes")).status_code == 200
            rows = await logins(api, accepted="false")
            assert [(row["user"], row["address"]) for row in rows] == [("admin", "127.0.0.1")] * 10
            assert "guess" not in str(rows)

    asyncio.run(scenario())


def test_guessing_a_token_is_limited_and_recorded_and_valid_ones_go_on_working(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            stand_still(api)
            codes = []
            for n in range(105):
                answer = await api.anyone.get("/api/v1/nodes", headers=bearer(f"iothub_guess{n}"))
                codes.append(answer.status_code)
            assert codes == [401] * 100 + [429] * 5
            assert (await api.http.get("/api/v1/nodes")).status_code == 200
            rows = await logins(api, accepted="false", limit=1000)
            assert {row["user"] for row in rows} == {None}
            assert len(rows) == 100

    asyncio.run(scenario())


def test_the_address_that_a_client_claims_is_believed_for_the_dashboards_secret_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            api.app.state.parts = dataclasses.replace(api.parts, dashboard_secret="of the dashboard")
            wrong = {"user": "admin", "password": "x"}

            async def claimed(address: str, secret: str) -> str:
                headers = {"X-Iothub-Client": address, "X-Iothub-Proxy": secret, "X-Forwarded-For": "9.9.9.9"}
                await api.anyone.post(TOKEN, json=wrong, headers=headers)
                return str((await logins(api, limit=1))[0]["address"])

            assert await claimed("10.0.0.7", "of the dashboard") == "10.0.0.7"
            assert await claimed("10.0.0.8", "guessed") == "127.0.0.1"
            assert await claimed("10.0.0.8", "") == "127.0.0.1"
            assert await claimed("no address\x7f", "of the dashboard") == "unknown"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "name", ["..%2f..%2fetc%2fpasswd", "%2e%2e%2fsecrets%2fcli-token", "..", "a%00b", "%2Fetc%2Fpasswd", "%ff"]
)
def test_names_in_paths_reach_no_files(tmp_path: Path, name: str) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            for path in (f"/api/v1/nodes/{name}", f"/api/v1/rules/{name}", f"/api/v1/users/{name}", f"/{name}"):
                answer = await api.http.get(path)
                assert answer.status_code in (404, 405, 422, 503), f"{path}: {answer.status_code}"
                assert "root:" not in answer.text
            added = await api.http.post("/api/v1/nodes", json={"node": name.replace("%2f", "/")})
            assert added.status_code == (201 if name == ".." else 422)

    asyncio.run(scenario())


def test_formulas_are_no_formulas_in_csv(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            now = api.clock() - 10**9
            texts: dict[str, Any] = {f"f{n}": f"{sign}cmd|' /C calc'!A0" for n, sign in enumerate("=+-@\t\r")}
            await api.parts.store.write([Point(SeriesKey("dev", "room", (("=tag", "=1+1"),)), now, texts)])
            answer = await api.http.get("/api/v1/query", params={"format": "csv", "start": "-1h"})
            assert answer.headers["content-type"].startswith("text/csv")
            assert answer.headers["x-content-type-options"] == "nosniff"
            cells = [cell.strip('"') for line in answer.text.splitlines() for cell in line.split(",")]
            assert not [cell for cell in cells if cell[:1] in tuple("=+@")], answer.text
            assert not [cell for cell in cells if cell.startswith("-cmd")], answer.text

    asyncio.run(scenario())


def test_scripts_in_names_and_messages_stay_text(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            now = api.clock() - 10**9
            record: dict[str, Any] = {"message": SCRIPT, "level": "info", "source": SCRIPT}
            await api.parts.store.write([Point(SeriesKey("dev", "log", ()), now, record)])
            answers = [
                await api.http.get("/api/v1/logs"),
                await api.http.get(f"/api/v1/nodes/{SCRIPT.replace('/', '%2f')}"),
                await api.http.get("/api/v1/nodes", params={SCRIPT: "x"}),
                await api.http.get("/api/v1/logs", params={"level": SCRIPT}),
            ]
            assert SCRIPT in answers[0].text, "JSON keeps it as it is"
            for answer in answers:
                assert answer.headers["content-type"] in ("application/json", "application/problem+json")
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert "default-src 'none'" in answer.headers["content-security-policy"]

    asyncio.run(scenario())


def test_oversized_and_malformed_bodies_are_refused_and_repeat_no_secrets(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            assert (await api.anyone.post(TOKEN, content=b"x" * (2 << 20))).status_code == 413
            deep = b'{"user":' + b"[" * 100_000
            hopeless = (deep, b"\xff\xfe", b"", b'"text"', b'{"user": 1e999}', b'{"user":"a","password":{"p":"hush"}}')
            for body in hopeless:
                answer = await api.anyone.post(TOKEN, content=body, headers={"Content-Type": "application/json"})
                assert answer.status_code in (400, 422), f"{body[:40]!r}: {answer.text[:200]}"
                assert answer.headers["content-type"] == "application/problem+json"
                assert "hush" not in answer.text

    asyncio.run(scenario())


def test_a_page_of_another_site_cannot_follow_live_events(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            url = api.url.replace("http", "ws", 1) + "/api/v1/live"
            for origin in ("https://evil.example", "null", api.url + ".evil.example"):
                with pytest.raises(websockets.InvalidStatus) as refused:
                    async with websockets.connect(url, origin=origin, additional_headers=bearer(api.token)):  # type: ignore[arg-type]  # any text
                        pass
                assert refused.value.response.status_code == 403
            for own in (None, api.url):
                async with websockets.connect(url, origin=own, additional_headers=bearer(api.token)) as client:  # type: ignore[arg-type]
                    await client.send("{}")
                    assert "ready" in str(await client.recv())

    asyncio.run(scenario())


def test_a_token_in_the_url_opens_no_stream(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            url = api.url.replace("http", "ws", 1) + f"/api/v1/live?token={api.token}"
            async with websockets.connect(url) as client:
                await client.send("{}")
                with pytest.raises(websockets.ConnectionClosedError) as closed:
                    await client.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4401

    asyncio.run(scenario())


def test_a_viewer_makes_himself_nothing_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            headers = await api.token_of(Role.VIEWER)
            for method, path, body in (
                ("POST", "/users", {"name": "me", "role": "admin"}),
                ("PATCH", "/users/a-viewer", {"role": "admin"}),
                ("PATCH", "/users/a-viewer", {"groups": None}),
                ("POST", "/tokens", {"name": "x", "user": "admin", "scope": "full"}),
                ("PUT", "/nodes/dev/groups", {"groups": ["mine"]}),
            ):
                answer = await api.anyone.request(method, f"/api/v1{path}", headers=headers, json=body)
                assert answer.status_code == 403, f"{method} {path}: {answer.text}"

    asyncio.run(scenario())
