"""How alerts look in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.cli.output import ago, local_time, paint, pairs, table, value_text
from hub.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.api.schemas_alerts import Alert, AlertDetail, Silence


def line(alert: Alert) -> str:
    """``alert 17 cpu-busy on host1``."""
    return f"alert {alert.id} {alert.rule} on {alert.node}"


def print_alerts(found: Sequence[Alert], *, all_is_well: bool) -> None:
    """Alerts, one a line; ``all_is_well``: that there are none says so."""
    if not found:
        print("Nothing is wrong." if all_is_well else "No such alerts.")
        return
    table(
        ("ID", "SEVERITY", "STATE", "SINCE", "RULE", "NODE", "SERIES", "WHAT"),
        [
            (
                str(each.id),
                each.severity,
                _state(each),
                ago(each.fired or each.started),
                each.rule,
                each.node,
                each.series or "-",
                _what(each),
            )
            for each in found
        ],
        right=frozenset({0}),
    )


def print_alert(found: AlertDetail) -> None:
    """One alert; nothing in it can steer the terminal."""
    values = {
        "alert": str(found.id),
        "rule": found.rule,
        "node": found.node,
        "series": printable(found.series or "-"),
        "state": _state(found),
        "severity": found.severity + (f"  (was {found.worst})" if found.worst != found.severity else ""),
        "message": printable(found.message),
        "value": value_text(found.value),
        "since": f"{local_time(found.started)}  ({ago(found.started)})",
    }
    if found.broken is not None:
        values["broken"] = f"{found.broken}: {printable(found.broken_detail)}"
    if found.acknowledged_by is not None:
        values["known to"] = found.acknowledged_by
    if found.assignee is not None:
        values["assigned to"] = found.assignee
    if found.resolved is not None:
        values["resolved"] = f"{local_time(found.resolved)}  ({ago(found.resolved)})"
    pairs(values)
    if not found.history:
        return
    print()
    table(
        ("TIME", "WHAT", "SEVERITY", "BY", "WHY"),
        [
            (local_time(row.at), row.change, row.severity, row.by or "-", printable(row.why or row.message))
            for row in found.history
        ],
    )
    if found.notifications:
        print()
        table(
            ("TIME", "TOLD", "OUTCOME", "MESSAGE"),
            [
                (
                    local_time(each.created),
                    each.channel,
                    each.outcome,
                    printable(each.title + (f"  ({each.error})" if each.error else "")),
                )
                for each in found.notifications
            ],
        )


def print_silences(found: Sequence[Silence]) -> None:
    """Silences, one a line."""
    if not found:
        print("No silences.")
        return
    table(
        ("ID", "RULES", "NODES", "UNTIL", "BY", "WHY"),
        [
            (
                str(each.id),
                each.rule,
                each.node,
                local_time(each.lifted or each.ends) + ("" if each.active else "  (not now)"),
                each.by,
                printable(each.why),
            )
            for each in found
        ],
        right=frozenset({0}),
    )


def _state(alert: Alert) -> str:
    said: str = alert.state
    if alert.flapping:
        said += ", flapping"
    if alert.silenced_until is not None and alert.state != "resolved":
        said += ", silenced"
    return paint(alert.severity, said) if alert.state == "firing" else said


def _what(alert: Alert) -> str:
    said = alert.message
    if alert.broken is not None:
        said += f" ({alert.broken})"
    return printable(said)
