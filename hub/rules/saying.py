"""The text of an event: the rule's own message with its blanks filled, or one made from what the rule asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hub.rules.durations import duration_text
from hub.rules.events import Severity
from hub.rules.levels import Levels, Ranges
from hub.rules.template import fill

if TYPE_CHECKING:
    from hub.rules.asking import Asking
    from hub.rules.compiled import Ready, Watch
    from hub.rules.events import Subject
    from hub.rules.model import Condition, Rule
    from wire.point import Value

_ASKED: Final = {
    "above": "{series} is {value}, above {threshold}",
    "below": "{series} is {value}, below {threshold}",
    "outside": "{series} is {value}, outside {threshold}",
    "equals": "{series} is {value}",
    "differs": "{series} is {value}, not {threshold}",
    "changed": "{series} changed to {value}",
    "absent": "no sample of {series} for {threshold}",
}


def say(watch: Watch, subject: Subject, rank: int, value: Value | None, limit: Value | None) -> str:
    """The message of an event about ``watch``, the condition that is to be shown."""
    rule = watch.rule.rule
    template = rule.message or default_message(watch.rule)
    key = subject.key
    values: dict[str, Value | None] = {
        "node": subject.node,
        "rule": watch.rule.name,
        "severity": list(Severity)[rank].value,
        "measurement": watch.metric.measurement if key is None else key.measurement,
        "field": watch.metric.field if subject.field is None else subject.field,
        "series": subject.series or str(watch.metric),
        "value": value,
        "threshold": limit,
        "for": duration_text(rule.hold) if rule.hold else "0s",
        "window": duration_text(watch.window.over) if watch.window else "",
    }
    return fill(template, values, dict(key.tags) if key is not None else {})


def default_message(ready: Ready) -> str:
    """A template for rules that have none."""
    if ready.join is None:
        return "{node}: " + asked(ready.rule)
    words = " and " if ready.spreads else " or "
    return "{node}: " + words.join(_joined(watch) for watch in ready.watches)


def asked(asking: Asking) -> str:
    """What one condition asks, as a template."""
    text = _ASKED[asking.ask]
    return (
        text.replace("{series}", f"{asking.window.fn.value} of {{series}} over {{window}}") if asking.window else text
    )


def summary(rule: Rule) -> str:
    """What a rule asks, on one line: ``mean of cpu.usage over 1m above 90 / 98 for 5m``."""
    words = " and " if rule.all_of else " or "
    text = words.join(_summary(condition) for condition in rule.conditions)
    return text + (f" for {duration_text(rule.hold)}" if rule.hold else "")


def _summary(asking: Condition | Rule) -> str:
    window = asking.window
    what = str(asking.metric)
    if window is not None:
        ahead = f" {duration_text(window.ahead)} ahead" if window.ahead else ""
        what = f"{window.fn.value} of {what}{ahead} over {duration_text(window.over)}"
    given = getattr(asking, asking.ask)
    if isinstance(given, Levels | Ranges):
        return f"{what} {asking.ask} " + " / ".join(_shown(value) for _, value in given.of(Severity.INFO))
    if asking.ask == "absent":
        return (
            f"{what} absent for longer than usual" if given == "auto" else f"{what} absent for {duration_text(given)}"
        )
    if asking.ask == "changed":
        return f"{what} changed"
    return f"{what} {asking.ask} " + " or ".join(_shown(value) for value in given)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " to ".join(_shown(each) for each in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _joined(watch: Watch) -> str:
    limit = watch.limit(watch.rank)
    shown = f"{limit:g}" if isinstance(limit, float) else "" if limit is None else str(limit)
    text = f"{watch.metric} {watch.condition.ask} {shown}".rstrip()
    return text.replace("{", "{{").replace("}", "}}")
