"""What travels over ``WS live``: JSON text frames, told apart by ``type``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from hub.api.schemas import Scalar, Time


class LiveSubscribe(BaseModel):
    """First frame of a client of ``WS live``: what it wants. Without ``Authorization`` header it carries the token."""

    model_config = ConfigDict(extra="forbid")

    token: SecretStr | None = None
    #: Shell globs; null selects all.
    node: str | None = None
    measurement: str | None = None
    #: Event types; null selects all.
    types: list[Literal["message", "node", "command", "alert", "stats"]] | None = None
    #: For ``stats``, which come only where ``types`` names them: seconds that the statistics are over.
    window_s: float = Field(default=60, gt=0, le=86_400)


class LivePoint(BaseModel):
    """A point of the sample in a ``message`` event."""

    time: Time
    measurement: str
    tags: dict[str, str]
    fields: dict[str, Scalar]


class LiveReady(BaseModel):
    """Answer to the first frame: events follow."""

    type: Literal["ready"] = "ready"


class LiveMessage(BaseModel):
    """One MQTT message and what became of it."""

    type: Literal["message"] = "message"
    at: Time
    topic: str
    node: str | None
    measurement: str | None
    outcome: Literal["stored", "refused", "duplicate", "handled"]
    #: Why it was refused.
    reason: str | None = None
    detail: str | None = None
    #: The first few points of it.
    points: list[LivePoint] = []
    size_bytes: int


class LiveNode(BaseModel):
    """A node appeared, connected, went, or sent a further birth (``updated``)."""

    type: Literal["node"] = "node"
    at: Time
    node: str
    change: Literal["new", "online", "silent", "offline", "updated"]
    reason: str
    session: str | None = None
    #: How long it was connected; on ``silent`` and ``offline``.
    duration_s: float | None = None


class LiveCommand(BaseModel):
    """A command took a step."""

    type: Literal["command"] = "command"
    at: Time
    node: str
    id: str
    #: Empty where only its replies were seen.
    command: str
    #: As in ``GET commands/{id}``.
    state: str
    #: Number of the reply, where a reply was the reason.
    n: int | None = None
    #: Output, where the reply carries any.
    stream: str | None = None
    data: str | None = None
    code: int | None = None
    error: str | None = None


class LiveAlert(BaseModel):
    """Something happened to an alert; ``GET alerts/{id}`` has all of it."""

    type: Literal["alert"] = "alert"
    at: Time
    change: Literal[
        "pending", "firing", "severity", "acknowledged", "assigned", "commented", "flapping", "resolved", "cancelled"
    ]
    id: int
    rule: str
    node: str
    #: Empty where the rule is about the node itself.
    series: str
    state: Literal["pending", "firing", "acknowledged", "resolved"]
    severity: Literal["info", "warning", "critical"]
    message: str
    #: Empty: the hub itself.
    by: str = ""
    why: str = ""


class LiveSeriesStats(BaseModel):
    """What the samples of one series in a window come to."""

    field: str
    tags: dict[str, str]
    count: int
    mean: float
    min: float
    max: float
    sum: float
    last: float
    #: Of a sample (n - 1).
    stddev: float | None


class LiveStats(BaseModel):
    """Statistics of one measurement of one node over one window, of the series that had samples; once a second."""

    type: Literal["stats"] = "stats"
    at: Time
    node: str
    measurement: str
    window_s: float
    series: list[LiveSeriesStats]


class LiveSkipped(BaseModel):
    """The client was too slow: ``n`` events were left out here."""

    type: Literal["skipped"] = "skipped"
    n: int


LiveEvent = Annotated[
    LiveReady | LiveMessage | LiveNode | LiveCommand | LiveAlert | LiveStats | LiveSkipped,
    Field(discriminator="type"),
]
