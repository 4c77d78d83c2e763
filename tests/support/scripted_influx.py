"""A scripted InfluxDB, and a store that writes to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hub.store.base import StoreUnavailable
from hub.store.influx import InfluxStore
from hub.store.influx_http import Access
from hub.store.influx_target import Target
from tests.support.scripted_http import Request, Response, ScriptedServer, says
from tests.support.stores import NOON, at

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Answer = Callable[[Request], Response]

OLD = {"X-Influxdb-Version": "1.6.7"}
NEW = {"X-Influxdb-Version": "v2.7.11"}
EMPTY = says(200, results=[{}])
BATCH = [at(i, a=float(i)) for i in range(8)]


def influx(write: Answer, *, version: dict[str, str] = OLD, query: Answer = lambda _: EMPTY) -> Answer:
    """An InfluxDB whose answers to writes and queries are scripted."""

    def answer(request: Request) -> Response:
        match request.path:
            case "/ping":
                return Response(204, headers=version)
            case "/write" | "/api/v2/write":
                return write(request)
            case "/query":
                return query(request)
            case _:
                return Response(404)

    return answer


def serve(
    answer: Answer, body: Callable[[InfluxStore, ScriptedServer], Coroutine[None, None, None]], **access: object
) -> None:
    async def main() -> None:
        async with ScriptedServer(answer).running() as server:
            target = Target(Access(server.url, **access), "iot")  # type: ignore[arg-type]  # each test gives what fits
            async with InfluxStore(target, clock_ns=lambda: NOON) as store:
                await body(store, server)

    asyncio.run(main())


def writes(server: ScriptedServer) -> list[list[str]]:
    return [
        request.lines for request in server.requests if request.path in ("/write", "/api/v2/write") and request.body
    ]


async def fails(store: InfluxStore) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as caught:
        await store.write(BATCH)
    return caught.value
