"""A hub that lets machines join: its API and its endpoint on the network, over accounts in memory."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Any

import httpx

from hub.broker.lan import certificates_of
from hub.config import Settings
from hub.lan import Lan
from hub.metrics import Metrics
from hub.paths import StatePaths
from tests.support.api import Api, running_api
from tests.support.opened import lan_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from hub.tls.certificates import Certificates


class World:
    """A hub that lets machines join: its API, and its endpoint on the network."""

    def __init__(self, api: Api, certificates: Certificates, port: int) -> None:
        self.api = api
        self.certificates = certificates
        self.port = port

    async def token(self, **wanted: Any) -> str:
        """Secret and fingerprint."""
        answer = await self.api.http.post("/api/v1/join-tokens", json=wanted)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    async def ask(self, path: str, body: dict[str, Any]) -> httpx.Response:
        async with self.machine() as machine:
            return await machine.post(path, json=body)

    def machine(self) -> httpx.AsyncClient:
        context = ssl.create_default_context(cafile=self.certificates.authority_file)
        return httpx.AsyncClient(base_url=f"https://localhost:{self.port}", verify=context, timeout=60)

    async def join(self, token: str, node: str) -> httpx.Response:
        return await self.ask("/join", {"token": token.partition("#")[0], "node": node})


@contextlib.asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    lan = lan_settings()
    settings = Settings.model_validate({"broker": {"lan": lan}})
    paths = StatePaths(folder / "var")
    paths.make()
    certificates_of(settings, paths).make("test-hub", ["localhost"])
    opened = Lan(settings, paths, Metrics())
    assert opened.certificates is not None
    async with (
        running_api(folder, settings=settings, certificates=opened.certificates) as api,
        opened.serving(api.parts),
    ):
        yield World(api, opened.certificates, settings.broker.lan.join_port)


def in_world(folder: Path, test: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        async with world(folder) as made:
            await test(made)

    asyncio.run(run())
