"""A refused message: as the pipeline hands it over, and as it is kept."""

from __future__ import annotations

import enum

import msgspec

from wire.errors import Reason


class Reject(msgspec.Struct, frozen=True):
    """A message that was refused, whole or in part."""

    topic: str
    payload: bytes
    #: When it arrived; values without a time of their own are replayed at this one. ns.
    arrival_ns: int
    reason: Reason
    #: What exactly is wrong, and where.
    detail: str
    #: None where the topic names none.
    node: str | None
    retain: bool
    #: The message was stored but for the values that ``detail`` names.
    partial: bool


class RejectState(enum.StrEnum):
    """What became of a reject."""

    KEPT = "kept"
    REPLAYED = "replayed"
    DROPPED = "dropped"


class KeptReject(msgspec.Struct, frozen=True):
    """A reject in the store; see :class:`Reject`."""

    #: Ascends in order of arrival and is never used again.
    id: int
    topic: str
    arrival_ns: int
    #: A :class:`~wire.errors.Reason`, of the version that refused it.
    reason: str
    detail: str
    node: str | None
    retain: bool
    partial: bool
    state: RejectState
    #: When it was replayed, tried again in vain, or dropped, ns; None while it is as it came.
    changed_ns: int | None
    #: Version of the hub that refused it last: a newer one may know its format.
    version: str
    #: Of the payload.
    size_bytes: int
    #: Empty in lists, and of a dropped one.
    payload: bytes = b""


class RejectFilter(msgspec.Struct, frozen=True):
    """Selects rejects; None selects all."""

    node: str | None = None
    reason: str | None = None
    #: Shell glob (``*``, ``?``, ``[…]``) over the whole topic.
    topic: str | None = None
    state: RejectState | None = None
    #: Arrival, ``since_ns <= t < until_ns``.
    since_ns: int | None = None
    until_ns: int | None = None
    #: None of any other node; what somebody may see.
    nodes: frozenset[str] | None = None


class ReplayOutcome(msgspec.Struct, frozen=True):
    """What today's decoder and the store made of a reject; no reason means that they took all of it, durably."""

    reason: Reason | None = None
    detail: str = ""
    #: Some of it was stored.
    partial: bool = False


class ReplayReport(msgspec.Struct, frozen=True):
    """What a replay did, by id."""

    replayed: tuple[int, ...] = ()
    #: Refused once more; the reject says why.
    refused: tuple[int, ...] = ()
    #: Not there (any more), or dropped.
    gone: tuple[int, ...] = ()


class RejectStats(msgspec.Struct, frozen=True):
    """Figures of the store."""

    kept: int
    replayed: int
    dropped: int
    #: What is held counts as so many bytes towards the bound.
    size_bytes: int
    #: Rejects that nobody had replayed or dropped when they had to go, since the store was made.
    evicted: int
    max_bytes: int
    max_messages: int
