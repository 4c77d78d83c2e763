"""Live events as the JSON that ``schemas_live`` describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.api.times import iso
from hub.live import AlertEvent, CommandEvent, MessageEvent, NodeEvent, Skipped, StatsEvent
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from hub.alerts.model import AlertChange
    from hub.commands.model import Progress
    from hub.live import Event
    from wire.point import Point


def live_body(event: Event | Skipped) -> dict[str, Any]:
    """The frame of an event."""
    match event:
        case MessageEvent():
            return _message(event)
        case CommandEvent():
            return _command(event.progress)
        case AlertEvent():
            return _alert(event.change)
        case StatsEvent():
            return {"type": "stats", "at": iso(event.at_ns)} | {
                name: msgspec.to_builtins(getattr(event, name))
                for name in ("node", "measurement", "window_s", "series")
            }
        case NodeEvent():
            return _node(event)
        case Skipped():
            return {"type": "skipped", "n": event.n}


def _message(event: MessageEvent) -> dict[str, Any]:
    return {
        "type": "message",
        "at": iso(event.at_ns),
        "topic": event.topic,
        "node": event.node,
        "measurement": event.measurement,
        "outcome": event.outcome,
        "reason": event.reason,
        "detail": event.detail,
        "points": [_point(point) for point in event.points],
        "size_bytes": event.size_bytes,
    }


def _command(step: Progress) -> dict[str, Any]:
    return {
        "type": "command",
        "at": iso(step.at_ns),
        "node": step.node,
        "id": step.id,
        "command": step.command,
        "state": step.state,
        "n": step.n,
        "stream": step.stream,
        "data": step.data,
        "code": step.code,
        "error": step.error,
    }


def _alert(change: AlertChange) -> dict[str, Any]:
    alert = change.alert
    return {
        "type": "alert",
        "at": iso(change.at_ns),
        "change": change.change,
        "id": alert.id,
        "rule": alert.rule,
        "node": alert.node,
        "series": alert.series,
        "state": alert.state,
        "severity": alert.severity,
        "message": alert.message,
        "by": change.by,
        "why": change.why,
    }


def _node(event: NodeEvent) -> dict[str, Any]:
    return {
        "type": "node",
        "at": iso(event.at_ns),
        "node": event.node,
        "change": event.change,
        "reason": event.reason,
        "session": event.session,
        "duration_s": event.duration_ns / NS_PER_S if event.duration_ns is not None else None,
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "time": iso(point.ts_ns),
        "measurement": point.key.measurement,
        "tags": dict(point.key.tags),
        "fields": point.fields,
    }
