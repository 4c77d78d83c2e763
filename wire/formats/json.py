"""The contract's own telemetry format: UTF-8 JSON, the form that ThingsBoard devices use, plus tags and ``seq``.

    {"temperature": 21.5, "door": true}                                      values; time = arrival
    {"ts": 1763750000000, "values": {…}, "tags": {…}, "seq": 4711}           an object in ``values`` makes it this form
    [ …any number of the above… ]

Messages of plain numbers, nearly all there are, are decoded by a typed decoder straight into what a point needs.
Whatever that decoder does not take goes the careful way, which finds out value by value what can be kept.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Final

import msgspec

from wire.errors import PayloadError, Reason
from wire.formats.base import Context, Decoded, Limits, RefusedValue
from wire.formats.checks import length_in_bytes, payload_text, too_many_values
from wire.formats.times import MAX_NS, MIN_NS, timestamp_ns
from wire.formats.values import MAX_EXACT_INT, flatten, shown
from wire.messages import first_bytes
from wire.point import NODE_TAG, NS_PER_MS, Point, SeriesKey
from wire.surrogates import is_whole

#: Tagged keys interned per topic; past this the table starts anew.
_TAGGED_KEPT: Final = 10_000
#: Field names remembered for all topics; past this the table starts anew.
_NAMES_KEPT: Final = 10_000
#: A key is kept in memory for good.
_MOST_TAGS: Final = 64
#: What 64 bits hold.
_MAX_SEQ: Final = 2**63 - 1
#: int() refuses more digits.
_MOST_DIGITS: Final = 4300
_WRAPPER_KEYS: Final = frozenset({"ts", "values", "tags", "seq", "session"})


#: Bounds that the decoder checks in passing: what lies outside goes the careful way. 2^53 itself does, too: it is what
#: 2^53 + 1 is rounded to.
_Exact = Annotated[float, msgspec.Meta(gt=-float(MAX_EXACT_INT), lt=float(MAX_EXACT_INT))]
_Fields = Annotated[dict[str, _Exact], msgspec.Meta(min_length=1)]


class _Numbers(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A message that holds numbers only, and nothing that needs a second look."""

    values: _Fields
    ts: Annotated[int, msgspec.Meta(ge=MIN_NS // NS_PER_MS + 1, le=MAX_NS // NS_PER_MS)] | None = None
    tags: dict[str, str] | None = None
    seq: Annotated[int, msgspec.Meta(ge=0, le=_MAX_SEQ)] | None = None
    session: str | None = None


_numbers: Final = msgspec.json.Decoder(_Numbers)
_flat_numbers: Final = msgspec.json.Decoder(_Fields)
_many_numbers: Final = msgspec.json.Decoder(list[_Numbers])
_anything: Final = msgspec.json.Decoder()


def decode_json(payload: bytes, context: Context, arrival_ns: int) -> Decoded:
    """See :class:`wire.formats.base.Format`; an element of an array that is wrong is refused alone."""
    found = decode_quickly(payload, context, arrival_ns)
    return Decoded((found,)) if isinstance(found, Point) else found


def decode_quickly(payload: bytes, context: Context, arrival_ns: int) -> Point | Decoded:
    """As :func:`decode_json`, in fewer steps for what nearly every message is: a point alone holds numbers alone."""
    limits = context.limits
    if len(payload) <= limits.payload_bytes:
        try:
            if payload.startswith(b"["):
                points = [_point(m, context, arrival_ns + i) for i, m in enumerate(_many_numbers.decode(payload))]
                if points and sum(len(p.fields) for p in points) <= limits.values_per_message:
                    return Decoded(points)
            elif b'"values"' in payload:
                message = _numbers.decode(payload)
                fields, ts_ms = message.values, message.ts
                # As _point, without the call.
                if not context.names.issuperset(fields) or len(fields) > limits.values_per_message:
                    _learn(fields, context)
                return Point(
                    _interned(message.tags, context) if message.tags else context.key,
                    arrival_ns if ts_ms is None else ts_ms * NS_PER_MS,
                    fields,  # type: ignore[arg-type]  # float is a Value
                    message.seq,
                )
            else:
                fields = _flat_numbers.decode(payload)
                if len(fields) > limits.values_per_message or not context.names.issuperset(fields):
                    _learn(fields, context)
                return Point(context.key, arrival_ns, fields)  # type: ignore[arg-type]  # float is a Value
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, PayloadError, _LookAgain):
            pass
    return _carefully(payload, context, arrival_ns)


# -- the fast way -----------------------------------------------------------------------------------------------------


class _LookAgain(Exception):  # noqa: N818  a signal, not an error
    """Something the fast way leaves to the careful one."""


def _point(message: _Numbers, context: Context, arrival_ns: int) -> Point:
    fields = message.values
    if not context.names.issuperset(fields) or len(fields) > context.limits.values_per_message:
        _learn(fields, context)
    key = _interned(message.tags, context) if message.tags else context.key
    ts = message.ts
    return Point(key, arrival_ns if ts is None else ts * NS_PER_MS, fields, message.seq)  # type: ignore[arg-type]  # float is a Value


def _learn(fields: dict[str, float], context: Context) -> None:
    """Check names that did not come yet, and remember them."""
    limits = context.limits
    if len(fields) > limits.values_per_message or any(
        not name or length_in_bytes(name) > limits.key_bytes for name in fields
    ):
        raise _LookAgain
    if len(context.names) + len(fields) > _NAMES_KEPT:
        context.names.clear()
    context.names.update(fields)


def _interned(tags: dict[str, str], context: Context) -> SeriesKey:
    given = tuple(tags.items())
    key = context.tagged.get(given)
    if key is None:
        if len(context.tagged) >= _TAGGED_KEPT:
            context.tagged.clear()
        checked = _checked_tags(tags, context.limits)
        key = context.tagged.setdefault(checked, SeriesKey(context.node, context.measurement, checked))
        context.tagged[given] = key
    return key


# -- the careful way --------------------------------------------------------------------------------------------------


def _carefully(payload: bytes, context: Context, arrival_ns: int) -> Decoded:
    document = _document(payload, context.limits)
    messages = document if isinstance(document, list) else [document]
    if len(messages) > context.limits.values_per_message:
        raise too_many_values(payload, context.limits)
    points: list[Point] = []
    refused: list[RefusedValue] = []
    first_error: PayloadError | None = None
    count = 0
    for i, message in enumerate(messages):
        try:
            point = _one(message, context, arrival_ns + len(points), refused)
        except PayloadError as error:
            first_error = first_error or error
            refused.append(RefusedValue(error.reason, f"element {i}: {error.detail}"))
            continue
        points.append(point)
        count += len(point.fields)
    if count + len(refused) > context.limits.values_per_message:
        raise too_many_values(payload, context.limits)
    if not points:
        if first_error is None:
            raise PayloadError(Reason.NO_VALUES, "an empty array")
        raise PayloadError(first_error.reason, f"{first_error.detail}; starts with {first_bytes(payload)}")
    return Decoded(points, refused)


def _document(payload: bytes, limits: Limits) -> Any:
    text = payload_text(payload, limits)
    try:
        return _anything.decode(text)
    except RecursionError:
        raise PayloadError(Reason.TOO_DEEP, f"nested too deeply; starts with {first_bytes(payload)}") from None
    except msgspec.DecodeError as error:
        why = str(error)
    # NaN, Infinity and numbers past the range of a float are no JSON, but devices send them: refuse those alone.
    try:
        return json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError):
        raise PayloadError(Reason.NOT_JSON, f"{why}; starts with {first_bytes(payload)}") from None


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= _MOST_DIGITS else math.copysign(math.inf, -1 if digits[0] == "-" else 1)


def _one(message: Any, context: Context, arrival_ns: int, refused: list[RefusedValue]) -> Point:
    if not isinstance(message, dict):
        raise PayloadError(
            Reason.WRONG_SHAPE,
            f"an object with values is wanted, not {_named(message)}; for bare values see [[sources]]",
        )
    ts_ns, seq, key, values = arrival_ns, None, context.key, message
    if isinstance(message.get("values"), dict):
        values = message["values"]
        if message.get("ts") is not None:
            ts_ns = timestamp_ns(message["ts"])
        if message.get("tags"):
            key = _interned(_tags(message["tags"]), context)
        seq = _seq(message.get("seq"), refused)
        refused += [
            RefusedValue(Reason.UNKNOWN_KEY, f"{shown(name)} beside values") for name in message.keys() - _WRAPPER_KEYS
        ]
    elif "ts" in message and "values" in message:
        raise PayloadError(Reason.WRONG_SHAPE, f"values must be an object, not {_named(message['values'])}")
    before = len(refused)
    fields = flatten(values, context.limits, refused)
    if not fields:
        if len(refused) > before:
            raise PayloadError(refused[before].reason, "; ".join(r.detail for r in refused[before:][:3]))
        raise PayloadError(Reason.NO_VALUES, "no values: an empty object, or nulls only")
    return Point(key, ts_ns, fields, seq)


# -- what stands beside values ----------------------------------------------------------------------------------------


def _tags(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        raise PayloadError(Reason.BAD_TAG, f"tags must be an object, not {_named(given)}")
    tags: dict[str, str] = {}
    for name, value in given.items():
        if isinstance(value, bool):
            tags[name] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            tags[name] = str(value)
        elif value is not None:
            raise PayloadError(Reason.BAD_TAG, f"tag {shown(name)} must be text, a number or a boolean")
    return tags


def _checked_tags(tags: dict[str, str], limits: Limits) -> tuple[tuple[str, str], ...]:
    """Sorted, without empty ones, which say the same as none (InfluxDB cannot hold them)."""
    if len(tags) > _MOST_TAGS:
        raise PayloadError(Reason.BAD_TAG, f"{len(tags)} tags, {_MOST_TAGS} are allowed")
    for name, value in tags.items():
        if not name or length_in_bytes(name) > limits.key_bytes or length_in_bytes(value) > limits.tag_bytes:
            raise PayloadError(
                Reason.BAD_TAG,
                f"tag {shown(name)}: 1 to {limits.key_bytes} bytes of name (limits.key_bytes) "
                f"and at most {limits.tag_bytes} of value (limits.tag_bytes) are allowed",
            )
        if not (is_whole(name) and is_whole(value)):
            raise PayloadError(Reason.BAD_TAG, f"tag {shown(name)}: half a character, which UTF-8 cannot hold")
    if NODE_TAG in tags:
        raise PayloadError(Reason.BAD_TAG, f"tag {NODE_TAG!r} is set by the hub from the topic")
    return tuple(sorted(item for item in tags.items() if item[1]))


def _seq(seq: Any, refused: list[RefusedValue]) -> int | None:
    if seq is None or (isinstance(seq, int) and not isinstance(seq, bool) and 0 <= seq <= _MAX_SEQ):
        return seq
    refused.append(RefusedValue(Reason.WRONG_SHAPE, f"seq = {shown(str(seq))}: a whole number from 0 is wanted"))
    return None


def _named(value: Any) -> str:
    return {dict: "an object", list: "an array", str: "text", bool: "a boolean", type(None): "null"}.get(
        type(value), "a number"
    )
