"""A guard as the intake uses it, at a fixed time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.guard import Checked, Guard, GuardLimits
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wire.point import Value

NOW_NS = 1_763_750_000 * NS_PER_S
DAY_NS = 86_400 * NS_PER_S
ROOM = SeriesKey("n1", "room")


def make(*, at: int = NOW_NS, known: Mapping[str, Value] | None = None, **limits: int) -> Guard:
    """A guard that has seen one point of ``known`` fields."""
    guard = Guard(GuardLimits(**limits))
    guard.window(at)
    if known:
        assert store(guard, known) == known
    return guard


def check(guard: Guard, fields: Mapping[str, Value], *, ts_ns: int = NOW_NS, key: SeriesKey = ROOM) -> Checked:
    """As the intake does it."""
    point = Point(key, ts_ns, dict(fields), 7)
    return Checked(point, [], []) if guard.passes(point) else guard.check(point)


def store(guard: Guard, fields: Mapping[str, Value], *, key: SeriesKey = ROOM) -> dict[str, Value]:
    """The fields that are kept."""
    point = check(guard, fields, key=key).point
    return point.fields if point is not None else {}


def exact(fields: Mapping[str, Value]) -> dict[str, tuple[type, Value]]:
    return {name: (type(value), value) for name, value in fields.items()}
