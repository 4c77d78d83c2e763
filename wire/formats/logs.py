"""Log records: one JSON object, an array of them, or plain text.

``{"ts": 1763750000000, "level": "warning", "source": "nginx", "message": "…", "fields": {"status": 502}, "seq": 7}``

Every key but ``message`` is optional; keys that are none of these count as fields. A record becomes a point of
measurement ``log`` with the tags ``level`` and ``source`` and the field ``message`` beside its own fields.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wire.errors import PayloadError, Reason
from wire.formats.base import Decoded, RefusedValue
from wire.formats.checks import length_in_bytes, payload_text, too_many_values
from wire.formats.times import timestamp_ns
from wire.formats.values import flatten
from wire.messages import first_bytes
from wire.point import LOG_MEASUREMENT, NODE_TAG, NS_PER_MS, Point, SeriesKey
from wire.surrogates import mended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wire.formats.base import Context

#: From the least to the most severe: the severities of RFC 5424, and ``trace`` below them.
LEVELS: Final = ("trace", "debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
DEFAULT_LEVEL: Final = "info"
#: Where a level that is none of ours is kept.
LEVEL_TEXT: Final = "level_text"

#: Other names of levels, and the numbers of RFC 5424.
_ALIASES: Final = {
    **{level: level for level in LEVELS},
    **{str(number): level for number, level in enumerate(reversed(LEVELS[1:]))},
    "verbose": "trace",
    "dbg": "debug",
    "information": "info",
    "informational": "info",
    "warn": "warning",
    "err": "error",
    "severe": "error",
    "crit": "critical",
    "fatal": "critical",
    "emerg": "emergency",
    "panic": "emergency",
}
_MESSAGE: Final = "message"
_KNOWN: Final = frozenset({"ts", "level", "source", _MESSAGE, "fields", "seq"})
#: A record's own field of this name would hide the message or a tag, so it is stored as ``fields.{name}``.
_TAKEN: Final = frozenset({_MESSAGE, "level", "source", NODE_TAG})
#: Level and source pairs that are kept as keys, a node.
_MOST_KEPT: Final = 10_000

_decoder: Final = msgspec.json.Decoder()


class _BadRecordError(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def decode_logs(payload: bytes, context: Context, arrival_ns: int) -> Decoded:
    """Decode log records; one of an array that is bad is refused alone.

    Raises:
        PayloadError: too large, not UTF-8, empty, too many values, or no record that can be kept.
    """
    text = payload_text(payload, context.limits)
    if not text.strip():
        raise PayloadError(Reason.NO_VALUES, "the payload is empty")
    points: list[Point] = []
    refused: list[RefusedValue] = []
    # The same message again gives the same times; records of one message never meet, see docs/decisions/log-times.md.
    first_offset = zlib.crc32(payload)
    values = 0
    for index, record in enumerate(_records(text)):
        try:
            point = _point(record, context, arrival_ns, first_offset + index, refused)
        except _BadRecordError as bad:
            refused.append(RefusedValue(bad.reason, f"record {index}: {bad}; starts with {_start(record)}"))
        except PayloadError as bad:
            refused.append(RefusedValue(bad.reason, f"record {index}: {bad.detail}; starts with {_start(record)}"))
        else:
            points.append(point)
            values += len(point.fields)
        if values + len(refused) > context.limits.values_per_message:
            raise too_many_values(payload, context.limits)
    if not points:
        raise PayloadError(refused[0].reason, refused[0].detail)
    return Decoded(points, refused)


def level_of(written: object) -> str | None:
    """The level of :data:`LEVELS` that a name, an alias or a number of RFC 5424 means; None when it means none."""
    if isinstance(written, bool):
        return None
    return _ALIASES.get(str(written).strip().lower())


def _records(text: str) -> Sequence[dict[str, Any]]:
    """Take the message apart; what is neither an object nor an array of objects and texts is a text itself."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            decoded = _decoder.decode(mended(text))
        except (msgspec.DecodeError, RecursionError):
            decoded = text  # such as "[error] disk full"
        if isinstance(decoded, dict):
            return [decoded]
        if isinstance(decoded, list) and decoded and all(isinstance(record, dict | str) for record in decoded):
            return [record if isinstance(record, dict) else {_MESSAGE: record} for record in decoded]
    return [{_MESSAGE: text.rstrip("\r\n\0")}]


def _point(
    record: dict[str, Any], context: Context, arrival_ns: int, offset: int, refused: list[RefusedValue]
) -> Point:
    message = record.get(_MESSAGE)
    if message is None:
        raise _BadRecordError(Reason.WRONG_SHAPE, "a record needs a message")
    if not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    if length_in_bytes(message) > context.limits.text_bytes:
        raise _BadRecordError(Reason.TEXT_TOO_LONG, "the message is too long (limits.text_bytes)")
    written = record.get("level", DEFAULT_LEVEL)
    level = level_of(written)
    seq = record.get("seq")
    if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq < 1 << 63:
        seq = None
    key = _key(context, level or DEFAULT_LEVEL, record.get("source"))
    ts_ns = _ts_ns(record.get("ts"), arrival_ns, offset if seq is None else seq)
    fields = flatten(_own_fields(record), context.limits, refused)
    fields[_MESSAGE] = message
    if level is None:
        fields[LEVEL_TEXT] = str(written)[: context.limits.key_bytes]
    return Point(key, ts_ns, fields, seq)


def _own_fields(record: dict[str, Any]) -> dict[str, Any]:
    """What a record holds beside its known keys, under names that hide none of them."""
    others = {name: value for name, value in record.items() if name not in _KNOWN}
    own = record.get("fields")
    others |= own if isinstance(own, dict) else {"fields": own}
    return {f"fields.{name}" if name in _TAKEN else name: value for name, value in others.items()}


def _ts_ns(ts: object, arrival_ns: int, offset: int) -> int:
    """The record's time, with the digits that it does not give filled from ``offset``."""
    ts_ns = arrival_ns - arrival_ns % NS_PER_MS if ts is None else timestamp_ns(ts)
    for unit in (NS_PER_MS, 1000):
        if ts_ns % unit == 0:
            return ts_ns + offset % unit
    return ts_ns


def _key(context: Context, level: str, source: object) -> SeriesKey:
    name = "" if source is None else str(source)
    if length_in_bytes(name) > context.limits.tag_bytes:
        raise _BadRecordError(Reason.BAD_TAG, "the source is too long (limits.tag_bytes)")
    tags = (("level", level), ("source", name))
    key = context.tagged.get(tags)
    if key is None:
        if len(context.tagged) >= _MOST_KEPT:
            context.tagged.clear()
        key = context.tagged[tags] = SeriesKey(context.node, LOG_MEASUREMENT, tags)
    return key


def _start(record: dict[str, Any]) -> str:
    return first_bytes(msgspec.json.encode(record))
