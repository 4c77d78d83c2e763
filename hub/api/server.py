"""Runs the application with uvicorn inside the caller's event loop, without taking over its signals or its logging."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from typing import TYPE_CHECKING, Final

import uvicorn

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator

    from starlette.types import ASGIApp

#: A client of ``WS live`` sends one small frame.
_MAX_FRAME_BYTES: Final = 64 << 10
_BACKLOG: Final = 2048


class ServeError(Exception):
    """The address cannot be listened on; the message says why and what to do."""


class Served:
    """Where the application is reached, while it is."""

    def __init__(self, host: str, port: int, serving: asyncio.Task[None], scheme: str) -> None:
        self.host = host
        #: The one that is really used, where 0 was asked for.
        self.port = port
        self._serving = serving
        self._scheme = scheme

    @property
    def url(self) -> str:
        """Base URL, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self._scheme}://{host}:{self.port}"

    async def wait(self) -> None:
        """Return when the server has stopped; raise what it failed with."""
        await asyncio.shield(self._serving)


@contextlib.asynccontextmanager
async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    stop_within_s: float = 5.0,
    tls: ssl.SSLContext | None = None,
    setting: str = "[api] host = {host!r}, port",
) -> AsyncIterator[Served]:
    """Serve from the start of the ``async with`` block, where requests are answered already, to its end.

    ``tls``: by HTTPS with this certificate. ``setting``: what to name when the address cannot be listened on.
    Then no new requests are taken, and those under way get ``stop_within_s``; a second cancellation ends them at once.

    Raises:
        ServeError: port taken, no permission, no such address.
    """
    with contextlib.closing(await _listen(host, port, setting.format(host=host))) as listener:
        server = _Server(_config(app, stop_within_s, tls))
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
        try:
            ready = asyncio.create_task(server.ready.wait())
            await asyncio.wait((ready, serving), return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            yield Served(host, listener.getsockname()[1], serving, "http" if tls is None else "https")
        finally:
            server.should_exit = True
            try:
                await asyncio.shield(serving)
            except asyncio.CancelledError:
                server.force_exit = True
                serving.cancel()
                raise


def _config(app: ASGIApp, stop_within_s: float, tls: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=logging.getLogger("uvicorn.access").isEnabledFor(logging.DEBUG),
        proxy_headers=False,
        server_header=False,
        http="h11",
        ws="websockets-sansio",
        ws_max_size=_MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=max(1, round(stop_within_s)),
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )


class _Server(uvicorn.Server):
    """Uvicorn that says when it is ready, and leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _listen(host: str, port: int, setting: str) -> socket.socket:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        told = f"no such address ({error.strerror}); 127.0.0.1 is this machine"
        raise ServeError(f"{setting} = {port}: {told}") from error
    family, kind, protocol, _, address = found[0]
    # Not socket.create_server: without its protocol named, asyncio leaves Nagle's algorithm on, 40 ms a request.
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if isinstance(error, PermissionError):
            told = "no permission to listen there; ports below 1024 are the administrator's: set one from 1024 on"
        elif error.errno == errno.EADDRINUSE:
            told = "another program listens there; stop it, or set another port (0 = any free one)"
        else:
            told = f"cannot listen there ({error.strerror}); 127.0.0.1 is this machine, 0.0.0.0 all of its addresses"
        raise ServeError(f"{setting} = {port}: {told}") from error
    return listener
