"""What people read: title and body of one message. Pure; plain text, which every service can show."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Final

from hub.alerts.notify_model import Due, Item, Occasion
from hub.rules.events import Severity
from hub.text import printable, shortened
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

#: Alerts of a burst that are told one by one; the rest is counted.
SHOWN: Final = 10
_LONGEST_LINE: Final = 300
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_UNCHANGED: Final = frozenset({Occasion.REPEAT, Occasion.ESCALATION})


def compose(due: Due, number: str, *, now_ns: int, zone: ZoneInfo, link: str) -> tuple[str, str]:
    """Title and body.

    Args:
        due: what to tell.
        number: of the message; the same message sent twice has the same one.
        now_ns: durations are counted up to here.
        zone: of the times.
        link: where people look at alerts; may be empty.
    """
    lines = [_told(item, now_ns, zone) for item in due.items[:SHOWN]]
    if len(due.items) > SHOWN:
        rest = Counter(item.alert.severity for item in due.items[SHOWN:])
        counts = ", ".join(f"{rest[severity]} {severity}" for severity in reversed(Severity) if rest[severity])
        lines.append(f"… and {len(due.items) - SHOWN} more ({counts}); all of them: iothub alerts")
    ending = []
    if due.items[0].occasion is not Occasion.RESOLVED:
        ids = [item.alert.id for item in due.items]
        ending.append(f"Acknowledge: iothub alerts ack {ids[0] if len(ids) == 1 else 'NUMBER'}")
    if link:
        ending.append(link)
    ending.append(f"Notification {number}")
    return _title(due, now_ns), "\n\n".join([*lines, "\n".join(ending)])


def span(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``, ``2.1 days``."""
    if seconds < _MINUTE_S:
        return f"{max(0.0, seconds):.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h" if seconds < _DAY_S else f"{seconds / _DAY_S:.1f} days"


# -- private -----------------------------------------------------------------------------------------------------------


def _title(due: Due, now_ns: int) -> str:
    first = due.items[0]
    if first.occasion is Occasion.RESOLVED:
        word = "RESOLVED"
    else:
        word = first.alert.severity.upper()
        occasions = {item.occasion for item in due.items}
        if Occasion.ESCALATION in occasions:
            since_ns = min(item.alert.started_ns for item in due.items)
            word += f", unacknowledged for {span((now_ns - since_ns) / NS_PER_S)}"
        elif occasions <= _UNCHANGED:
            word += ", still"
    if len(due.items) == 1:
        return shortened(printable(f"[{word}] {first.alert.node}: {first.alert.rule}"), _LONGEST_LINE)
    nodes, rules = ({getattr(item.alert, name) for item in due.items} for name in ("node", "rule"))
    what = next(iter(rules)) if len(rules) == 1 else f"{len(rules)} rules"
    where = next(iter(nodes)) if len(nodes) == 1 else f"{len(nodes)} nodes"
    return shortened(printable(f"[{word}] {len(due.items)} alerts: {what} on {where}"), _LONGEST_LINE)


def _told(item: Item, now_ns: int, zone: ZoneInfo) -> str:
    """What, where, since when, the value; two or three lines."""
    alert = item.alert
    where = f"{alert.node} {alert.series}".rstrip()
    facts = [f"rule {alert.rule}", where]
    if alert.value is not None:
        facts.append(f"value {_value(alert.value)}")
    lines = [f"#{alert.id} {alert.severity}: {alert.message or where}", ", ".join(facts), _when(item, now_ns, zone)]
    if alert.broken is not None and item.occasion is not Occasion.RESOLVED:
        lines.append(f"broken: {alert.broken}" + (f", {alert.broken_detail}" if alert.broken_detail else ""))
    if alert.flapping:
        lines.append("it comes and goes: nothing more is said until it has been quiet for a while")
    return "\n".join(shortened(printable(line), _LONGEST_LINE) for line in lines)


def _when(item: Item, now_ns: int, zone: ZoneInfo) -> str:
    alert = item.alert
    since_ns = alert.started_ns
    since = _local(since_ns, zone)
    if item.occasion is not Occasion.RESOLVED:
        return f"since {since} ({span((now_ns - since_ns) / NS_PER_S)})"
    if alert.resolved_ns is None:
        return f"began {since}, is over"
    lasted = span((alert.resolved_ns - since_ns) / NS_PER_S)
    return f"began {since}, over at {_local(alert.resolved_ns, zone)}, after {lasted}"


def _local(at_ns: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_S, zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _value(value: float | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
