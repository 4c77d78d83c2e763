r"""InfluxDB line protocol, as Telegraf and many devices send it.

::

    cpu,host=a,core=0 usage=12.5,busy=t,note="a \"b\"",n=42i 1763750000000000000
    measurement,tags  fields                                  time, optional

A backslash escapes comma and space in measurements; comma, equals sign and space in tags and field keys; quote and
backslash in quoted strings. Before anything else it stands for itself. Quoted strings may hold newlines. Lines that
start with ``#`` are comments. (InfluxDB OSS documentation, "Line protocol reference".)

The node is the topic's; a tag ``node`` that says otherwise is kept as ``node_tag``, all other tags as they are.
"""

from __future__ import annotations

import math
import re
from functools import partial
from typing import TYPE_CHECKING, Final

from wire.errors import PayloadError, Reason
from wire.formats.base import Decoded, RefusedValue
from wire.formats.checks import length_in_bytes, payload_text, too_many_values
from wire.formats.times import MAX_NS, MIN_NS
from wire.formats.values import NUMBER, is_not_finite, put_int
from wire.messages import first_bytes
from wire.point import NODE_TAG, NS_PER_MS, NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wire.formats.base import Context
    from wire.point import Value

#: Where a payload's own tag ``node`` goes when it differs from the topic's node.
PAYLOAD_NODE_TAG: Final = "node_tag"

# All quantifiers are possessive: a hostile line costs time in proportion to its length.
_NAME = r"(?:[^, \n\\]|\\[, ]|\\(?![, ]))++"
_KEY = r"(?:[^,= \n\\]|\\[,= ]|\\(?![,= ]))++"
_QUOTED = r'"((?:[^"\\]|\\.)*+)"'
_BARE = r'([^", \t\r\n]++)'
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*+)*+")
_GAP = r" [ \t]*+"
_HEAD: Final = re.compile(rf"({_NAME})((?:,{_KEY}={_KEY})*+){_GAP}")
_TAG: Final = re.compile(rf",({_KEY})=({_KEY})")
_FIELD: Final = re.compile(rf"({_KEY})=(?:{_QUOTED}|{_BARE})", re.DOTALL)
_REST: Final = re.compile(r"[^\n]*+\n?+")
_END: Final = re.compile(rf"(?:{_GAP}([+-]?\d++))?+[ \t\r]*+(?:\n|\Z)", re.ASCII)
_WHOLE: Final = re.compile(r"([+-]?\d{1,20})([iu])", re.ASCII)
_WHOLE_RANGE: Final = {"i": (-(2**63), 2**63 - 1), "u": (0, 2**64 - 1)}
_BOOLEANS: Final = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}
_unescape_name: Final = partial(re.compile(r"\\([, ])").sub, r"\1")
_unescape_key: Final = partial(re.compile(r"\\([,= ])").sub, r"\1")
_unescape_string: Final = partial(re.compile(r'\\(["\\])').sub, r"\1")

#: Measurements with their tags that are kept parsed, a topic.
_MOST_KEPT: Final = 10_000
_LONGEST_SHOWN: Final = 40
#: Digits; int() refuses more than 4300.
_LONGEST_TIME: Final = 30


class _BadLineError(Exception):
    """The line cannot be stored; the message says why."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def _decode(payload: bytes, context: Context, arrival_ns: int, *, unit_ns: int) -> Decoded:
    """Decode lines; one that is bad is refused alone, with its number and first bytes.

    Lines without a time get ``arrival_ns``, each one nanosecond after the line before, so that none hides another.

    Raises:
        PayloadError: too large, not UTF-8, too many values, or not one point in it.
    """
    parser = _Parser(payload_text(payload, context.limits), context, arrival_ns, unit_ns)
    for values in parser.lines():
        if values > context.limits.values_per_message:
            raise too_many_values(payload, context.limits)
    if not parser.points:
        if parser.refused:
            raise PayloadError(parser.refused[0].reason, parser.refused[0].detail)
        raise PayloadError(Reason.NO_VALUES, f"no line in it; starts with {first_bytes(payload)}")
    return Decoded(parser.points, parser.refused)


#: Times in ns, µs, ms and s.
decode_influx: Final = partial(_decode, unit_ns=1)
decode_influx_us: Final = partial(_decode, unit_ns=1000)
decode_influx_ms: Final = partial(_decode, unit_ns=NS_PER_MS)
decode_influx_s: Final = partial(_decode, unit_ns=NS_PER_S)


class _Parser:
    """One pass over the text of a message; ``_at`` is the offset of the next character."""

    def __init__(self, text: str, context: Context, arrival_ns: int, unit_ns: int) -> None:
        self.points: list[Point] = []
        self.refused: list[RefusedValue] = []
        self._text = text
        self._at = 0
        self._context = context
        self._limits = context.limits
        self._arrival_ns = arrival_ns
        self._unit_ns = unit_ns

    def lines(self) -> Iterator[int]:
        """Parse line by line; yield how many values and refusals there are so far."""
        values = 0
        while self._skip(_BLANK) < len(self._text):
            start = self._at
            try:
                values += self._line()
            except _BadLineError as bad:
                self._at = start
                self._skip(_REST)
                self._refuse(bad, start)
            yield values + len(self.refused)

    def _line(self) -> int:
        """Parse one line; return how many values it gave."""
        head = _HEAD.match(self._text, self._at)
        if head is None:
            raise _BadLineError(Reason.BAD_LINE, "expected `measurement,tag=value field=value`")
        self._at = head.end()
        refused: list[RefusedValue] = []
        fields = self._fields(refused)
        end = _END.match(self._text, self._at)
        if end is None:
            raise _BadLineError(Reason.BAD_LINE, "expected `,field=value` or one whole number, the time, after a field")
        self._at = end.end()
        ts_ns = self._arrival_ns + len(self.points) if end[1] is None else self._ts_ns(end[1])
        self.refused += refused
        if fields:
            self.points.append(Point(self._key(head[1], head[2]), ts_ns, fields))
        return len(fields)

    def _fields(self, refused: list[RefusedValue]) -> dict[str, Value]:
        """Parse the fields at ``_at``; those that cannot be kept go to ``refused``, and the line lives on."""
        fields: dict[str, Value] = {}
        while (found := _FIELD.match(self._text, self._at)) is not None:
            self._at = found.end()
            name, quoted, bare = found.groups()
            key = _unescape_key(name) if "\\" in name else name
            if length_in_bytes(key) > self._limits.key_bytes:
                refused.append(RefusedValue(Reason.KEY_TOO_LONG, f"field {key[:_LONGEST_SHOWN]}…"))
            elif bare is not None:
                if not _put(fields, key, bare):
                    refused.append(RefusedValue(Reason.NOT_FINITE, f"{key} = {bare[:_LONGEST_SHOWN]}"))
            elif length_in_bytes(quoted) > self._limits.text_bytes:
                refused.append(RefusedValue(Reason.TEXT_TOO_LONG, f"{key} = {quoted[:_LONGEST_SHOWN]}…"))
            else:
                fields[key] = _unescape_string(quoted) if "\\" in quoted else quoted
            if self._text[self._at : self._at + 1] != ",":
                return fields
            self._at += 1
        raise _BadLineError(Reason.BAD_LINE, 'expected `field=value`, the value a number, t, f or "text"')

    def _key(self, name: str, tags: str) -> SeriesKey:
        """The key of a measurement and its tags as they were written; kept, since lines repeat them."""
        kept, written = self._context.tagged, ((name, tags),)
        key = kept.get(written)
        if key is None:
            if len(kept) >= _MOST_KEPT:
                kept.clear()
            measurement = _unescape_name(name) if "\\" in name else name
            if length_in_bytes(measurement) > self._limits.key_bytes:
                raise _BadLineError(Reason.KEY_TOO_LONG, "the measurement is too long (limits.key_bytes)")
            key = kept[written] = SeriesKey(self._context.node, measurement, self._tags(tags))
        return key

    def _tags(self, written: str) -> tuple[tuple[str, str], ...]:
        tags: dict[str, str] = {}
        for escaped in _TAG.findall(written):
            name, value = map(_unescape_key, escaped)
            if length_in_bytes(name) > self._limits.key_bytes or length_in_bytes(value) > self._limits.tag_bytes:
                allowed = "limits.key_bytes, limits.tag_bytes"
                raise _BadLineError(Reason.BAD_TAG, f"tag {name[:_LONGEST_SHOWN]!r} is too long ({allowed})")
            if name in tags:
                raise _BadLineError(Reason.BAD_TAG, f"tag {name!r} stands twice")
            tags[name] = value
        node = tags.pop(NODE_TAG, self._context.node)
        if node != self._context.node:
            tags.setdefault(PAYLOAD_NODE_TAG, node)
        return tuple(sorted(tags.items()))

    def _ts_ns(self, text: str) -> int:
        ns = int(text) * self._unit_ns if len(text) <= _LONGEST_TIME else MAX_NS + 1
        if not MIN_NS <= ns <= MAX_NS:
            unit = f"the format's unit is {self._unit_ns} ns"
            raise _BadLineError(Reason.BAD_TIMESTAMP, f"time {text[:_LONGEST_SHOWN]} is past the year 2262; {unit}")
        return ns

    def _refuse(self, bad: _BadLineError, start: int) -> None:
        number = self._text.count("\n", 0, start) + 1
        shown = first_bytes(self._text[start : self._at].encode())
        self.refused.append(RefusedValue(bad.reason, f"line {number}: {bad}; starts with {shown}"))

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at


def _put(fields: dict[str, Value], key: str, text: str) -> bool:
    """Set the field that an unquoted value means; False when it is NaN or an infinity."""
    if NUMBER.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            return False
        fields[key] = number
    elif (boolean := _BOOLEANS.get(text)) is not None:
        fields[key] = boolean
    elif (whole := _WHOLE.fullmatch(text)) is not None:
        low, high = _WHOLE_RANGE[whole[2]]
        if not low <= (count := int(whole[1])) <= high:
            raise _BadLineError(Reason.BAD_LINE, f"{key}={text} is outside {low} to {high}")
        put_int(fields, key, count)
    elif is_not_finite(text):
        return False
    else:
        raise _BadLineError(Reason.BAD_LINE, f'{key}={text[:_LONGEST_SHOWN]} is no number, t, f or "text"')
    return True
