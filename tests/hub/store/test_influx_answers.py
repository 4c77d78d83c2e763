"""What each answer to a write means, asked of a server that answers as the test says."""

from __future__ import annotations

import email.utils
from typing import TYPE_CHECKING

import pytest

from hub.store.base import StoreUnavailable, WriteResult
from hub.store.influx_http import retry_after_s
from tests.support.scripted_http import Request, Response, ScriptedServer, says
from tests.support.scripted_influx import BATCH, NEW, OLD, fails, influx, serve, writes
from tests.support.stores import ALL, NOON, at

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.store.influx import InfluxStore

    Answer = Callable[[Request], Response]


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize("status", [400, 422])
def test_the_bad_line_alone_is_refused_with_the_servers_reason(version: dict[str, str], status: int) -> None:
    stored: set[str] = set()

    def write(request: Request) -> Response:
        if any("a=3.0" in line for line in request.lines):
            return says(status, code="invalid", message="no threes", error="no threes")
        stored.update(request.lines)
        return Response(204)

    async def body(store: InfluxStore, _: ScriptedServer) -> None:
        result = await store.write(BATCH)
        assert (result.accepted, result.duplicates) == (7, ())
        ((refused),) = result.rejected
        assert (refused.index, refused.whole, refused.reason) == (3, True, "dev1 room: InfluxDB refused it: no threes")
        assert len(stored) == 7
        assert [each.ts_ns for each in await store.last(ALL)] == [NOON + 7_000_000_000]

    serve(influx(write, version=version), body)


def test_a_batch_that_is_taken_the_second_time_is_not_taken_apart() -> None:
    answers = iter([says(400, error="partial write"), Response(204)])

    async def body(store: InfluxStore, server: ScriptedServer) -> None:
        assert await store.write(BATCH) == WriteResult(8)
        assert [len(lines) for lines in writes(server)] == [8, 8]

    serve(influx(lambda _: next(answers)), body)


def test_the_reason_of_3x_is_that_of_its_first_line() -> None:
    data = [{"original_line": "x", "line_number": 1, "error_message": "invalid column type"}]

    async def body(store: InfluxStore, _: ScriptedServer) -> None:
        (refused,) = (await store.write(BATCH[:1])).rejected
        assert refused.reason.endswith("refused it: invalid column type")

    serve(influx(lambda _: says(400, error="partial write of line protocol occurred", data=data)), body)


@pytest.mark.parametrize("said", ["database is required", "retention policy not found: x", "org is required"])
def test_a_400_about_the_request_refuses_no_line(said: str) -> None:
    async def body(store: InfluxStore, server: ScriptedServer) -> None:
        assert said in str(await fails(store))
        assert len(writes(server)) == 1

    serve(influx(lambda _: says(400, error=said)), body)


def test_too_large_bodies_are_halved_and_the_next_ones_are_no_longer() -> None:
    most = 60_000

    def write(request: Request) -> Response:
        return Response(413, b"too large") if len(request.body) > most else Response(204)

    async def body(store: InfluxStore, server: ScriptedServer) -> None:
        batch = [at(i, s="x" * 5000) for i in range(32)]
        assert await store.write(batch) == WriteResult(32)
        before = len(server.requests)
        assert await store.write([at(100 + i, s="x" * 5000) for i in range(32)]) == WriteResult(32)
        assert all(len(request.body) <= most for request in server.requests[before:])

    serve(influx(write), body)


def test_one_point_that_is_too_large_is_refused() -> None:
    def write(request: Request) -> Response:
        return Response(413) if "large" in request.body.decode() else Response(204)

    async def body(store: InfluxStore, _: ScriptedServer) -> None:
        result = await store.write([at(0, s="x"), at(1, s="large"), at(2, s="y")])
        assert (result.accepted, [refused.index for refused in result.rejected]) == (2, [1])

    serve(influx(write), body)


# -- kept and tried again ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize(
    ("status", "said", "advice"),
    [
        (401, "unauthorized access", "give a token or user that may write"),
        (403, "insufficient permissions", "give a token or user that may write"),
        (404, 'database not found: "iot"', "create .* 'iot', or correct store.influx.database"),
        (500, "retention policy not found: x", "create the retention policy"),
        (500, "cache-max-memory-size exceeded", "its log says more"),
        (503, "unavailable", "busy or has a fault"),
    ],
)
def test_what_a_person_must_change_is_kept_and_said(
    version: dict[str, str], status: int, said: str, advice: str
) -> None:
    async def body(store: InfluxStore, server: ScriptedServer) -> None:
        error = await fails(store)
        assert f"answered {status}: {said}" in str(error)
        assert server.url in str(error)
        assert "secret" not in str(error)
        with pytest.raises(AssertionError, match=advice):
            raise AssertionError(str(error))
        assert len(writes(server)) == 1
        assert error.retry_after_s == (10.0 if status < 500 or "retention policy" in said else None)

    serve(influx(lambda _: says(status, error=said, message=said), version=version), body, token="secret")


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize("status", [429, 503])
def test_the_server_says_when_to_come_again(version: dict[str, str], status: int) -> None:
    answers = iter([Response(status, headers={"Retry-After": "17"}), Response(204)])

    async def body(store: InfluxStore, _: ScriptedServer) -> None:
        assert (await fails(store)).retry_after_s == 17.0
        assert await store.write(BATCH) == WriteResult(8)

    serve(influx(lambda _: next(answers), version=version), body)


def test_retry_after_is_seconds_or_a_date_or_nothing() -> None:
    now_s = 1_763_750_000.0
    date = email.utils.formatdate(now_s + 30, usegmt=True)
    given = {"5": 5.0, "99999": 600.0, date: 30.0, "soon": None, "": None, "-3": None}
    assert {text: retry_after_s({"Retry-After": text}, now_s) for text in given} == given
    assert retry_after_s({"Retry-After": date}, now_s + 60) == 0.0


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize(
    ("response", "said"),
    [(Response(200, b"{", cut=True), "broke"), (Response(204, silent=True), r"did not answer within 0\.3 s")],
)
def test_a_connection_that_breaks_and_a_server_that_is_silent_lose_nothing(
    version: dict[str, str], response: Response, said: str
) -> None:
    answers = iter([response, Response(204)])

    async def body(store: InfluxStore, _: ScriptedServer) -> None:
        with pytest.raises(StoreUnavailable, match=said):
            await store.write(BATCH)
        assert await store.write(BATCH) == WriteResult(8)

    serve(influx(lambda _: next(answers), version=version), body, timeout_s=0.3)


def test_half_a_batch_taken_apart_is_written_again_whole_when_the_server_goes_away() -> None:
    bad = says(400, error="bad")
    answers = iter([bad, bad, Response(204), Response(503), Response(204)])

    async def body(store: InfluxStore, server: ScriptedServer) -> None:
        await fails(store)
        assert await store.write(BATCH) == WriteResult(8)
        assert [len(lines) for lines in writes(server)] == [8, 8, 4, 4, 8]

    serve(influx(lambda _: next(answers)), body)
