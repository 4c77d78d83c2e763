from __future__ import annotations

import asyncio
import logging
import signal
import socket
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from hub.api.server import ServeError, serve

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    del receive
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def test_a_free_port_is_found_and_told() -> None:
    async def scenario() -> None:
        async with serve(app, "127.0.0.1", 0) as served, httpx.AsyncClient(timeout=60) as http:
            assert served.port > 0
            assert served.url == f"http://127.0.0.1:{served.port}"
            assert (await http.get(served.url)).text == "ok"

    asyncio.run(scenario())


def test_after_the_end_nobody_listens_and_the_port_can_be_taken_again() -> None:
    async def scenario() -> None:
        async with serve(app, "127.0.0.1", 0) as served:
            pass
        async with httpx.AsyncClient(timeout=60) as http:
            with pytest.raises(httpx.ConnectError):
                await http.get(served.url)
        async with serve(app, "127.0.0.1", served.port) as again:
            assert again.port == served.port

    asyncio.run(scenario())


def test_a_taken_port_is_said_in_words() -> None:
    async def scenario() -> None:
        async with serve(app, "127.0.0.1", 0) as first:
            with pytest.raises(ServeError) as refused:
                async with serve(app, "127.0.0.1", first.port):
                    pass
            where = f"[api] host = '127.0.0.1', port = {first.port}: "
            assert str(refused.value).startswith(where + "another program listens there; stop it, or set another port")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("host", "told"), [("no.such.host.invalid", "no such address"), ("192.0.2.1", "cannot listen there")]
)
def test_an_address_that_is_not_ours_is_said_in_words(host: str, told: str) -> None:
    async def scenario() -> None:
        with pytest.raises(ServeError, match=told):
            async with serve(app, host, 0):
                pass

    asyncio.run(scenario())


def test_signals_and_logging_are_left_alone() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = list(logging.getLogger("uvicorn").handlers)
    passed_on = logging.getLogger("uvicorn.error").propagate

    async def scenario() -> None:
        async with serve(app, "127.0.0.1", 0):
            during = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            assert during[signal.SIGTERM] == before[signal.SIGTERM]
            assert logging.getLogger("uvicorn").handlers == handlers
            assert logging.getLogger("uvicorn.error").propagate is passed_on

    asyncio.run(scenario())
    assert {number: signal.getsignal(number) for number in before} == before


def test_an_error_of_the_block_comes_out_as_it_is() -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match="mine"):
            async with serve(app, "127.0.0.1", 0):
                raise ValueError("mine")

    asyncio.run(scenario())


def test_a_request_under_way_is_answered_before_the_end() -> None:
    started, go = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        await go.wait()
        await app(scope, receive, send)

    async def scenario() -> None:
        async with httpx.AsyncClient(timeout=60) as http:
            async with serve(slow, "127.0.0.1", 0, stop_within_s=10) as served:
                asking = asyncio.create_task(http.get(served.url))
                await started.wait()
                asyncio.get_running_loop().call_later(0.2, go.set)
            assert (await asking).text == "ok"

    asyncio.run(scenario())


def test_a_request_that_never_ends_does_not_hold_the_end_up() -> None:
    started = asyncio.Event()

    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive, send
        started.set()
        await asyncio.Event().wait()

    async def scenario() -> Any:
        async with httpx.AsyncClient(timeout=60) as http, asyncio.timeout(20):
            async with serve(stuck, "127.0.0.1", 0, stop_within_s=1) as served:
                asking = asyncio.create_task(http.get(served.url))
                await started.wait()
            return (await asyncio.gather(asking, return_exceptions=True))[0]

    assert isinstance(asyncio.run(scenario()), httpx.Response | httpx.RemoteProtocolError)


def test_connections_send_at_once() -> None:
    async def scenario() -> None:
        async with serve(app, "127.0.0.1", 0) as served, httpx.AsyncClient(timeout=60) as http:
            await http.get(served.url)
            tasks_seen = [
                transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                for transport in transports(served.port)
            ]
            assert tasks_seen
            assert all(tasks_seen)

    asyncio.run(scenario())


def transports(port: int) -> list[asyncio.Transport]:
    """The server's ends of the connections to ``port``."""
    loop: Any = asyncio.get_running_loop()
    return [
        transport
        for transport in loop._transports.values()
        if (transport.get_extra_info("sockname") or ("", 0))[1] == port
    ]
