"""How alerts and silences look over HTTP."""

from hub.alerts import model
from hub.alerts.desk import Desk
from hub.api.schemas_alerts import Alert, Silence
from hub.api.times import iso, iso_or_none


def alert_view(alert: model.Alert, desk: Desk) -> Alert:
    """The body that shows an alert."""
    return Alert(
        id=alert.id,
        rule=alert.rule,
        node=alert.node,
        series=alert.series,
        state=alert.state.value,
        severity=alert.severity.value,
        worst=alert.worst.value,
        message=alert.message,
        value=alert.value,
        started=iso(alert.started_ns),
        fired=iso_or_none(alert.fired_ns),
        acknowledged=iso_or_none(alert.acknowledged_ns),
        acknowledged_by=alert.acknowledged_by,
        assignee=alert.assignee,
        resolved=iso_or_none(alert.resolved_ns),
        flapping=alert.flapping,
        broken=alert.broken.value if alert.broken is not None else None,
        broken_detail=alert.broken_detail,
        silenced_until=iso_or_none(desk.silences.until_ns(alert)),
    )


def silence_view(row: model.Silence, now_ns: int) -> Silence:
    """The body that shows a silence."""
    return Silence(
        id=row.id,
        rule=row.rule,
        node=row.node,
        starts=iso(row.starts_ns),
        ends=iso(row.ends_ns),
        by=row.by,
        why=row.why,
        created=iso(row.created_ns),
        lifted=iso_or_none(row.lifted_ns),
        active=row.starts_ns <= now_ns and not is_over(row, now_ns),
    )


def is_over(row: model.Silence, now_ns: int) -> bool:
    """Whether it holds no more."""
    return row.ends_ns <= now_ns or row.lifted_ns is not None
