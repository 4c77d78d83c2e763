"""How alerts are said: the retained state on ``{root}/{node}/alert/{rule}``, and points of measurement ``alert``. Pure.

Several series of one rule on one node share a topic:

    {"rule": "cpu-high", "node": "host1", "state": "firing", "severity": "critical", "ts": 1763750000000, "open": 2,
     "alerts": [{"id": 17, "series": "cpu.usage{core=0}", "state": "firing", "severity": "critical", …}, …]}

``alerts`` has the worst first, at most :data:`SHOWN`; ``state`` and ``severity`` at the top are those of the first.
When the last one is over, ``"state": "resolved"`` with those that ended last stays for :data:`RESOLVED_KEPT_S`; then
the broker drops it (message expiry).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hub.alerts.model import Alert, AlertState, Change
from hub.alerts.rows import row_of
from wire.point import NS_PER_MS, Point, SeriesKey, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.alerts.model import AlertChange
    from hub.alerts.rows import HistoryRow

#: Measurement that holds what happened to alerts; Grafana draws it as annotations.
ALERT_MEASUREMENT: Final = "alert"
#: Series of one rule on one node that one message names.
SHOWN: Final = 100
#: How long the end of an alert can be seen on its topic.
RESOLVED_KEPT_S: Final = 600
#: What is no alert yet, or never became one, is not stored.
_UNSTORED: Final = (Change.PENDING, Change.CANCELLED)


class AlertItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One series of a rule; times are Unix ms."""

    id: int
    series: str
    state: AlertState
    severity: str
    message: str
    since: int
    value: Value | None = None
    resolved: int | None = None
    acknowledged_by: str | None = None
    assignee: str | None = None
    flapping: bool = False
    #: For absence: ``sensor``, ``agent``, ``broker`` or ``hub``.
    broken: str | None = None
    broken_detail: str = ""
    silenced_until: int | None = None


class AlertMessage(msgspec.Struct, frozen=True):
    """State of one rule on one node."""

    rule: str
    node: str
    state: AlertState
    severity: str
    ts: int
    #: How many are firing or acknowledged.
    open: int
    alerts: tuple[AlertItem, ...]


def message(alerts: Sequence[Alert], silenced_until_ns: int | None, now_ns: int) -> AlertMessage:
    """The state of a topic.

    Args:
        alerts: of one rule and node, at least one: all that are open, or those that were the last to end.
        silenced_until_ns: when the silence over them ends; None when there is none.
        now_ns: when it is said.
    """
    worst_first = sorted(alerts, key=_badness, reverse=True)
    first = worst_first[0]
    silenced = silenced_until_ns // NS_PER_MS if silenced_until_ns is not None else None
    return AlertMessage(
        rule=first.rule,
        node=first.node,
        state=first.state,
        severity=str(first.severity),
        ts=now_ns // NS_PER_MS,
        open=sum(alert.state.open for alert in alerts),
        alerts=tuple(item(alert, silenced) for alert in worst_first[:SHOWN]),
    )


def item(alert: Alert, silenced_ms: int | None) -> AlertItem:
    """One of a message."""
    return AlertItem(
        id=alert.id,
        series=alert.series,
        state=alert.state,
        severity=str(alert.severity),
        message=alert.message,
        since=(alert.fired_ns or alert.started_ns) // NS_PER_MS,
        value=alert.value,
        resolved=alert.resolved_ns // NS_PER_MS if alert.resolved_ns is not None else None,
        acknowledged_by=alert.acknowledged_by,
        assignee=alert.assignee,
        flapping=alert.flapping,
        broken=str(alert.broken) if alert.broken is not None else None,
        broken_detail=alert.broken_detail,
        silenced_until=silenced_ms,
    )


def point(change: AlertChange) -> Point | None:
    """What is stored of a change; None for what is no alert."""
    if change.change in _UNSTORED:
        return None
    return point_of(change.alert, row_of(change))


def point_of(alert: Alert, row: HistoryRow) -> Point:
    """The same, of a change that the registry kept."""
    tags = {"rule": alert.rule} | ({"series": alert.series} if alert.series else {})
    blamed = alert.broken is not None and row.state.open
    fields: dict[str, Value] = {
        "state": str(row.state),
        "severity": str(row.severity),
        "change": str(row.change),
        "message": f"{row.message} ({alert.broken}: {alert.broken_detail})" if blamed else row.message,
        "id": float(alert.id),
    }
    fields |= {name: value for name, value in (("by", row.by), ("why", row.why)) if value}
    return Point(SeriesKey(alert.node, ALERT_MEASUREMENT, tuple(tags.items())), row.at_ns, fields)


def _badness(alert: Alert) -> tuple[bool, int, bool, int]:
    """Open ones first, by severity; of those what nobody acknowledged, then the newest."""
    return (alert.state.open, alert.severity.rank, alert.state is AlertState.FIRING, alert.id)
