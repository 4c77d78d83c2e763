"""The shape of every payload format: bytes of one message in, points out. Pure functions, one format a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from wire.errors import Reason
from wire.point import Point, SeriesKey


class Limits(msgspec.Struct, frozen=True):
    """What one message may hold; see ``[limits]`` in the settings."""

    payload_bytes: int = 1 << 20
    values_per_message: int = 1000
    depth: int = 8
    key_bytes: int = 128
    text_bytes: int = 64 << 10
    #: Of one tag's value.
    tag_bytes: int = 512


class Context(msgspec.Struct):
    """What depends on the topic alone; made once a topic and kept."""

    node: str
    #: Measurement for formats whose payload does not name one.
    measurement: str
    limits: Limits
    #: Key of the points that carry no tags.
    key: SeriesKey
    #: Keys with tags, interned; bounded by the format that fills it.
    tagged: dict[tuple[tuple[str, str], ...], SeriesKey] = {}
    #: Field names that were checked against the limits before; bounded by the format that fills it. Topics share it.
    names: set[str] = set()


class RefusedValue(msgspec.Struct, frozen=True):
    """One value of a message that was refused while its neighbours were kept."""

    reason: Reason
    #: Field, and the start of the value.
    detail: str


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """What became of one message: at least one of the two is not empty."""

    points: Sequence[Point]
    refused: Sequence[RefusedValue] = ()


class Format(Protocol):
    """A payload format.

    Called once a message, from one thread. Points without a time of their own get ``arrival_ns``, the second
    of them one nanosecond more and so on, so that no two of a message fall on the same instant.

    Raises:
        PayloadError: the whole message is refused.
    """

    def __call__(self, payload: bytes, context: Context, arrival_ns: int) -> Decoded: ...


def context(node: str, measurement: str, limits: Limits, names: set[str] | None = None) -> Context:
    """Make the context of a topic; ``names`` is what all topics with these limits share."""
    key = SeriesKey(node, measurement)
    return Context(node, measurement, limits, key, names=names if names is not None else set())
