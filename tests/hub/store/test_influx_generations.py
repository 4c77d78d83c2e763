"""Where each generation is written to and asked, and how it is told from the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.store.base import Query, StoreUnavailable, WriteResult
from hub.store.influx_http import Access
from tests.support.scripted_http import Request, Response, ScriptedServer, says
from tests.support.scripted_influx import BATCH, EMPTY, fails, influx, serve
from tests.support.stores import ALL, NOON

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.store.influx import InfluxStore

    Answer = Callable[[Request], Response]


def test_old_1x_is_written_to_by_its_own_path_in_ns_with_basic_credentials() -> None:
    async def body(store: InfluxStore, server: ScriptedServer) -> None:
        assert (await store.write(BATCH)).accepted == 8
        request = server.requests[-1]
        assert (request.method, request.path) == ("POST", "/write")
        assert request.query == {"db": "iot", "precision": "ns"}
        assert request.headers["authorization"] == "Basic aHViOnNlY3JldA=="
        assert request.headers["content-encoding"] == "gzip"
        assert request.lines[0] == f"room,node=dev1 a=0.0 {NOON}"

    serve(influx(lambda _: Response(204)), body, username="hub", password="secret", gzip=True)


@pytest.mark.parametrize("gzip", [True, False])
@pytest.mark.parametrize("version", ["1.8.10", "v2.7.11", "3.9.2"])
def test_newer_ones_are_written_to_by_the_client_library(version: str, gzip: bool) -> None:  # noqa: FBT001
    async def body(store: InfluxStore, server: ScriptedServer) -> None:
        assert (await store.write(BATCH)).accepted == 8
        request = server.requests[-1]
        assert (request.method, request.path) == ("POST", "/api/v2/write")
        assert (request.query["bucket"], request.query["precision"]) == ("iot", "ns")
        assert request.headers["authorization"] == "Token secret"
        assert (request.headers.get("content-encoding") == "gzip") == gzip
        assert len(request.lines) == 8

    answer = influx(lambda _: Response(204), version={"X-Influxdb-Version": version})
    serve(answer, body, token="secret", gzip=gzip)


def test_the_third_generation_is_asked_in_the_address_others_by_post() -> None:
    for version, method in (("3.9.2", "GET"), ("v2.7.11", "POST"), ("1.6.7", "POST")):

        async def body(store: InfluxStore, server: ScriptedServer, method: str = method) -> None:
            await store.series(ALL)
            assert {request.method for request in server.requests if request.path == "/query"} == {method}

        serve(influx(lambda _: Response(204), version={"X-Influxdb-Version": version}), body)


@pytest.mark.parametrize(
    ("healthy", "health", "v3", "v2", "expected"),
    [
        (b"VictoriaMetrics is Healthy.", b"OK", 404, 204, "/api/v2/write"),
        (b"", b'{"name":"influxdb","version":"v2.7.1"}', 404, 401, "/api/v2/write"),
        (b"", b"", 401, 401, "/api/v2/write"),
        (b"", b"", 404, 400, "/api/v2/write"),
        (b"", b"", 404, 404, "/write"),
    ],
)
def test_a_server_that_hides_its_version_is_found_by_its_paths(
    healthy: bytes, health: bytes, v3: int, v2: int, expected: str
) -> None:
    def answer(request: Request) -> Response:
        answers = {
            "/-/healthy": Response(200, healthy) if healthy else Response(404),
            "/health": Response(200, health) if health else Response(404),
            "/api/v3/configure/database": Response(v3),
            "/api/v2/write": Response(204 if request.body else v2),
            "/query": EMPTY,
        }
        return answers.get(request.path, Response(204))

    async def body(store: InfluxStore, server: ScriptedServer) -> None:
        assert (await store.write(BATCH)).accepted == 8
        assert server.requests[-1].path == expected

    serve(answer, body)


def test_a_hub_starts_without_its_database_and_finds_it_later() -> None:
    is_up = False

    def answer(request: Request) -> Response:
        return influx(lambda _: Response(204))(request) if is_up else Response(200, b"", cut=True)

    async def body(store: InfluxStore, _: ScriptedServer) -> None:
        nonlocal is_up
        await fails(store)
        with pytest.raises(StoreUnavailable, match="broke"):
            await store.series(ALL)
        assert (await store.stats()).series == 0
        is_up = True
        assert await store.write(BATCH) == WriteResult(8)

    serve(answer, body)


@pytest.mark.parametrize(
    ("status", "said"),
    [(502, b"Bad Gateway"), (503, b""), (400, b"Client sent an HTTP request to an HTTPS server.\n")],
)
def test_a_proxy_or_a_server_that_is_not_ready_is_taken_for_no_generation(status: int, said: bytes) -> None:
    is_up = False

    def answer(request: Request) -> Response:
        return influx(lambda _: Response(204))(request) if is_up else Response(status, said)

    async def body(store: InfluxStore, server: ScriptedServer) -> None:
        nonlocal is_up
        error = await fails(store)
        assert f"answered {status} to /ping: {said.decode().strip() or 'no reason given'}; is it ready" in str(error)
        is_up = True
        assert await store.write(BATCH) == WriteResult(8)
        assert server.requests[-1].path == "/write"

    serve(answer, body)


@pytest.mark.parametrize("to_others", [404, 405, 501])
def test_a_web_server_that_is_no_influxdb_is_said_to_be_none(to_others: int) -> None:
    def answer(request: Request) -> Response:
        return Response(404 if request.method == "GET" else to_others, b"<html>")

    async def body(store: InfluxStore, server: ScriptedServer) -> None:
        error = await fails(store)
        assert str(error).startswith(f"{server.url} answers, but not as an InfluxDB does")
        assert error.retry_after_s == 10.0

    serve(answer, body)


def test_a_token_that_may_write_and_not_read_writes() -> None:
    async def body(store: InfluxStore, _: ScriptedServer) -> None:
        assert await store.write(BATCH) == WriteResult(8)
        assert await store.write(BATCH) == WriteResult(8)  # it cannot know better
        with pytest.raises(StoreUnavailable, match="cannot be asked"):
            await store.query(Query(ALL, 0, 2**62))

    serve(influx(lambda _: Response(204), query=lambda _: says(403, error="forbidden")), body)


def test_an_answer_that_was_cut_by_the_server_is_no_answer() -> None:
    def query(request: Request) -> Response:
        if b"SHOW" in request.body or b"last%28" in request.body:
            return EMPTY
        return says(200, results=[{"partial": True, "series": []}])

    async def body(store: InfluxStore, _: ScriptedServer) -> None:
        await store.write(BATCH)
        with pytest.raises(Exception, match="max-row-limit"):
            await store.query(Query(ALL, 0, 2**62))

    serve(influx(lambda _: Response(204), query=query), body)


def test_secrets_do_not_show() -> None:
    shown = repr(Access("http://x", token="secret-1", username="hub", password="secret-2"))
    assert "secret" not in shown
