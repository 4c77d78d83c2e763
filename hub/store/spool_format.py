"""The bytes of a spool segment: pure functions, no files.

    segment   ┌────────────┬──────────┬──────────┬────────────┬─────────┐
              │ "IOTSPOOL" │ version  │ number   │ made       │ digest  │  header, 36 bytes
              │ 8 bytes    │ u32      │ u64      │ i64 ns     │ 8 bytes │
              ├────────────┴──────────┴──────────┴────────────┴─────────┤
    record    │ c1 "REC" │ length │ spooled │ digest  │ body            │  24 bytes and the body
              │ 4 bytes  │ u32    │ i64 ns  │ 8 bytes │ length bytes    │
              ├──────────┴────────┴─────────┴─────────┴─────────────────┤
              │ … more records, back to back, up to the end of the file │
              └─────────────────────────────────────────────────────────┘

    body      MessagePack: [keys, shapes, rows]
              key   [node, measurement, [[tag, value], …]]
              shape [field, …]
              row   [index of key, index of shape, ts ns, seq or nil, value, …]

Numbers are big-endian. A digest is BLAKE2b of what stands before and behind it, keyed by the number of the segment and
the offset of the record: a record is accepted only where it was written, so that blocks of older files that a disk
brings back are none. ``c1`` is no type of MessagePack, so the marker finds the next record behind damaged bytes.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from wire.point import Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    #: ``read(offset, size)``: the bytes there, fewer at the end.
    Read = Callable[[int, int], bytes]

VERSION: Final = 1
MARKER: Final = b"\xc1REC"

_HEADER: Final = struct.Struct(">8sIQq")
_RECORD: Final = struct.Struct(">4sIq")
_PLACE: Final = struct.Struct(">QQ")
_DIGEST_BYTES: Final = 8
_MAGIC: Final = b"IOTSPOOL"

HEADER_BYTES: Final = _HEADER.size + _DIGEST_BYTES
RECORD_BYTES: Final = _RECORD.size + _DIGEST_BYTES


class Header(NamedTuple):
    """Start of a segment that is not damaged."""

    version: int
    made_ns: int


class Record(NamedTuple):
    """A record that is not damaged; ``end`` is the offset behind it."""

    spooled_ns: int
    body: bytes
    end: int


def header(number: int, made_ns: int) -> bytes:
    """The first bytes of segment ``number``."""
    plain = _HEADER.pack(_MAGIC, VERSION, number, made_ns)
    return plain + _digest(number, 0, plain)


def read_header(read: Read, number: int) -> Header | None:
    """Header of segment ``number``; None when it is damaged or incomplete."""
    found = read(0, HEADER_BYTES)
    plain = found[: _HEADER.size]
    if len(found) < HEADER_BYTES or found[_HEADER.size :] != _digest(number, 0, plain):
        return None
    _, version, _, made_ns = _HEADER.unpack(plain)
    return Header(version, made_ns)


def record(number: int, offset: int, spooled_ns: int, body: bytes) -> bytes:
    """The record that holds ``body`` at ``offset`` of segment ``number``."""
    plain = _RECORD.pack(MARKER, len(body), spooled_ns)
    return plain + _digest(number, offset, plain, body) + body


def read_record(read: Read, number: int, offset: int, size: int) -> Record | None:
    """The record at ``offset`` of a segment of ``size`` bytes; None when there is none, or not an undamaged one."""
    head = read(offset, RECORD_BYTES)
    if len(head) < RECORD_BYTES:
        return None
    plain = head[: _RECORD.size]
    marker, length, spooled_ns = _RECORD.unpack(plain)
    end = offset + RECORD_BYTES + length
    if marker != MARKER or end > size:
        return None
    body = read(offset + RECORD_BYTES, length)
    if head[_RECORD.size :] != _digest(number, offset, plain, body):
        return None
    return Record(spooled_ns, body, end)


def find_record(read: Read, number: int, offset: int, size: int) -> int | None:
    """Offset of the first undamaged record at or behind ``offset``; None when there is none."""
    rest = read(offset, size - offset)
    at = rest.find(MARKER)
    while at >= 0:
        if read_record(read, number, offset + at, size) is not None:
            return offset + at
        at = rest.find(MARKER, at + 1)
    return None


def is_torn(read: Read, offset: int, size: int) -> bool:
    """Whether at ``offset`` a record starts whose end is missing, as a process killed while writing leaves it."""
    head = read(offset, RECORD_BYTES)
    if len(head) < RECORD_BYTES:
        return MARKER.startswith(head[: len(MARKER)]) or head.startswith(MARKER)
    marker, length, _ = _RECORD.unpack(head[: _RECORD.size])
    return bool(marker == MARKER and offset + RECORD_BYTES + length > size)


def pack(points: Sequence[Point]) -> bytes:
    """Body of a record."""
    keys: dict[SeriesKey, int] = {}
    shapes: dict[tuple[str, ...], int] = {}
    rows = [
        (
            keys.setdefault(point.key, len(keys)),
            shapes.setdefault(tuple(point.fields), len(shapes)),
            point.ts_ns,
            point.seq,
            *point.fields.values(),
        )
        for point in points
    ]
    return _encoder.encode(([(key.node, key.measurement, key.tags) for key in keys], list(shapes), rows))


def unpack(body: bytes) -> list[Point]:
    """The points of a body that :func:`pack` made; equal keys are one object."""
    keys_, shapes, rows = _decoder.decode(body)
    keys = [
        SeriesKey(node, measurement, tuple((name, value) for name, value in tags)) for node, measurement, tags in keys_
    ]
    return [
        Point(keys[key], ts_ns, dict(zip(shapes[shape], values, strict=True)), seq)
        for key, shape, ts_ns, seq, *values in rows
    ]


# -- private ----------------------------------------------------------------------------------------------------------

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[Any]] = msgspec.msgpack.Decoder()


def _digest(number: int, offset: int, *parts: bytes) -> bytes:
    digest = blake2b(digest_size=_DIGEST_BYTES, key=_PLACE.pack(number, offset))
    for part in parts:
        digest.update(part)
    return digest.digest()
