"""What travels over HTTP: request and response bodies of ``/api/v1``. The only file of ``hub/api`` that clients import.

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
Scope = Literal["full", "read"]
RejectState = Literal["kept", "replayed", "dropped"]

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
    #: ``read`` makes a token that cannot change anything, whatever the role of the user.
    scope: Scope = "full"


class Token(BaseModel):
    """A bearer token, shown once: send it as ``Authorization: Bearer …``."""

    token: str
    expires: Time
    user: str
    role: str
    scope: Scope


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


class Credentials(BaseModel):
    """Account of a node on the broker; the password is shown this once."""

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
    #: Null where the hub does not manage the accounts of the broker.
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


# -- what became of messages ------------------------------------------------------------------------------------------


class RejectSummary(BaseModel):
    """One refused message of a list."""

    id: int
    arrived: Time
    topic: str
    node: str | None
    reason: str
    detail: str
    size_bytes: int
    #: The message was stored but for the values that ``detail`` names.
    partial: bool
    #: It came as a retained message.
    retained: bool
    #: ``replayed``: taken after all. ``dropped``: somebody said that nobody needs it; its bytes are gone.
    state: RejectState
    #: When it was replayed, tried again in vain, or dropped.
    changed: Time | None
    #: Version of the hub that refused it last.
    version: str


class RejectDetail(RejectSummary):
    """One refused message with its bytes."""

    #: The payload as text where it is UTF-8; null where not.
    text: str | None
    #: The payload, whole, Base64; empty once it was dropped.
    payload: str


class RejectIds(_Body):
    """Which rejects are meant."""

    ids: list[Annotated[int, Field(ge=0, le=2**63 - 1)]] = Field(min_length=1, max_length=1000)


class RejectsReplayed(BaseModel):
    """Answer to a replay, by id."""

    #: Stored now.
    replayed: list[int]
    #: Refused once more; the rejects say why.
    refused: list[int]
    #: Not there any more, or dropped.
    gone: list[int]


class RejectsDropped(BaseModel):
    """Answer to ``POST rejects/drop``."""

    dropped: int


class RejectFigures(BaseModel):
    """How many refused messages there are."""

    kept: int
    replayed: int
    dropped: int
    #: What they count for, and what they may.
    size_bytes: int
    max_bytes: int
    max_messages: int
    #: Rejects that had to go before anybody replayed or dropped them.
    evicted: int


class LedgerRow(BaseModel):
    """What became of the messages of one node since the hub counts.

    received = stored + duplicate + handled + all refused. The node is empty where the topic named none.
    """

    node: str
    received: int
    stored: int
    duplicate: int
    #: Births, commands, replies: received, but no data.
    handled: int
    #: By reason.
    refused: dict[str, int]
    #: Single values refused in messages that were stored otherwise, by reason; in no sum.
    values_refused: dict[str, int]
    #: Sequence numbers that never arrived, so far.
    missing: int
    #: Sequence numbers that were missing and came after all.
    late: int
    #: Sequence numbers that the node says it dropped on purpose.
    dropped_by_node: int
    #: Messages whose sequence number had come before.
    repeats: int
    #: Messages of which nobody knows what became: anything but 0 is a defect of the hub.
    unaccounted: int


class LedgerHour(LedgerRow):
    """The same in one hour; numbers count in the hour in which they were missed."""

    start: Time


class LedgerSession(BaseModel):
    """Sequence numbers of one session of a node: last - first + 1 = seen + missing + dropped."""

    #: Null for a node that never named one.
    session: str | None
    first: int
    last: int
    #: All numbers up to here are accounted for.
    watermark: int
    seen: int
    missing: int
    #: Those of the missing that are given up for good: there were too many gaps to remember.
    given_up: int
    dropped: int
    late: int
    repeats: int
    #: First and last number of the first few gaps.
    gaps: list[tuple[int, int]]


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
