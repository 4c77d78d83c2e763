"""The HTTP API over real parts on a real port, for tests: memory store, SQLite registry, uvicorn, httpx."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from argon2 import PasswordHasher

from hub.api.app import create_app
from hub.api.parts import Health, HealthLink, Parts
from hub.api.schemas import Broker
from hub.api.server import serve
from hub.broker.errors import AccountExists, NoSuchAccount
from hub.commanding import Commanding
from hub.config import Settings
from hub.config_commands import CommandSettings
from hub.ledger import Ledger
from hub.live import Live
from hub.nodes.callers import Role, Scope
from hub.nodes.database import sqlite_url
from hub.nodes.presence import Presence
from hub.nodes.registry import Registry
from hub.oidc import Oidc
from hub.paths import StatePaths
from hub.rejects import Rejects
from hub.store.memory import MemoryStore
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
    from pathlib import Path

    from fastapi import FastAPI

    from hub.rejects import Reject, ReplayOutcome
    from hub.tls.certificates import Certificates

#: Hashes for tests: as cheap as the library allows.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse"
#: Applications of tests that have ended.
_IDLE: list[FastAPI] = []
HEALTHY = Health((HealthLink("broker", ok=True, detail="connected"), HealthLink("store", ok=True, detail="stored now")))


@dataclass(frozen=True)
class Account:
    username: str
    password: str
    client_id: str


@dataclass
class MemoryAccounts:
    """Accounts of a broker that is not there; ``broken`` is raised by every call."""

    passwords: dict[str, str] = field(default_factory=dict)
    broken: Exception | None = None
    #: Device → gateway.
    devices: dict[str, str] = field(default_factory=dict)

    async def add_node(self, node: str) -> Account:
        self._check()
        if node in self.passwords:
            raise AccountExists(f"{node!r} has an account")
        return self._set(node, "first")

    async def add_gateway(self, gateway: str) -> Account:
        return await self.add_node(gateway)

    async def add_device(self, device: str, gateway: str) -> None:
        self._check()
        if gateway not in self.passwords:
            raise NoSuchAccount(f"no gateway {gateway!r}")
        self.devices[device] = gateway

    async def rotate(self, node: str) -> Account:
        self._check()
        if node not in self.passwords:
            raise NoSuchAccount(f"{node!r} has no account")
        return self._set(node, self.passwords[node] + "+")

    async def remove_node(self, node: str) -> None:
        self._check()
        if self.passwords.pop(node, None) is None:
            raise NoSuchAccount(f"{node!r} has no account")

    def _set(self, node: str, password: str) -> Account:
        self.passwords[node] = password
        return Account(node, password, node)

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken


@dataclass
class Clock:
    """Wall clock that can be moved."""

    ahead_ns: int = 0

    def __call__(self) -> int:
        return time.time_ns() + self.ahead_ns


@dataclass
class Api:
    """A running API; ``http`` carries an administrator's token, ``anyone`` none."""

    parts: Parts
    app: FastAPI
    url: str
    http: httpx.AsyncClient
    anyone: httpx.AsyncClient
    token: str
    accounts: MemoryAccounts
    rejects: Rejects
    ledger: Ledger
    clock: Clock
    health: list[Health]

    async def pages(self, path: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
        """All pages of a list."""
        page: str | None = None
        while True:
            answer = await self.http.get(path, params=params | ({"page": page} if page else {}))
            assert answer.status_code == 200, answer.text
            yield answer.json()
            if (page := answer.json()["next"]) is None:
                return

    async def token_of(self, role: Role, scope: Scope = Scope.FULL) -> dict[str, str]:
        """Headers with a token of a user of that role."""
        users, now_ns = self.parts.registry.users, self.clock()
        await users.add(f"a-{role}", None, role, now_ns)
        return bearer(await users.issue(f"a-{role}", scope, now_ns, None))


@contextlib.contextmanager
def _application(parts: Parts) -> Iterator[FastAPI]:
    """One over ``parts``; those that other tests are done with are used again, for making one takes half a second."""
    if not parts.settings.api.docs:
        yield create_app(parts)
        return
    app = _IDLE.pop() if _IDLE else create_app(parts)
    app.state.parts = parts
    try:
        yield app
    finally:
        del app.state.parts
        _IDLE.append(app)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@contextlib.asynccontextmanager
async def running_api(
    folder: Path,
    *,
    settings: Settings | None = None,
    accounts: bool = True,
    store: Any = None,
    replay: Callable[[Reject], Awaitable[ReplayOutcome]] | None = None,
    certificates: Certificates | None = None,
    clock_offset_s: Callable[[str], float | None] = lambda _node: None,
) -> AsyncIterator[Api]:
    """Serve the API over an empty store; user ``admin`` has the password :data:`PASSWORD`."""
    clock, made, live = Clock(), MemoryAccounts(), Live()
    health = [HEALTHY]
    async with (
        Registry(sqlite_url(folder / "hub.db"), hasher=CHEAP) as registry,
        store or MemoryStore(clock_ns=clock) as opened,
        Rejects(folder / "rejects.db", max_bytes=1 << 20, max_messages=100) as rejects,
        Ledger(folder / "ledger.db") as ledger,
        contextlib.AsyncExitStack() as files,
    ):
        commanding = await files.enter_async_context(
            Commanding(CommandSettings(), StatePaths(folder), Topics(), live, registry, clock_ns=clock)
        )
        parts = Parts(
            commanding=commanding,
            store=opened,
            registry=registry,
            presence=Presence(90),
            live=live,
            settings=settings or Settings(),
            rejects=rejects,
            ledger=ledger,
            metrics_text=lambda: b"hub_messages_received_total 5\n",
            health=lambda: health[-1],
            accounts=made if accounts else None,
            broker=Broker(host="127.0.0.1", port=1883, tls=False, root="iot/v1"),
            replay=replay,
            certificates=certificates,
            clock_offset_s=clock_offset_s,
            clock_ns=clock,
            oidc=Oidc(settings.api.oidc) if settings is not None and settings.api.oidc.enabled else None,
        )
        await registry.users.add("admin", PASSWORD, Role.ADMIN, clock())
        token = await registry.users.issue("admin", Scope.FULL, clock(), None)
        app = files.enter_context(_application(parts))
        async with (
            serve(app, "127.0.0.1", 0, stop_within_s=2) as served,
            httpx.AsyncClient(base_url=served.url, headers=bearer(token), timeout=60) as http,
            httpx.AsyncClient(base_url=served.url, timeout=60) as anyone,
        ):
            yield Api(parts, app, served.url, http, anyone, token, made, rejects, ledger, clock, health)
            parts.live.close()


def names(rows: Iterable[dict[str, Any]], key: str = "node") -> list[Any]:
    """One key of each row."""
    return [row[key] for row in rows]
