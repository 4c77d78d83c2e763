"""What became of messages, over HTTP: bodies of ``/rejects`` and ``/ledger``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.api.schemas import Time

RejectState = Literal["kept", "replayed", "dropped"]


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


class RejectIds(BaseModel):
    """Which rejects are meant."""

    model_config = ConfigDict(extra="forbid")

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
