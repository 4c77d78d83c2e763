"""Line charts over time: one figure, several series, up to two axes, alert bands and notes.

Colours are those of Okabe and Ito, which people who see colours differently tell apart; lines differ in dash, too, once
the colours repeat. Nothing is drawn on: the page's theme, dark or light, shows through.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np
import plotly.graph_objects as go

from dashboard.data.traces import labels, with_gaps
from dashboard.data.zones import in_zone

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from dashboard.data.traces import Trace

COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#b8860b", "#7f7f7f")
_DASHES: Final = ("solid", "dash", "dot", "dashdot")
SEVERITY_COLOURS: Final = {"info": "#56b4e9", "warning": "#e69f00", "critical": "#d55e00"}
#: Most points of one trace: more than a screen has columns.
MOST_POINTS: Final = 2_000
_HEIGHT: Final = 380
#: Of a range without samples at its beginning, and the least that is shown then.
_MOSTLY_EMPTY: Final = 0.75
_SHORTEST: Final = timedelta(minutes=1)
_LABEL_PX: Final = 14
_LABELS: Final = 3


@dataclass(frozen=True)
class Band:
    """A stretch of time in which something was the case, e.g. an alert fired."""

    start: datetime
    stop: datetime
    severity: str
    text: str


@dataclass(frozen=True)
class Line:
    """A value to compare with, e.g. a threshold."""

    value: float
    text: str
    severity: str = "warning"


def lines(
    traces: Sequence[Trace],
    *,
    unit: str = "",
    bands: Sequence[Band] = (),
    thresholds: Sequence[Line] = (),
    second_axis: Collection[str] = (),
    second_unit: str = "",
    span: tuple[datetime, datetime] | None = None,
    zone: str = "UTC",
    height: int = _HEIGHT,
) -> go.Figure:
    """A figure of all traces.

    Args:
        traces: numbers; words are not drawn here.
        unit: of the left axis.
        bands: drawn behind the lines.
        thresholds: horizontal lines.
        second_axis: ``measurement.field`` of what belongs on the right axis.
        second_unit: of the right axis.
        span: what the time axis shows, with or without samples; from the first sample where there is none for most of
            it; as far as the samples go where it is missing.
        zone: whose wall clock the time axis shows.
        height: in pixels.
    """
    figure = go.Figure()
    drawn = [trace for trace in traces if not trace.is_text]
    for number, (trace, name) in enumerate(zip(drawn, labels(drawn) if drawn else [], strict=True)):
        whole = with_gaps(trace)
        on_second = f"{trace.measurement}.{trace.field}" in second_axis
        figure.add_trace(
            go.Scatter(
                x=in_zone(whole.times, zone),
                y=whole.values,
                name=escaped(name),
                mode="lines+markers" if len(trace.times) <= 2 else "lines",  # noqa: PLR2004  a line needs two points
                connectgaps=False,
                yaxis="y2" if on_second else "y",
                line={
                    "color": COLOURS[number % len(COLOURS)],
                    "dash": _DASHES[number // len(COLOURS) % len(_DASHES)],
                    "width": 1.6,
                },
                hovertemplate="%{y:.6g}" + (f" {escaped(second_unit if on_second else unit)}"),
            )
        )
    for number, band in enumerate(bands):
        figure.add_vrect(
            x0=_wall(max(band.start, span[0]) if span is not None else band.start, zone),
            x1=_wall(band.stop, zone),
            fillcolor=SEVERITY_COLOURS.get(band.severity, COLOURS[7]),
            opacity=0.14,
            line_width=0,
            layer="below",
            annotation_text=escaped(band.text),
            annotation_position="top left",
            annotation_font_size=11,
            annotation_yshift=-_LABEL_PX * (number % _LABELS),  # neighbours' texts do not cover each other
        )
    for line in thresholds:
        figure.add_hline(
            y=line.value,
            line={"color": SEVERITY_COLOURS.get(line.severity, COLOURS[7]), "dash": "dash", "width": 1.5},
            annotation_text=escaped(line.text),
            annotation_position="bottom right",
        )
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 16, "b": 8},
        hovermode="x unified",
        showlegend=len(drawn) > 1,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "maxheight": 0.3},
        uirevision="kept",  # zoom and hidden traces outlive a redraw
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis={
            "type": "date",
            "automargin": True,
            "range": [_wall(end, zone) for end in _shown(span, drawn)] if span is not None else None,
        },
        yaxis={"title": {"text": escaped(unit)}, "automargin": True, "zeroline": False},
    )
    if second_axis:
        figure.update_layout(
            yaxis2={
                "title": {"text": escaped(second_unit)},
                "overlaying": "y",
                "side": "right",
                "automargin": True,
                "showgrid": False,
            }
        )
    return figure


def _shown(span: tuple[datetime, datetime], traces: Sequence[Trace]) -> tuple[datetime, datetime]:
    """Of a node that is there for minutes, minutes: an hour with a line at its edge shows nothing."""
    start, stop = span
    firsts = [int(trace.times[0].astype("datetime64[us]").astype(np.int64)) for trace in traces if len(trace.times)]
    if not firsts:
        return span
    first = datetime.fromtimestamp(min(firsts) / 1e6, UTC)
    if first < start + (stop - start) * _MOSTLY_EMPTY:
        return span
    return max(start, min(first, stop - _SHORTEST)), stop


def _wall(time: datetime, zone: str) -> datetime:
    return time.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def escaped(text: str) -> str:
    """Text of others inside a chart: Plotly reads a subset of HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
