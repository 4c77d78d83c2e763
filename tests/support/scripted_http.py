"""A small HTTP server that answers as a test says: for answers that no real server can be brought to give."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    #: Unpacked.
    body: bytes

    @property
    def lines(self) -> list[str]:
        return self.body.decode().split("\n")


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    #: Cut the connection in the middle of the answer, or never answer.
    cut: bool = False
    silent: bool = False


def says(status: int, **body: object) -> Response:
    """An answer with a JSON body."""
    return Response(status, json.dumps(body).encode())


class ScriptedServer:
    """Asks ``answer`` what to say to each request; keeps all of them."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self._answer = answer
        self.requests: list[Request] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ScriptedServer]:
        closing = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while (request := await _read(reader)) is not None:
                    self.requests.append(request)
                    response = self._answer(request)
                    if response.silent:
                        await closing.wait()
                        break
                    length = len(response.body) + (100 if response.cut else 0)
                    headers = {
                        **response.headers,
                        **({} if response.status == 204 else {"Content-Length": str(length)}),
                    }
                    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                    writer.write(f"HTTP/1.1 {response.status} Scripted\r\n{head}\r\n".encode() + response.body)
                    await writer.drain()
                    if response.cut:
                        writer.transport.abort()
                        break
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 26)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            closing.set()
            server.close()
            await asyncio.sleep(0)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    parts = urlsplit(target)
    return Request(method, parts.path, {n: v[0] for n, v in parse_qs(parts.query).items()}, headers, body)
