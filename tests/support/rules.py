"""Rules and points for tests of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.rules.engine import Engine
from hub.rules.model import Rule, RuleSet
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from hub.rules.events import RuleEvent
    from wire.point import Value

#: When the tests take place.
T0_NS = 1_763_750_000 * NS_PER_S


def at(second: float) -> int:
    return T0_NS + round(second * NS_PER_S)


def rules(**tables: dict[str, Any]) -> RuleSet:
    return RuleSet({name.replace("_", "-"): Rule.model_validate(table) for name, table in tables.items()})


def point(second: float, value: Value, name: str = "room.temperature", node: str = "n1", **tags: str) -> Point:
    measurement, _, field = name.partition(".")
    return Point(SeriesKey(node, measurement, tuple(sorted(tags.items()))), at(second), {field: value})


class Bench:
    """An engine and what it said, as short texts: ``firing warning @10``."""

    def __init__(self, **tables: dict[str, Any]) -> None:
        self.engine = Engine(rules(**tables))
        self.events: list[RuleEvent] = []

    def see(self, *points: Point, now: float | None = None) -> list[str]:
        """Each point arrives at its own time, unless all arrive ``now``."""
        said: list[RuleEvent] = []
        for each in points:
            said += self.engine.observe([each], each.ts_ns if now is None else at(now))
        self.events += said
        return [short(event) for event in said]

    def series(self, *samples: tuple[float, Value], name: str = "room.temperature") -> list[str]:
        return self.see(*(point(second, value, name) for second, value in samples))

    def tick(self, second: float) -> list[str]:
        said = self.engine.tick(at(second))
        self.events += said
        return [short(event) for event in said]


def short(event: RuleEvent) -> str:
    return f"{event.kind} {event.severity} @{(event.at_ns - T0_NS) / NS_PER_S:g}"
