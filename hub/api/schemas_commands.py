"""Commands over HTTP: bodies of ``/nodes/{node}/commands``, ``/commands``, ``/fleet-runs`` and ``/audit``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.api.schemas import Time

#: ``waiting``: the broker holds it for a node that is not connected. ``sent``: the broker has it, the node is connected
#: and has not answered. ``unanswered``: begun, and nothing final came. ``unsent``: the broker refused it.
CommandState = Literal[
    "sending",
    "sent",
    "waiting",
    "accepted",
    "done",
    "failed",
    "refused",
    "timeout",
    "expired",
    "unsent",
    "unanswered",
]
#: ``api``: sent by the hub for a user. ``mqtt``: seen on the broker. ``reply``: only replies to it were seen.
CommandOrigin = Literal["api", "mqtt", "reply"]

_LONGEST_RUN_S = 86_400.0
_LONGEST_WAIT_S = 30 * 86_400.0


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CommandRequest(_Body):
    """A command; everything may be left out."""

    args: dict[str, Any] = {}
    #: Seconds it may run; the node's own limit when null.
    timeout_s: Annotated[float, Field(gt=0, le=_LONGEST_RUN_S)] | None = None
    #: Seconds from now in which it must begin; setting ``commands.expires`` when null.
    expires_s: Annotated[float, Field(gt=0, le=_LONGEST_WAIT_S)] | None = None
    #: The same as Unix time in ms; signed commands need it so.
    expires_ms: Annotated[int, Field(ge=0, le=2**53)] | None = None
    #: Made up when null.
    id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    #: Who signed it, and the signature; see docs/commands.md.
    operator: Annotated[str, Field(max_length=64)] | None = None
    nonce: Annotated[str, Field(max_length=64)] | None = None
    signature: Annotated[str, Field(max_length=128)] | None = None


class CommandSender(BaseModel):
    """What is known of who sent it. MQTT itself does not say; what is not known is null."""

    #: User of the API.
    user: str | None
    #: Operator that the signature names.
    signer: str | None
    #: The signature was checked with a key of the hub: right, wrong; null: the hub has no key of that operator.
    verified: bool | None
    #: What a user property of the message says; anybody may write anything there.
    claimed: str | None


class Command(BaseModel):
    """One command and what is known of it."""

    id: str
    node: str
    #: Empty where only its replies were seen.
    command: str
    state: CommandState
    #: Whether the state is the node's word, or what the hub knows without it.
    state_by: Literal["node", "hub"]
    origin: CommandOrigin
    sender: CommandSender
    #: JSON; a text where it was too long to be kept whole.
    args: Any
    timeout_s: float | None
    requested: Time
    expires: Time | None
    #: When the broker confirmed it.
    sent: Time | None
    accepted: Time | None
    ended: Time | None
    code: int | None
    result: Any
    error: str | None
    output_chunks: int
    output_bytes: int
    #: False: only the beginning of the output is kept.
    output_whole: bool
    #: SHA-256 chained over all output; empty without output.
    output_sha256: str
    #: Fleet run that it is part of.
    run: str | None
    #: It came as a retained message.
    retained: bool
    #: How often the same request was seen again.
    repeats: int


class OutputChunk(BaseModel):
    """One piece of output."""

    n: int
    at: Time
    stream: str
    data: str


class FleetRequest(CommandRequest):
    """One command to many nodes; ``id`` and the signature are given for each node."""

    command: Annotated[str, Field(min_length=1, max_length=128)]
    #: Node ids, shell globs, ``group:NAME``.
    nodes: list[Annotated[str, Field(min_length=1, max_length=128)]] = Field(min_length=1, max_length=10_000)
    #: ``["1", "10%", "all"]``: how many nodes have it after each stage.
    stages: list[Annotated[str, Field(max_length=16)]] = Field(default=[], max_length=100)
    #: Begin no further stage when so many have not ended as done.
    stop_after_failures: Annotated[int, Field(ge=1)] | None = None
    #: Signed commands, by node.
    signed: dict[str, CommandRequest] = {}


class FleetRun(BaseModel):
    """One command to many nodes; ``GET commands?run=`` lists what became of it on each."""

    id: str
    command: str
    user: str
    state: Literal["running", "done", "stopped"]
    #: Why it was stopped.
    why: str
    nodes: int
    #: Stages that have begun, and how many nodes have it after each.
    stage: int
    stages: list[int]
    stop_after_failures: int | None
    requested: Time
    ended: Time | None
    #: State → number of nodes, of those that were sent it.
    states: dict[str, int]


class AuditRow(BaseModel):
    """One row of the journal, with all that its digest covers."""

    number: int
    at_ns: int
    kind: str
    node: str
    id: str
    #: JSON text, as it was hashed.
    facts: str
    digest: str


class AuditHead(BaseModel):
    """The end of the journal: keep it elsewhere, and nothing before it can be changed unseen."""

    number: int
    digest: str
