"""Rules as tables: what a page needs to know of one to draw it and to move its thresholds."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dashboard.data.traces import Trace

Table = dict[str, Any]
#: A number, or the lowest and the highest value that are all right.
Value = float | tuple[float, float]
_PATTERN: Final = "*?["
_SEVERITIES: Final = ("info", "warning", "critical")
_PER_CENT: Final = (0.0, 100.0)


@dataclass(frozen=True)
class Threshold:
    """One threshold that can be moved."""

    #: ``above``, ``below`` or ``outside``.
    ask: str
    severity: str
    value: Value
    #: How far it can be moved: not past the threshold of another severity.
    least: float
    most: float

    @property
    def values(self) -> tuple[float, ...]:
        """One, or both ends."""
        return _ends(self.value)


def measurement_and_field(rule: Table) -> tuple[str, str] | None:
    """Of a rule about one metric; None of patterns, and of several conditions."""
    metric = rule.get("metric")
    if not isinstance(metric, str) or any(c in metric for c in _PATTERN) or "." not in metric:
        return None
    measurement, _, field = metric.partition(".")
    return measurement, field


def watches(rule: Table, trace: Trace) -> bool:
    """Whether the rule looks at this series, as far as names and tags say."""
    nodes = rule.get("nodes", "*")
    tags = dict(trace.tags)
    return any(
        fnmatch.fnmatchcase(trace.node, glob) for glob in ([nodes] if isinstance(nodes, str) else nodes)
    ) and all(fnmatch.fnmatchcase(tags.get(name, ""), glob) for name, glob in rule.get("tags", {}).items())


def thresholds(rule: Table) -> list[Threshold]:
    """Those of ``above``, ``below`` and ``outside`` of a rule of one condition, the least severe first."""
    for ask in ("above", "below", "outside"):
        if ask in rule:
            given = rule[ask]
            named = given if isinstance(given, dict) else {str(rule.get("severity", "warning")): given}
            found = {
                severity: value for severity in _SEVERITIES if (value := _value(named.get(severity), ask)) is not None
            }
            return _bounded(ask, found)
    return []


def moved(rule: Table, threshold: Threshold, value: Value) -> Table:
    """The same rule with another value of ``threshold``; ``clear`` keeps its distance."""
    changed = dict(rule)
    written: Any = list(value) if isinstance(value, tuple) else value
    given = rule[threshold.ask]
    changed[threshold.ask] = {**given, threshold.severity: written} if isinstance(given, dict) else written
    clear = rule.get("clear")
    if isinstance(clear, dict):
        if threshold.severity in clear:
            changed["clear"] = {**clear, threshold.severity: _shifted(clear[threshold.severity], threshold, value)}
    elif clear is not None and threshold.severity == thresholds(rule)[0].severity:
        changed["clear"] = _shifted(clear, threshold, value)  # of the least severity
    return changed


def _ends(value: Value) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)


def _value(given: object, ask: str) -> Value | None:
    if ask == "outside":
        ends = given if isinstance(given, list) else []
        low, high = (*(_value(end, "above") for end in ends), None, None)[:2]
        return (low, high) if isinstance(low, float) and isinstance(high, float) else None
    return float(given) if isinstance(given, int | float) and not isinstance(given, bool) else None


def _bounded(ask: str, found: dict[str, Value]) -> list[Threshold]:
    ends = [end for value in found.values() for end in _ends(value)]
    if not ends:
        return []
    low, high = _PER_CENT  # most often
    if min(ends) < low or max(ends) > high:
        reach = max(*map(abs, ends), 1.0)
        low, high = min(ends) - reach, max(ends) + reach
    order = list(found)
    bounded = []
    for at, severity in enumerate(order):
        value = found[severity]
        before, after = (
            found.get(order[at - 1]) if at else None,
            found.get(order[at + 1]) if at + 1 < len(order) else None,
        )
        if ask == "below":
            before, after = after, before
        least = before if isinstance(before, float) else low
        most = after if isinstance(after, float) else high
        if least >= most:  # a threshold at the end of the scale, under one that is there, too
            least, most = (low, most) if most > low else (least, high)
        bounded.append(Threshold(ask, severity, value, least, most))
    return bounded


def _shifted(clear: Any, threshold: Threshold, value: Value) -> Any:
    before, after = threshold.values, _ends(value)
    if isinstance(clear, list):
        return [one + (new - old) for one, new, old in zip(clear, after, before, strict=False)]
    return clear + (after[0] - before[0]) if isinstance(clear, int | float) else clear
