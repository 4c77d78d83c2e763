"""Alerts as rows, and as bands behind a chart."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from dashboard.charts.lines import Band
from dashboard.data.times import ago, duration, parsed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Document = dict[str, Any]

#: Worst first; a sign beside the word for those to whom colours say nothing.
SEVERITIES: Final = {"critical": "▲▲ critical", "warning": "▲ warning", "info": "· info"}


def rows(alerts: Iterable[Document]) -> list[Document]:
    """A row an alert, the worst first."""
    order = list(SEVERITIES)
    found = sorted(alerts, key=lambda one: (one["resolved"] is not None, order.index(one["severity"]), one["started"]))
    return [row(one) for one in found]


def row(alert: Document) -> Document:
    """What a table shows of one alert."""
    fired, resolved = alert["fired"] or alert["started"], alert["resolved"]
    return {
        "Number": alert["id"],
        "Severity": SEVERITIES.get(alert["severity"], alert["severity"]),
        "Node": alert["node"],
        "Rule": alert["rule"],
        "State": alert["state"] + (", flapping" if alert["flapping"] else ""),
        "Fired": ago(fired),
        "Lasted": duration(_length_s(fired, resolved)),
        "Taken by": alert["assignee"] or alert["acknowledged_by"] or "",
        "Silenced": "yes" if alert["silenced_until"] else "",
        "Message": alert["message"],
    }


def concerning(alerts: Iterable[Document], measurement: str, fields: Collection[str]) -> list[Document]:
    """Those alerts whose series is of one of these fields, each once."""
    names = {f"{measurement}.{field}" for field in fields}
    return list({one["id"]: one for one in alerts if one["series"].partition("{")[0] in names}.values())


def bands(alerts: Iterable[Document]) -> list[Band]:
    """When each fired, for the background of a chart."""
    now = datetime.now(UTC)
    return [
        Band(parsed(one["fired"] or one["started"]) or now, parsed(one["resolved"]) or now, one["worst"], one["rule"])
        for one in alerts
    ]


def intervals(fired: Iterable[Document]) -> list[Band]:
    """When a rule would have fired, of a backtest."""
    now = datetime.now(UTC)
    return [Band(parsed(one["start"]) or now, parsed(one["stop"]) or now, one["severity"], "") for one in fired]


def _length_s(start: str, stop: str | None) -> float:
    begun, ended = parsed(start), parsed(stop) or datetime.now(UTC)
    return (ended - begun).total_seconds() if begun is not None else 0.0
