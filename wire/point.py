"""The value that travels the whole way: a :class:`Point`, many of which share one interned :class:`SeriesKey`."""

from __future__ import annotations

from typing import Final

import msgspec

#: What a field may hold. Numbers are 64-bit floats by contract, so an int/float conflict cannot happen.
Value = float | bool | str

#: The tag that names the publishing node in the database.
NODE_TAG: Final = "node"
#: Measurement that holds log records.
LOG_MEASUREMENT: Final = "log"
#: Measurement in which a node says which sequence numbers its outbox dropped: numbers ``dropped_from``, ``dropped_to``.
OUTBOX_MEASUREMENT: Final = "outbox"

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000


class SeriesKey(msgspec.Struct, frozen=True, cache_hash=True, order=True):
    """Node, measurement and payload tags: what all fields of a point have in common.

    Keys are interned by the decoders (equal keys are mostly the same object), so dictionary look-ups by key are cheap.
    """

    node: str
    measurement: str
    #: Payload tags without the node, sorted by name.
    tags: tuple[tuple[str, str], ...] = ()


class Point(msgspec.Struct, frozen=True, gc=False):
    """The values of one series key at one instant.

    Writing the same (key, field, ts_ns) again changes nothing, whatever the value: stores keep the first.
    """

    key: SeriesKey
    #: Nanoseconds since the Unix epoch, UTC.
    ts_ns: int
    fields: dict[str, Value]
    #: Sequence number that the node gave the message, where it gave one.
    seq: int | None = None
