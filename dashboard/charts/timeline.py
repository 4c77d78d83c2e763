"""When a node was connected: bars along time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import plotly.graph_objects as go

from dashboard.charts.lines import COLOURS, escaped
from dashboard.data.times import duration, parsed

if TYPE_CHECKING:
    from collections.abc import Sequence


def connections(rows: Sequence[dict[str, Any]], *, zone: str, now: datetime | None = None) -> go.Figure:
    """One bar a connection, from its begin to its end or to now; what ended it is said when one points at it."""
    figure = go.Figure()
    until = now or datetime.now(UTC)
    for number, row in enumerate(reversed(rows)):
        start = parsed(row["connected_at"]) or until
        stop = parsed(row["disconnected_at"]) or until
        reason = row["reason_disconnected"] or "still connected"
        figure.add_trace(
            go.Scatter(
                x=[_wall(start, zone), _wall(stop, zone)],
                y=["connected", "connected"],
                mode="lines",
                line={"width": 18, "color": COLOURS[number % 2 * 2]},
                hovertemplate=f"{duration((stop - start).total_seconds())}<br>{escaped(reason)}<extra></extra>",
            )
        )
    figure.update_layout(
        height=130,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis={"type": "date"},
        uirevision="kept",
    )
    return figure


def _wall(time: datetime, zone: str) -> datetime:
    return time.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
