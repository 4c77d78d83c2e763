"""Line charts over time: one figure, several series, up to two axes, alert bands and notes.

Any two colours differ by more than 20 in CIELAB, also to people who lack a kind of cones (simulated after Machado and
others, 2009), and each stands out 3 : 1 from white and from the dark theme; a test computes both. Lines differ in dash,
too, once the colours repeat. Nothing is drawn on: the page's theme, dark or light, shows through.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np
import plotly.graph_objects as go

from dashboard.data.traces import labels, with_gaps
from dashboard.data.units import unit_of
from dashboard.data.zones import in_zone

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import numpy.typing as npt

    from dashboard.data.traces import Trace

COLOURS: Final = ("#4a63a2", "#e37719", "#1aa964", "#b3869f", "#98511b", "#8c58ed")
_NEUTRAL: Final = "#7f7f7f"
_DASHES: Final = ("solid", "dash", "dot", "dashdot")
SEVERITY_COLOURS: Final = {"info": "#56b4e9", "warning": "#e69f00", "critical": "#d55e00"}
#: Most points of one trace: more than a screen has columns.
MOST_POINTS: Final = 2_000
_HEIGHT: Final = 380
#: Of a sample that has no neighbour to draw a line to.
_ALONE_PX: Final = 5
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
        unit: of the left axis; empty: those of the fields that are drawn on it.
        bands: drawn behind the lines.
        thresholds: horizontal lines.
        second_axis: ``measurement.field`` of what belongs on the right axis.
        second_unit: of the right axis, likewise.
        span: what the time axis shows, with or without samples; from the first sample where there is none for most of
            it; as far as the samples go where it is missing.
        zone: whose wall clock the time axis shows.
        height: in pixels.
    """
    figure = go.Figure()
    drawn = [trace for trace in traces if not trace.is_text]
    units: tuple[dict[str, None], dict[str, None]] = ({}, {})  # of the left axis and of the right, in order
    for number, (trace, name) in enumerate(zip(drawn, labels(drawn) if drawn else [], strict=True)):
        whole = with_gaps(trace)
        on_second = f"{trace.measurement}.{trace.field}" in second_axis
        own_unit = (second_unit if on_second else unit) or unit_of(trace.field)
        (units[1] if on_second else units[0])[own_unit] = None
        alone = _alone(whole.values)
        figure.add_trace(
            go.Scatter(
                x=in_zone(whole.times, zone),
                y=whole.values,
                name=escaped(name),
                mode="lines+markers" if alone.any() else "lines",
                marker={"size": np.where(alone, _ALONE_PX, 0).tolist()} if alone.any() else None,
                connectgaps=False,
                yaxis="y2" if on_second else "y",
                line={
                    "color": COLOURS[number % len(COLOURS)],
                    "dash": _DASHES[number // len(COLOURS) % len(_DASHES)],
                    "width": 1.6,
                },
                hovertemplate=f"%{{y:.6g}} {escaped(own_unit)}",
            )
        )
    for number, band in enumerate(bands):
        figure.add_vrect(
            x0=_wall(max(band.start, span[0]) if span is not None else band.start, zone),
            x1=_wall(band.stop, zone),
            fillcolor=SEVERITY_COLOURS.get(band.severity, _NEUTRAL),
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
            line={"color": SEVERITY_COLOURS.get(line.severity, _NEUTRAL), "dash": "dash", "width": 1.5},
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
        yaxis={"title": {"text": _title(unit, units[0])}, "automargin": True, "zeroline": False},
    )
    if second_axis:
        figure.update_layout(
            yaxis2={
                "title": {"text": _title(second_unit, units[1])},
                "overlaying": "y",
                "side": "right",
                "automargin": True,
                "showgrid": False,
            }
        )
    return figure


def _alone(values: npt.NDArray[np.float64] | list[str]) -> npt.NDArray[np.bool_]:
    """Which samples have no neighbour on either side; a line would not show them."""
    there = np.isfinite(np.asarray(values, np.float64))
    beside = np.zeros(len(there) + 2, bool)
    beside[1:-1] = there
    alone: npt.NDArray[np.bool_] = there & ~beside[:-2] & ~beside[2:]
    return alone


def _title(unit: str, of_fields: Iterable[str]) -> str:
    return escaped(unit or " · ".join(filter(None, of_fields)))


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
