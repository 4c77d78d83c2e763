"""What the API is given by the composition root. Protocols state what it needs of parts that live elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Protocol

import msgspec
from fastapi import Depends
from fastapi.requests import HTTPConnection  # noqa: TC002  FastAPI reads annotations when it runs

from hub.api.limits import LoginLimiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from hub.alerting import Alerting
    from hub.alerts.notify import Notifier
    from hub.api.schemas import Broker
    from hub.broker.people import Account
    from hub.broker.rights import PersonRole
    from hub.commanding import Commanding
    from hub.config import Settings
    from hub.denials import Denial
    from hub.ledger import Ledger
    from hub.live import Live
    from hub.nodes.presence import Presence
    from hub.nodes.registry import Registry
    from hub.oidc import Oidc
    from hub.rejects import Reject, Rejects, ReplayOutcome
    from hub.store.base import Store
    from hub.tls.certificates import Certificates


class HealthLink(msgspec.Struct, frozen=True):
    """One link of the chain, e.g. ``broker``, ``link``, ``decoder``, ``store``."""

    name: str
    ok: bool
    #: What is seen, and what to do when it is broken.
    detail: str


class Health(msgspec.Struct, frozen=True):
    """The chain, first link first."""

    links: tuple[HealthLink, ...]

    @property
    def broken(self) -> list[str]:
        """Names of the links that do not hold."""
        return [link.name for link in self.links if not link.ok]


class Credentials(Protocol):
    """An account on the broker."""

    @property
    def username(self) -> str: ...
    @property
    def password(self) -> str: ...
    @property
    def client_id(self) -> str: ...


class Accounts(Protocol):
    """Accounts of nodes on the broker, changed while it runs; calls raise ``AccountError``."""

    async def add_node(self, node: str) -> Credentials: ...
    async def add_gateway(self, gateway: str) -> Credentials: ...
    async def add_device(self, device: str, gateway: str) -> None: ...
    async def remove_node(self, node: str) -> None: ...
    async def rotate(self, node: str) -> Credentials: ...


class People(Protocol):
    """Accounts of people on the broker; calls raise ``AccountError``."""

    async def add(self, name: str, role: PersonRole) -> Credentials: ...
    async def remove(self, name: str) -> None: ...
    async def rotate(self, name: str) -> Credentials: ...
    async def accounts(self) -> Sequence[Account]: ...


@dataclass(frozen=True)
class Parts:
    """Everything that the routes use."""

    store: Store
    registry: Registry
    presence: Presence
    live: Live
    settings: Settings
    rejects: Rejects
    ledger: Ledger
    #: Prometheus text format.
    metrics_text: Callable[[], bytes]
    health: Callable[[], Health]
    #: None where the broker's accounts are somebody else's business.
    accounts: Accounts | None
    #: Where nodes connect to, with the port that is really used.
    broker: Broker
    #: Accounts of people on the broker; None as ``accounts``.
    people: People | None = None
    #: None where nothing is sent.
    commanding: Commanding | None = None
    #: Rules, alerts and their statistics; None where nobody watches.
    alerting: Alerting | None = None
    #: Tells people; None where nobody watches.
    notifier: Notifier | None = None
    #: The authority whose certificates the network listeners have; None where there are none.
    certificates: Certificates | None = None
    #: Those whom the broker turned away, oldest first; the newest 1,000.
    denials: Callable[[], Sequence[Denial]] = tuple
    #: Decodes and stores a refused message once more; None where there is no decoder.
    replay: Callable[[Reject], Awaitable[ReplayOutcome]] | None = None
    #: Seconds that the clock of a node is ahead of ours; None where nothing came lately.
    clock_offset_s: Callable[[str], float | None] = lambda _node: None
    #: Told of each answered request, with its status.
    requested: Callable[[int], None] = lambda _status: None
    clock_ns: Callable[[], int] = time.time_ns
    started_s: float = field(default_factory=time.monotonic)
    login_limiter: LoginLimiter = field(default_factory=lambda: LoginLimiter(time.monotonic))
    #: Tokens that are not valid, by address.
    token_limiter: LoginLimiter = field(
        default_factory=lambda: LoginLimiter(time.monotonic, capacity=100, refill_per_s=1.0)
    )
    #: For it the dashboard is believed where people come from; empty: it is not.
    dashboard_secret: str = ""
    #: Where people log in who have no password here; None: nowhere.
    oidc: Oidc | None = None
    #: Failed logins there, by address: they leave those with a password alone.
    oidc_limiter: LoginLimiter = field(default_factory=lambda: LoginLimiter(time.monotonic))
    #: Attempts to join, by address.
    join_limiter: LoginLimiter = field(default_factory=lambda: LoginLimiter(time.monotonic))


def parts_of(connection: HTTPConnection) -> Parts:
    """The parts of the app that serves this request."""
    parts: Parts = connection.app.state.parts
    return parts


#: Annotation of route arguments.
PartsOf = Annotated[Parts, Depends(parts_of)]
