"""Every route of the OpenAPI document against every kind of token: a new route without a check fails here."""

from __future__ import annotations

import asyncio
import http.client
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import websockets
from fastapi.routing import APIWebSocketRoute

from hub.api.limits import LoginLimiter
from hub.nodes.callers import Scope
from tests.support.api import PASSWORD, bearer, running_api
from tests.support.planted import paths

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.api import Api

S = 1_000_000_000

#: What may be used without a token. Think twice before adding to it.
OPEN = {("POST", "/api/v1/token"), ("GET", "/api/v1/token/oidc"), ("POST", "/api/v1/token/oidc"), ("GET", "/health")}
#: What may be used without a token from this machine only.
LOCAL = {("GET", "/metrics")}


def routes(document: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Method, path template, path."""
    yield from paths(document, node="dev", number="1")


def websocket_paths(router: Any) -> Iterator[str]:
    for route in router.routes:
        if isinstance(route, APIWebSocketRoute):
            yield route.path
        elif (inner := getattr(route, "original_router", None)) is not None:
            yield from websocket_paths(inner)


async def document(api: Api) -> dict[str, Any]:
    answer = await api.anyone.get("/openapi.json")
    found: dict[str, Any] = answer.json()
    return found


def test_every_route_refuses_every_token_that_is_not_valid(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            users, now = api.parts.registry.users, api.clock()
            expired = await users.issue("admin", Scope.FULL, now - 2 * S, now - S)
            revoked = await users.issue("admin", Scope.FULL, now, None)
            await users.revoke(revoked)
            kinds = {
                "none": {},
                "wrong": bearer("iothub_nonsense"),
                "expired": bearer(expired),
                "revoked": bearer(revoked),
                "empty": {"Authorization": "Bearer"},
                "basic": {"Authorization": "Basic YWRtaW46YWRtaW4="},
                "two words": bearer(f"x {api.token}"),
            }
            generous = LoginLimiter(time.monotonic, capacity=10_000)
            api.app.state.parts = replace(api.parts, token_limiter=generous)
            closed = [
                (m, path) for m, template, path in routes(await document(api)) if (m, template) not in OPEN | LOCAL
            ]
            assert len(closed) >= 12
            for method, path in closed:
                for kind, headers in kinds.items():
                    answer = await api.anyone.request(method, path, headers=headers)
                    assert answer.status_code == 401, f"{method} {path}, token {kind}: {answer.text}"
                    assert answer.headers["content-type"] == "application/problem+json"
                    assert answer.headers["www-authenticate"].startswith("Bearer")

    asyncio.run(scenario())


def test_every_route_that_needs_a_token_says_so_in_the_document(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            for template, methods in (await document(api))["paths"].items():
                for method, operation in methods.items():
                    if (method.upper(), template) not in OPEN | LOCAL:
                        assert operation.get("security") == [{"token": []}], (method, template)

    asyncio.run(scenario())


def test_every_websocket_of_the_application_refuses_a_client_without_a_token(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            assert list(websocket_paths(api.app.router)) == ["/live"], "test the new one here too"
            url = api.url.replace("http", "ws") + "/api/v1/live"
            with pytest.raises(websockets.InvalidStatus) as refused:
                async with websockets.connect(url, additional_headers=bearer("wrong")):
                    pass
            assert refused.value.response.status_code == 401

    asyncio.run(scenario())


def test_a_token_in_the_url_is_no_token(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            for name in ("token", "access_token", "authorization"):
                answer = await api.anyone.get("/api/v1/nodes", params={name: api.token})
                assert answer.status_code == 401

    asyncio.run(scenario())


# -- POST token, DELETE token ------------------------------------------------------------------------------------------


def test_a_login_gives_a_token_that_works_until_it_expires(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            answer = await api.anyone.post("/api/v1/token", json={"user": "admin", "password": PASSWORD})
            assert answer.status_code == 201
            body = answer.json()
            assert (body["user"], body["role"], body["scope"]) == ("admin", "admin", "full")
            assert answer.headers["cache-control"] == "no-store"
            headers = bearer(body["token"])
            assert (await api.anyone.get("/api/v1/nodes", headers=headers)).status_code == 200
            api.clock.ahead_ns = int(api.parts.settings.api.token_lifetime + 1) * S
            assert (await api.anyone.get("/api/v1/nodes", headers=headers)).status_code == 401

    asyncio.run(scenario())


def test_a_token_may_be_asked_for_reading_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            wanted = {"user": "admin", "password": PASSWORD, "scope": "read"}
            token = (await api.anyone.post("/api/v1/token", json=wanted)).json()["token"]
            assert (await api.anyone.get("/api/v1/nodes", headers=bearer(token))).status_code == 200
            refused = await api.anyone.post("/api/v1/nodes", headers=bearer(token), json={"node": "dev"})
            assert refused.status_code == 403
            assert "scope read" in refused.json()["detail"]

    asyncio.run(scenario())


def test_a_token_that_is_given_back_is_valid_no_longer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            assert (await api.http.delete("/api/v1/token")).status_code == 204
            assert (await api.http.get("/api/v1/nodes")).status_code == 401

    asyncio.run(scenario())


def test_wrong_user_and_wrong_password_get_the_same_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            answers = [
                await api.anyone.post("/api/v1/token", json={"user": user, "password": password})
                for user, password in [("admin", "wrong"), ("nobody", PASSWORD), ("local", "")]
            ]
            assert {answer.status_code for answer in answers} == {401}
            assert len({answer.text for answer in answers}) == 1

    asyncio.run(scenario())


def test_an_error_never_repeats_a_password(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            bodies: list[dict[str, Any]] = [
                {"password": "s3cret"},
                {"user": "a", "password": ["s3cret"]},
                {"user": "a", "pasword": "s3cret"},
            ]
            for body in bodies:
                answer = await api.anyone.post("/api/v1/token", json=body)
                assert answer.status_code == 422
                assert "s3cret" not in answer.text

    asyncio.run(scenario())


def test_after_ten_failures_a_login_has_to_wait_and_is_told_how_long(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            wrong = {"user": "admin", "password": "wrong"}
            statuses = [(await api.anyone.post("/api/v1/token", json=wrong)).status_code for _ in range(12)]
            assert statuses == [401] * 10 + [429] * 2
            answer = await api.anyone.post("/api/v1/token", json={"user": "admin", "password": PASSWORD})
            assert answer.status_code == 429
            assert 1 <= int(answer.headers["retry-after"]) <= 31
            assert (await api.http.get("/api/v1/nodes")).status_code == 200, "tokens that exist go on working"

    asyncio.run(scenario())


def test_logins_that_succeed_are_not_limited(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            right = {"user": "admin", "password": PASSWORD}
            statuses = {(await api.anyone.post("/api/v1/token", json=right)).status_code for _ in range(12)}
            assert statuses == {201}

    asyncio.run(scenario())


def test_an_address_in_a_proxy_header_is_not_believed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            statuses = []
            for number in range(11):
                wrong = {"user": f"user{number}", "password": "wrong"}
                headers = {"X-Forwarded-For": f"192.0.2.{number}"}
                statuses.append((await api.anyone.post("/api/v1/token", json=wrong, headers=headers)).status_code)
            assert statuses == [401] * 10 + [429]

    asyncio.run(scenario())


def test_a_password_sent_as_a_form_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            answer = await api.anyone.post("/api/v1/token", content=b"user=admin&password=x")
            assert answer.status_code == 422

    asyncio.run(scenario())


# -- /metrics and /health ----------------------------------------------------------------------------------------------


def test_metrics_need_no_token_from_this_machine_unless_something_stands_between(tmp_path: Path) -> None:
    asked: list[tuple[dict[str, str], int]] = [
        ({}, 200),
        ({"Host": "localhost:8080"}, 200),
        ({"Host": "evil.example"}, 401),
        ({"X-Forwarded-For": "192.0.2.1"}, 401),
        ({"Forwarded": "for=192.0.2.1"}, 401),
    ]

    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            for headers, expected in asked:
                assert (await api.anyone.get("/metrics", headers=headers)).status_code == expected, headers
                assert (await api.http.get("/metrics", headers=headers)).status_code == 200

    asyncio.run(scenario())


def test_a_request_that_is_no_http_gets_an_answer_and_no_traceback(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:

            def send(request: bytes) -> bytes:
                host, port = api.url.removeprefix("http://").split(":")
                with socket.create_connection((host, int(port)), timeout=60) as client:
                    client.sendall(request)
                    return client.recv(100)

            assert b"400" in await asyncio.to_thread(send, b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
            assert (await api.http.get("/health")).status_code == http.client.OK

    asyncio.run(scenario())
