"""Users' tests of their rules: made-up series and the events they should bring about, as TOML beside the rules.

    [[tests]]
    name = "a short peak says nothing"
    rule = "room-hot"
    series = [{ metric = "room.temperature", every = "1m", values = "20 31x3 20" }]
    expect = []

Times are counted from the first sample of the test. ``pending`` and ``cancelled`` are compared where a test names one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping  # noqa: TC003  pydantic reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from hub.rules.durations import duration_text
from hub.rules.events import EventKind, Severity
from hub.rules.files import read_rules, rule_set
from hub.rules.metric import parse_metric
from hub.rules.model import RuleSet
from hub.rules.part import Finite, Part, Positive
from hub.rules.replay import RuleReplay
from wire.errors import SettingsError
from wire.point import NS_PER_S, Point, SeriesKey
from wire.settings import Duration
from wire.settings_layers import Layers, Origin
from wire.settings_problems import explain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.rules.events import RuleEvent
    from hub.rules.files import Entry
    from wire.errors import Problem
    from wire.point import Value

#: A moment like any other: tests must not depend on when they run.
_START_NS: Final = 1_750_000_000 * NS_PER_S
_QUIET: Final = frozenset({EventKind.PENDING, EventKind.CANCELLED})
_MOST_SAMPLES: Final = 1_000_000


def _values(given: object) -> object:
    """``"20 31x3 _ 25"``: numbers, true, false and words; ``x3`` is three times, ``_`` no sample."""
    if not isinstance(given, str):
        return given
    found: list[Value | None] = []
    for word in given.split():
        repeated = re.fullmatch(r"(.+)x(\d+)", word)
        text, times = (repeated[1], int(repeated[2])) if repeated else (word, 1)
        if len(found) + times > _MOST_SAMPLES:
            raise ValueError(f"more than {_MOST_SAMPLES} samples")
        found += [_value(text)] * times
    return found


def _value(text: str) -> Value | None:
    if text == "_":
        return None
    if text in {"true", "false"}:
        return text == "true"
    try:
        return float(text)
    except ValueError:
        return text


class MadeSeries(Part):
    """One made-up series."""

    metric: str
    node: str = "node-1"
    tags: dict[str, str] = Field(default_factory=dict)
    every: Positive = 60.0
    #: Of the first sample.
    start: Duration = 0.0
    values: Annotated[tuple[bool | Finite | str | None, ...], BeforeValidator(_values), Field(max_length=_MOST_SAMPLES)]

    @model_validator(mode="after")
    def _sound(self) -> MadeSeries:
        parse_metric(self.metric)
        return self

    def points(self) -> Iterator[Point]:
        metric = parse_metric(self.metric)
        key = SeriesKey(self.node, metric.measurement, tuple(sorted(self.tags.items())))
        for at, value in enumerate(self.values):
            if value is not None:
                yield Point(key, _START_NS + round((self.start + at * self.every) * NS_PER_S), {metric.field: value})


class Expected(Part):
    """One event; what is not given may be anything."""

    kind: EventKind
    at: Duration
    severity: Severity | None = None
    node: str | None = None
    series: str | None = None
    message: str | None = None

    def __str__(self) -> str:
        more = " ".join(f"{name}={value!r}" for name in ("node", "series", "message") if (value := getattr(self, name)))
        return f"{self.kind} {self.severity or 'at any severity'} at {duration_text(self.at) or '0s'} {more}".rstrip()

    def fits(self, event: RuleEvent) -> bool:
        return (
            event.kind is self.kind
            and event.at_ns == _START_NS + round(self.at * NS_PER_S)
            and self.severity in {None, event.severity}
            and self.node in {None, event.subject.node}
            and self.series in {None, event.subject.series}
            and self.message in {None, event.message}
        )


class RuleTest(Part):
    """One test."""

    name: str = Field(min_length=1)
    rule: str
    series: tuple[MadeSeries, ...] = Field(min_length=1)
    #: How long it goes on; None: until the last sample.
    until: Duration | None = None
    #: Node → groups.
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    expect: tuple[Expected, ...]


class _Tests(Part):
    tests: tuple[RuleTest, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    """What came of one test."""

    name: str
    rule: str
    #: What was expected and did not happen, and what happened and was not expected; empty: passed.
    faults: tuple[str, ...]


def read_tests(path: Path) -> tuple[RuleTest, ...]:
    """The tests of a file.

    Raises:
        SettingsError: with every fault of them found.
    """
    layers = Layers()
    layers.lay_file(path)
    return _tests(layers)


def read_all(path: Path, *, shipped: bool = True) -> tuple[dict[str, Entry], tuple[RuleTest, ...]]:
    """The rules in force with this file, and its tests.

    Raises:
        SettingsError: with every fault of either.
    """
    problems: list[Problem] = []
    entries: dict[str, Entry] = {}
    tests: tuple[RuleTest, ...] = ()
    try:
        entries = read_rules(path, shipped=shipped)
    except SettingsError as error:
        problems += error.problems
    try:
        tests = read_tests(path)
    except SettingsError as error:
        problems += [each for each in error.problems if each not in problems]
    if problems:
        raise SettingsError(problems)
    return entries, tests


def parse_tests(values: Mapping[str, Any], source: str = "body") -> tuple[RuleTest, ...]:
    """As :func:`read_tests`, from a request."""
    layers = Layers()
    layers.values, layers.origins = dict(values), {(): Origin(source)}
    return _tests(layers)


def _tests(layers: Layers) -> tuple[RuleTest, ...]:
    try:
        return _Tests.model_validate({"tests": layers.values.get("tests", ())}).tests
    except ValidationError as error:
        raise SettingsError(explain(_Tests, error, layers)) from error


def run_test(test: RuleTest, entries: Mapping[str, Entry]) -> Checked:
    """Run one test against the rules, enabled or not."""
    entry = entries.get(test.rule)
    if entry is None:
        return Checked(test.name, test.rule, (f"there is no rule {test.rule}",))
    rule = rule_set({test.rule: entry}).rules[test.rule].model_copy(update={"enabled": True})
    replay = RuleReplay(RuleSet({test.rule: rule}), lambda node: frozenset(test.groups.get(node, ())))
    points = sorted((p for series in test.series for p in series.points()), key=lambda point: point.ts_ns)
    events: list[RuleEvent] = []
    for point in points:
        events += replay.feed((point,), system=point.key.measurement.startswith("$"))
    last_ns = points[-1].ts_ns if points else _START_NS
    events += replay.until(last_ns if test.until is None else _START_NS + round(test.until * NS_PER_S))
    return Checked(test.name, test.rule, tuple(_faults(test.expect, events)))


def _faults(expected: tuple[Expected, ...], events: list[RuleEvent]) -> Iterator[str]:
    named = {each.kind for each in expected}
    left = [event for event in events if event.kind not in _QUIET or event.kind in named]
    for each in expected:
        found = next((event for event in left if each.fits(event)), None)
        if found is None:
            yield f"did not happen: {each}"
        else:
            left.remove(found)
    for event in left:
        at = duration_text((event.at_ns - _START_NS) / NS_PER_S) or "0s"
        where = f"{event.subject.node} {event.subject.series}".rstrip()
        yield f"not expected: {event.kind} {event.severity} at {at} on {where}: {event.message}"


__all__ = ["Checked", "RuleTest", "parse_tests", "read_all", "read_tests", "run_test"]
