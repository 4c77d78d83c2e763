"""Rows of the tables of alerts as values, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.alerts.model import Alert, AlertState, BrokenLink, Change
from hub.rules.events import Severity
from wire.point import SeriesKey

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

    from hub.alerts.model import AlertChange


class HistoryRow(msgspec.Struct, frozen=True):
    """One change of an alert."""

    at_ns: int
    change: Change
    state: AlertState
    severity: Severity
    message: str
    by: str
    why: str


def alert_row(alert: Alert) -> dict[str, Any]:
    """The row of an alert, but for what was told of it."""
    row = {name: getattr(alert, name) for name in Alert.__struct_fields__ if name != "key"}
    row |= {name: str(row[name]) for name in ("state", "severity", "worst")}
    row["broken"] = str(alert.broken) if alert.broken is not None else None
    row |= {
        "series": alert.series,
        "measurement": alert.key.measurement if alert.key is not None else None,
        "tags": list(map(list, alert.key.tags)) if alert.key is not None else None,
    }
    return row


def alert_of(row: RowMapping) -> Alert:
    """The alert of a row."""
    values = {name: row[name] for name in Alert.__struct_fields__ if name != "key"}
    key = None
    if row["measurement"] is not None:
        key = SeriesKey(row["node"], row["measurement"], tuple((name, value) for name, value in row["tags"] or ()))
    values |= {
        "state": AlertState(row["state"]),
        "severity": Severity(row["severity"]),
        "worst": Severity(row["worst"]),
        "broken": BrokenLink(row["broken"]) if row["broken"] is not None else None,
    }
    return Alert(key=key, **values)


def history_of(row: RowMapping) -> HistoryRow:
    """The change of a row."""
    return HistoryRow(
        row["at_ns"],
        Change(row["change"]),
        AlertState(row["state"]),
        Severity(row["severity"]),
        row["message"],
        row["by"],
        row["why"],
    )


def row_of(change: AlertChange) -> HistoryRow:
    """What is kept of a change."""
    alert = change.alert
    return HistoryRow(change.at_ns, change.change, alert.state, alert.severity, alert.message, change.by, change.why)


def change_row(change: AlertChange) -> dict[str, Any]:
    """The row of a change."""
    return {"alert": change.alert.id} | plain(row_of(change))


def plain(struct: msgspec.Struct) -> dict[str, Any]:
    """As a dictionary of plain values."""
    plain: dict[str, Any] = msgspec.to_builtins(struct)
    return plain
