"""Type, time and cardinality checks on points: a bad value is refused or parked, its neighbours are kept.

    point ─▶ time within the window? ─▶ key and fields known with these types? ─▶ as it is        (nearly always)
                    │                              │
                    ▼                              ├─▶ new series: room left for the node? remember its type
                 refused                           └─▶ type clash: convert where exact, else park beside it

Each series keeps the type it was first seen with. ``remember`` restores that from the store at start. InfluxDB has one
type for a field of a measurement, whatever the series: with ``shares_types`` a new series takes that of the others.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from hub.kinds import SeriesKinds
from wire.errors import Reason
from wire.formats.base import RefusedValue
from wire.formats.values import NUMBER, put_number
from wire.point import LOG_MEASUREMENT, NS_PER_S, Point, SeriesKey, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Where a value goes that its series cannot take.
TEXT_SUFFIX: Final = "_text"
NUMBER_SUFFIX: Final = "_num"

_BOOLEANS: Final[dict[Value, bool]] = {"true": True, "false": False, 1.0: True, 0.0: False}
_NAMES: Final = {float: "number", bool: "boolean", str: "text", int: "whole number of another program"}
_LONGEST_SHOWN: Final = 60
_NOTHING: Final[dict[str, type]] = {}
#: Longer digits are text: int() would refuse them, and no sensor sends them.
_LONGEST_NUMBER: Final = 300


class GuardLimits(msgspec.Struct, frozen=True):
    """What the guard checks against."""

    series_per_node: int = 100_000
    #: Points further ahead of our clock are refused.
    future_ns: int = 300 * NS_PER_S
    #: Points older than this are refused: the store would drop them at once.
    past_ns: int = 30 * 86_400 * NS_PER_S


class Clash(msgspec.Struct, frozen=True):
    """A series met a value of another type; said once a series."""

    key: SeriesKey
    field: str
    kept_as: str
    came_as: str
    sample: str
    #: The field that the sample went to.
    stored_in: str


class Checked(msgspec.Struct, gc=False):
    """What the careful way found: the point to store, if any, and what was refused or clashed."""

    point: Point | None
    refused: list[RefusedValue]
    clashes: list[Clash]


class Guard:
    """Remembers the type of every series. One thread only.

    ``window`` once a batch, ``passes`` or ``passes_numbers`` once a point, ``check`` for the points that do not pass.

    Args:
        shares_types: all series of a measurement have the same type for a field, as in InfluxDB.
    """

    def __init__(self, limits: GuardLimits, *, shares_types: bool = False) -> None:
        self._limits = limits
        self._kinds = SeriesKinds()
        #: By measurement and field; None where each series has its own.
        self._shared: dict[str, dict[str, type]] | None = {} if shares_types else None
        self._series_of: dict[str, int] = {}
        self._clashed: set[tuple[SeriesKey, str]] = set()
        self._oldest_ns = 0
        self._newest_ns = 0

    def remember(self, series: Iterable[tuple[SeriesKey, str, type]]) -> None:
        """Take over what the store holds: key, field and float, bool or str."""
        found: dict[SeriesKey, dict[str, type]] = {}
        for key, field, kind in series:
            found.setdefault(key, {})[field] = self._share(key.measurement, field, kind)
        for key, types in found.items():
            known = self._kinds.of.get(key)
            new = len(types) if known is None else len(types.keys() - known.types.keys())
            self._series_of[key.node] = self._series_of.get(key.node, 0) + new
            self._kinds.put(key, types)

    def remember_fields(self, fields: Iterable[tuple[str, str, type]]) -> None:
        """Take over what a database holds: measurement, field and float, bool, str or int, of which it takes no other.

        It is right where the guard thought otherwise, as it may after a start without the database.
        """
        if self._shared is None:
            return
        for measurement, field, kind in fields:
            if measurement != LOG_MEASUREMENT:  # the database holds records in its own way
                self._shared.setdefault(measurement, {})[field] = kind
        for key, kinds in self._kinds.of.items():
            if (shared := self._shared.get(key.measurement)) is not None:
                self._kinds.put(key, {field: shared[field] for field in kinds.types.keys() & shared.keys()})

    def window(self, now_ns: int) -> None:
        """Move the window of allowed times; called once a batch."""
        self._oldest_ns = now_ns - self._limits.past_ns
        self._newest_ns = now_ns + self._limits.future_ns

    def passes(self, point: Point) -> bool:
        """Whether the point can be stored as it is."""
        kinds = self._kinds.of.get(point.key)
        if kinds is None or not self._oldest_ns <= point.ts_ns <= self._newest_ns:
            return False
        types = kinds.types
        # A loop, not all(…): a generator costs more than the comparisons.
        for field, value in point.fields.items():  # noqa: SIM110
            if types.get(field) is not type(value):
                return False
        return True

    def passes_numbers(self, point: Point) -> bool:
        """As :meth:`passes`, of a point whose values are floats; the one call that most points make on the hot path."""
        kinds = self._kinds.of.get(point.key)
        return (
            kinds is not None
            and kinds.numbers.issuperset(point.fields)
            and self._oldest_ns <= point.ts_ns <= self._newest_ns
        )

    def check(self, point: Point) -> Checked:
        """Find out value by value what of the point can be stored, and in which fields."""
        refused: list[RefusedValue] = []
        clashes: list[Clash] = []
        if not self._oldest_ns <= point.ts_ns <= self._newest_ns:
            return Checked(None, [self._out_of_window(point)], clashes)
        known = self._kinds.of.get(point.key)
        types = known.types if known is not None else _NOTHING
        begun: dict[str, type] = {}
        fields: dict[str, Value] = {}
        misfits: list[tuple[str, Value, type]] = []
        for field, value in point.fields.items():
            kind = types.get(field) or self._shared_type(point.key.measurement, field)
            if kind is not None and kind is not type(value):
                misfits.append((field, value, kind))
            elif (problem := self._admit(point.key, types, begun, field, value, into=fields)) is not None:
                refused.append(problem)
        # What has to move comes last, so that it never takes the place of a value that is where it belongs.
        for field, value, kind in misfits:
            name, fitted = _fit(field, value, kind)
            if (clash := self._clash(point.key, field, kind, value, name)) is not None:
                clashes.append(clash)
            if (problem := self._admit(point.key, types, begun, name, fitted, into=fields)) is not None:
                refused.append(problem)
        if begun:
            self._kinds.put(point.key, begun)
        kept = Point(point.key, point.ts_ns, fields, point.seq) if fields else None
        return Checked(kept, refused, clashes)

    def _admit(
        self,
        key: SeriesKey,
        types: Mapping[str, type],
        begun: dict[str, type],
        name: str,
        value: Value,
        *,
        into: dict[str, Value],
    ) -> RefusedValue | None:
        """Put ``value`` there if the series exists with that type, or may begin: it then is in ``begun``."""
        kind = types.get(name) or begun.get(name) or self._shared_type(key.measurement, name)
        if kind is not None and kind is not type(value):
            return RefusedValue(
                Reason.TYPE_CLASH,
                f"{name[:_LONGEST_SHOWN]!r} holds {_NAMES[kind]}, not {_NAMES[type(value)]} such as {_sample(value)}",
            )
        if name not in types and name not in begun:
            count = self._series_of.get(key.node, 0)
            if count >= self._limits.series_per_node:
                return RefusedValue(
                    Reason.SERIES_LIMIT,
                    f"{name[:_LONGEST_SHOWN]!r}: node {key.node} has {count} series (limits.series_per_node)",
                )
            self._series_of[key.node] = count + 1
            begun[name] = self._share(key.measurement, name, type(value))
        if name in into:
            return RefusedValue(
                Reason.TYPE_CLASH, f"{name[:_LONGEST_SHOWN]!r} is taken by another value of the message"
            )
        into[name] = value
        return None

    def _share(self, measurement: str, field: str, kind: type) -> type:
        """The type that a series gets which would have ``kind`` if it were alone."""
        if self._shared is None or measurement == LOG_MEASUREMENT:
            return kind
        return self._shared.setdefault(measurement, {}).setdefault(field, kind)

    def _shared_type(self, measurement: str, field: str) -> type | None:
        """The type that other series have given a field."""
        return None if self._shared is None else self._shared.get(measurement, _NOTHING).get(field)

    def _clash(self, key: SeriesKey, field: str, kind: type, value: Value, stored_in: str) -> Clash | None:
        if (key, field) in self._clashed:
            return None
        self._clashed.add((key, field))
        return Clash(key, field, _NAMES[kind], _NAMES[type(value)], _sample(value), stored_in)

    def _out_of_window(self, point: Point) -> RefusedValue:
        if point.ts_ns > self._newest_ns:
            now_ns = self._newest_ns - self._limits.future_ns
            ahead_s = (point.ts_ns - now_ns) / NS_PER_S
            return RefusedValue(
                Reason.IN_FUTURE,
                f"{ahead_s:.0f} s ahead of the hub's clock, {self._limits.future_ns // NS_PER_S} s are allowed "
                "(limits.future); is the node's clock right, and ts in ms?",
            )
        age_s = (self._oldest_ns + self._limits.past_ns - point.ts_ns) / NS_PER_S
        return RefusedValue(
            Reason.TOO_OLD,
            f"{age_s / 86_400:.1f} days old, {self._limits.past_ns / NS_PER_S / 86_400:.1f} are kept "
            "(store.retention.raw); is the node's clock right, and ts in ms?",
        )


def _fit(field: str, value: Value, kind: type) -> tuple[str, Value]:
    """The value as ``kind`` where that is exact, else the side field that takes it as it is."""
    if kind is float and isinstance(value, str) and len(value) <= _LONGEST_NUMBER and NUMBER.fullmatch(value):
        fitted: dict[str, Value] = {}
        put_number(fitted, field, value)
        if (number := fitted.get(field)) not in (None, math.inf, -math.inf):
            return field, number
    converted: Value | None = None
    if kind is float and isinstance(value, bool):
        converted = float(value)
    elif kind is bool:
        converted = _BOOLEANS.get(value)
    elif kind is str and isinstance(value, bool):
        converted = "true" if value else "false"
    if converted is not None:
        return field, converted
    return (field + TEXT_SUFFIX, value) if isinstance(value, str) else (field + NUMBER_SUFFIX, float(value))


def _sample(value: Value) -> str:
    return repr(value)[:_LONGEST_SHOWN]
