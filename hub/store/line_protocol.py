r"""Points → InfluxDB line protocol: one line a point, numbers as floats, times in nanoseconds.

::

    room,floor=1,node=dev1 temperature=21.5,door=t,text="a \"b\"" 1763750000000000000

Line protocol has no way to write some names: a control character, a backslash before a separator, a comment sign at
the start of a measurement, the reserved names. Such a character is written as ``%`` and two capital hexadecimal
digits; a ``%`` that would read as one of these is written ``%25``. So every name fits, no two become one, and
:func:`original_name` gives the name back. An empty tag value is the same as no tag.
(InfluxDB OSS documentation, "Line protocol reference".)

Points of numbers and booleans with plain names, nearly all there are, are written a whole batch at a time: the JSON
encoder writes their fields, and what JSON has and line protocol has not is deleted. Measured, 5 numbers a point: 1.1 µs
a point, 0.2 µs a value.
"""

from __future__ import annotations

import math
import re
from functools import partial
from itertools import compress
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wire.point import NODE_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wire.point import Point, SeriesKey, Value

#: Names that InfluxDB keeps for itself, as keys of tags or fields.
RESERVED: Final = frozenset({"time", "_time", "_field", "_measurement"})
#: Heads and names kept before all are forgotten: bounds memory where names never repeat.
_MOST_KEPT: Final = 1 << 17

#: A backslash before a letter or digit (``C:\Temp``) is itself to every reader; before others, readers disagree.
_CODED: Final = re.compile(r"[\x00-\x1f\x7f]|\\(?![0-9A-Za-z])|%(?=[0-9A-F]{2})")
_CODE: Final = re.compile("%([0-9A-F]{2})")
_measurement_escapes: Final = partial(re.compile(r"([, ])").sub, r"\\\1")
_key_escapes: Final = partial(re.compile(r"([,= ])").sub, r"\\\1")
_text_escapes: Final = str.maketrans({"\\": "\\\\", '"': '\\"'})
_json: Final = msgspec.json.Encoder().encode
#: Names of fields that are the same in JSON, in line protocol, and in between.
_PLAIN: Final = re.compile(r'[^\x00-\x20"%,:=\\{}\x7f]+')
#: ``"a":1.5`` → ``a=1.5``
_TO_LINES: Final = bytes.maketrans(b":", b"=")
_key_of, _ts_of, _fields_of = attrgetter("key"), attrgetter("ts_ns"), attrgetter("fields")


def stored_measurement(name: str) -> str:
    """How InfluxDB holds a measurement of this name."""
    return _first_coded(_stored(name)) if name.startswith("#") else _stored(name)


def stored_key(name: str) -> str:
    """How InfluxDB holds a field or a payload tag of this name."""
    return _first_coded(name) if name in RESERVED or name == NODE_TAG else _stored(name)


def stored_tag(text: str) -> str:
    """How InfluxDB holds this value of a tag."""
    return _stored(text)


def original_name(stored: str) -> str:
    """The name that one of the ``stored_…`` functions was given."""
    return _CODE.sub(lambda found: chr(int(found[1], 16)), stored) if "%" in stored else stored


def is_writable(key: SeriesKey, fields: Iterable[str]) -> bool:
    """Whether line protocol can hold these names: empty ones it cannot. Values of payload tags may be empty."""
    return bool(key.node and key.measurement) and all(name for name, _ in key.tags) and all(fields)


class LineEncoder:
    """Makes lines; remembers the keys and names it has met."""

    def __init__(self) -> None:
        self._heads: dict[SeriesKey, str] = {}
        self._keys: dict[str, str] = {}
        #: Names of fields that stand in lines as they are.
        self._plain: set[str] = set()

    def encode(self, points: Sequence[Point]) -> list[str]:
        """One line a point, without line ends; join them by newlines and encode as UTF-8.

        The points have at least one field, and names that :func:`is_writable`.

        Raises:
            ValueError: a number is not finite, a text or name is not valid UTF-8, a name is empty.
        """
        lines = self._together(points)
        if lines is not None:
            return lines
        quick = [self._is_quick(point) for point in points]
        lines = self._together(list(compress(points, quick)))
        if lines is None:
            return [self._line(point) for point in points]
        made = iter(lines)
        return [next(made) if is_quick else self._line(point) for point, is_quick in zip(points, quick, strict=True)]

    # ── private ──

    def _together(self, points: Sequence[Point]) -> list[str] | None:
        """The lines of points of finite numbers, booleans and plain names; None when there is anything else.

        ``[{"a":1.5,"b":true},{"a":2.5}]`` → ``a=1.5,b=true},{a=2.5`` → ``a=1.5,b=true``, ``a=2.5``
        """
        if not points:
            return []
        fields = list(map(_fields_of, points))
        if not self._are_plain(set().union(*fields)):
            return None
        try:
            written = _json(fields)
        except (
            UnicodeEncodeError,
            OverflowError,
            TypeError,
        ):  # half a character, a number of more than 64 bits or class
            return None
        # A text has quotes of its own, beside the two of each name; a number that is not finite is null in JSON.
        if written.count(b'"') != 2 * sum(map(len, fields)) or b":null" in written:
            return None
        bodies = written[2:-2].translate(_TO_LINES, b'"').decode().split("},{")
        times = _json(list(map(_ts_of, points)))[1:-1].decode().split(",")
        keys = list(map(_key_of, points))
        heads: list[Any] = list(map(self._heads.get, keys))
        if None in heads:
            heads = [head or self._head(key) for head, key in zip(heads, keys, strict=True)]
        return list(map(" ".join, zip(heads, bodies, times, strict=True)))

    def _are_plain(self, names: set[str]) -> bool:
        if names <= self._plain:
            return True
        if len(self._plain) + len(names) > _MOST_KEPT:
            self._plain.clear()
        self._plain.update(name for name in names if _PLAIN.fullmatch(name) and stored_key(name) == name)
        return names <= self._plain

    def _is_quick(self, point: Point) -> bool:
        fields = point.fields
        return str not in map(type, fields.values()) and self._plain.issuperset(fields)

    def _line(self, point: Point) -> str:
        """The line of a point of any kind."""
        if not is_writable(point.key, point.fields):
            raise ValueError("line protocol has no empty names")
        fields = ",".join([f"{self._key(name)}={_value_text(value)}" for name, value in point.fields.items()])
        return f"{self._head(point.key)} {fields} {point.ts_ns}"

    def _head(self, key: SeriesKey) -> str:
        """Measurement and tags; tags in order, as InfluxDB likes them best."""
        head = self._heads.get(key)
        if head is None:
            if not is_writable(key, ()):
                raise ValueError("line protocol has no empty names")
            if len(self._heads) >= _MOST_KEPT:
                self._heads.clear()
            tags = sorted([(stored_key(name), stored_tag(text)) for name, text in key.tags if text])
            tags = sorted([*tags, (NODE_TAG, stored_tag(key.node))])
            written = "".join(f",{_key_escapes(name)}={_key_escapes(text)}" for name, text in tags)
            head = f"{_measurement_escapes(stored_measurement(key.measurement))}{written}"
            self._heads[key] = _checked(head)
        return head

    def _key(self, name: str) -> str:
        written = self._keys.get(name)
        if written is None:
            if len(self._keys) >= _MOST_KEPT:
                self._keys.clear()
            written = self._keys[name] = _checked(_key_escapes(stored_key(name)))
        return written


def _value_text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{_checked(value).translate(_text_escapes)}"'
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("a number that is not finite has no place in line protocol")
    return repr(number)


def _checked(text: str) -> str:
    text.encode()  # UnicodeEncodeError is a ValueError
    return text


def _stored(name: str) -> str:
    return _CODED.sub(lambda found: f"%{ord(found[0]):02X}", name) if _CODED.search(name) else name


def _first_coded(name: str) -> str:
    return f"%{ord(name[0]):02X}{name[1:]}"
