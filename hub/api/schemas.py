"""What travels over HTTP: request and response bodies of ``/api/v1``.

Clients import nothing else of ``hub/api`` than this file and its sisters ``schemas_…``.

Times are ISO 8601 in UTC with ``Z``: milliseconds, or nanoseconds where the stored time has them. Lists are pages: send
``next`` back as ``?page=`` until it is null. Errors are :class:`Problem` documents (RFC 9457).
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr

#: ISO 8601, UTC, e.g. ``2026-11-21T22:18:00.000Z``.
Time = Annotated[str, Field(examples=["2026-11-21T22:18:00.000Z"])]
NodeId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", examples=["boiler-1"])]
Scalar = float | bool | str

Standing = Literal["new", "declared"]
#: ``never``: declared, but not heard of yet. ``silent``: said no goodbye and sends nothing.
Contact = Literal["online", "silent", "offline", "never"]
FieldKind = Literal["number", "boolean", "text"]
Fn = Literal["mean", "min", "max", "sum", "count", "stddev", "first", "last"]
Scope = Literal["full", "operate", "read"]

_T = TypeVar("_T")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Page(BaseModel, Generic[_T]):
    """One page of a list."""

    items: list[_T]
    #: Send it back as ``?page=`` for the next page; null on the last one.
    next: str | None = None
    #: How many there are over all pages, where that is known.
    total: int | None = None


class ProblemItem(BaseModel):
    """One of several things wrong with a request."""

    #: ``query.start``, ``body.node``, …
    where: str
    message: str


class Problem(BaseModel):
    """RFC 9457 problem document, ``application/problem+json``."""

    #: ``about:blank``, or ``urn:iothub:problem:…`` where programs may want to tell it from others of the same status.
    type: str = "about:blank"
    title: str
    status: int
    #: What is wrong and what to do, one sentence or two.
    detail: str
    #: Path of the request.
    instance: str
    errors: list[ProblemItem] | None = None


# -- POST token -------------------------------------------------------------------------------------------------------


class TokenRequest(_Body):
    """Who wants a token."""

    user: str = Field(min_length=1, max_length=64)
    password: SecretStr = Field(max_length=1024)
    #: ``read`` makes a token that cannot change anything, ``operate`` one that can command nodes and handle alerts,
    #: whatever more the user may.
    scope: Scope = "full"


class Token(BaseModel):
    """A bearer token, shown once: send it as ``Authorization: Bearer …``."""

    token: str
    expires: Time
    user: str
    role: str
    scope: Scope


class Holder(BaseModel):
    """Who holds the token of a request."""

    user: str
    role: str
    scope: Scope
    #: None: until it is revoked.
    expires: Time | None
    #: The groups whose nodes it sees; null: it sees all nodes.
    groups: list[str] | None = None


# -- nodes ------------------------------------------------------------------------------------------------------------


class Node(BaseModel):
    """One node of a list."""

    node: str
    standing: Standing
    contact: Contact
    #: Null for a node that was declared and not heard of yet.
    first_seen: Time | None
    last_seen: Time | None
    #: Since when ``contact`` is what it is, and why.
    since: Time | None
    reason: str | None
    session: str | None
    version: str | None
    #: The node keeps messages until a receipt covers them.
    outbox: bool
    groups: list[str]


class Publishes(BaseModel):
    """One series of a node, with its newest value."""

    measurement: str
    tags: dict[str, str]
    field: str
    kind: FieldKind
    first: Time
    last: Time
    #: Null when the newest value is not in memory.
    value: Scalar | None


class NodeDetail(Node):
    """One node, with what it says about itself and what it publishes."""

    #: Inventory from the birth message.
    info: dict[str, Any]
    #: How far its clock is ahead of the hub's (negative: behind), from the arrival times of the last minutes; null when
    #: nothing came in them.
    clock_offset_s: float | None = None
    #: At most 1,000 series; ``GET series?node=`` pages through all of them.
    publishes: list[Publishes]
    series_total: int


class NodeDeclaration(_Body):
    """A node to be declared."""

    node: NodeId
    groups: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(default=[], max_length=32)
    #: It is a gateway: others may be reached ``via`` it.
    gateway: bool = False
    #: It has no account of its own: this gateway speaks for it.
    via: NodeId | None = None


class Credentials(BaseModel):
    """Account on the broker; the password is shown this once."""

    username: str
    password: str
    #: The account works with this MQTT client id only.
    client_id: str


class Broker(BaseModel):
    """Where nodes connect to."""

    host: str
    port: int
    tls: bool
    root: str


class DeclaredNode(BaseModel):
    """Answer to ``POST nodes`` and ``POST nodes/{node}/credentials``."""

    node: str
    #: Null where the hub does not manage the accounts of the broker, and for a node that a gateway speaks for.
    credentials: Credentials | None
    mqtt: Broker


class Connection(BaseModel):
    """One stay of a node; the newest may still be open."""

    connected_at: Time
    #: Null while it lasts.
    disconnected_at: Time | None
    reason_connected: str
    reason_disconnected: str | None
    #: Seconds; null while it lasts.
    duration_s: float | None
    session: str | None


# -- series, query, logs ----------------------------------------------------------------------------------------------


class Series(BaseModel):
    """One series: key, field, type and the range of its times."""

    node: str
    measurement: str
    tags: dict[str, str]
    field: str
    kind: FieldKind
    first: Time
    last: Time


class Column(BaseModel):
    """One series of an answer, as two columns of the same length."""

    node: str
    measurement: str
    tags: dict[str, str]
    field: str
    kind: FieldKind
    times: list[Time]
    values: list[float | None] | list[bool] | list[str]


class QueryAnswer(BaseModel):
    """Answer to ``GET query`` as JSON; CSV and Arrow have one row a sample instead, see there."""

    start: Time
    stop: Time
    #: Seconds; null for samples as they were stored.
    every_s: float | None
    fn: Fn | None
    rows: int
    series: list[Column]


class LogRecord(BaseModel):
    """One log record."""

    time: Time
    node: str
    level: str
    source: str
    message: str
    fields: dict[str, Scalar]


# -- health -----------------------------------------------------------------------------------------------------------


class HealthLink(BaseModel):
    """One link of the chain node → broker → link → decoder → store."""

    name: str
    ok: bool
    #: What is seen, and what to do when it is broken.
    detail: str


class Health(BaseModel):
    """Answer to ``GET /health``: 200 when all links hold, else 503."""

    status: Literal["ok", "broken"]
    #: Names of the broken links, first in the chain first.
    broken: list[str]
    #: Only with a valid token.
    links: list[HealthLink] | None = None
    version: str | None = None
    #: Only with a valid token; seconds.
    uptime_s: float | None = None
