"""Rules as tables: what a page needs to know of one."""

from __future__ import annotations

from typing import Any, Final

Table = dict[str, Any]
_PATTERN: Final = "*?["
#: The one that a page moves: the first severity that is usual.
_SEVERITIES: Final = ("warning", "critical", "info")


def measurement_and_field(rule: Table) -> tuple[str, str] | None:
    """Of a rule about one metric; None of patterns, and of several conditions."""
    metric = rule.get("metric")
    if not isinstance(metric, str) or any(c in metric for c in _PATTERN) or "." not in metric:
        return None
    measurement, _, field = metric.partition(".")
    return measurement, field


def above_of(rule: Table) -> tuple[str, float] | None:
    """The severity and the value of ``above``, where the rule has one."""
    above = rule.get("above")
    if isinstance(above, int | float) and not isinstance(above, bool):
        return "warning", float(above)
    if isinstance(above, dict):
        for severity in _SEVERITIES:
            if isinstance(above.get(severity), int | float):
                return severity, float(above[severity])
    return None


def with_above(rule: Table, severity: str, value: float) -> Table:
    """The same rule with another threshold; ``clear`` keeps its distance."""
    changed = dict(rule)
    before = above_of(rule)
    if isinstance(rule.get("above"), dict):
        changed["above"] = {**rule["above"], severity: value}
    else:
        changed["above"] = value
    clear = rule.get("clear")
    if before is not None and isinstance(clear, int | float) and not isinstance(clear, bool):
        changed["clear"] = clear + (value - before[1])
    return changed
