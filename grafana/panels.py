"""The few kinds of panels that our dashboards use, with what they have in common said once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from grafana.model import Panel

if TYPE_CHECKING:
    from grafana.model import Json, Query

#: Lines join over gaps shorter than this, ms: a missed sample is none, a node that was away is.
_GAP_MS: Final = 300_000
RED_GREEN: Final = ((None, "red"), (1, "green"))
GREEN_RED: Final = ((None, "green"), (1, "red"))
#: Percent of something that can fill up.
FILLING: Final = ((None, "green"), (80, "orange"), (90, "red"))
CELSIUS: Final = ((None, "green"), (70, "orange"), (85, "red"))


def lines(title: str, *queries: Query, stacked: bool = False, bars: bool = False, **more: Any) -> Panel:
    """Lines over time, with the last and the highest value of each in the legend."""
    custom: Json = {
        "drawStyle": "bars" if bars else "line",
        "lineWidth": 1,
        "fillOpacity": 60 if bars else (30 if stacked else 8),
        "showPoints": "auto",
        "spanNulls": False if bars else _GAP_MS,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    options: Json = {
        "legend": {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel("timeseries", title, queries, custom=custom, options=options, **more)


def stat(title: str, *queries: Query, **more: Any) -> Panel:
    """One number a series, the newest."""
    options: Json = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
        "orientation": "auto",
        "textMode": "auto",
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
    }
    return Panel("stat", title, queries, options=options, **({"width": 4, "height": 4} | more))


def bar_gauge(title: str, *queries: Query, **more: Any) -> Panel:
    """One bar a series, the newest value."""
    options: Json = {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "color",
        "showUnfilled": True,
        "minVizWidth": 8,
        "minVizHeight": 16,
    }
    return Panel("bargauge", title, queries, options=options, **more)


def table(title: str, *queries: Query, sort: str = "", **more: Any) -> Panel:
    """Rows; sorted by the column ``sort``, greatest first."""
    options: Json = {
        "showHeader": True,
        "cellHeight": "sm",
        "footer": {"show": False, "reducer": ["sum"], "fields": ""},
        "sortBy": [{"displayName": sort, "desc": True}] if sort else [],
    }
    return Panel("table", title, queries, options=options, custom={"align": "auto", "filterable": True}, **more)


def timeline(title: str, *queries: Query, **more: Any) -> Panel:
    """A bar a series whose colour is its state."""
    custom: Json = {"lineWidth": 0, "fillOpacity": 80}
    options: Json = {
        "showValue": "never",
        "mergeValues": True,
        "rowHeight": 0.8,
        "alignValue": "left",
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return Panel("state-timeline", title, queries, custom=custom, options=options, **more)


def log_lines(title: str, *queries: Query, **more: Any) -> Panel:
    """Log records, newest first."""
    options: Json = {
        "showTime": True,
        "showLabels": False,
        "showCommonLabels": False,
        "wrapLogMessage": True,
        "prettifyLogMessage": False,
        "enableLogDetails": True,
        "dedupStrategy": "none",
        "sortOrder": "Descending",
    }
    return Panel("logs", title, queries, options=options, **more)


def unit_of(column: str, unit: str, thresholds: tuple[tuple[float | None, str], ...] = ()) -> Json:
    """What is special about one column of a table: its unit, and the colours of its values."""
    properties: list[Json] = [{"id": "unit", "value": unit}]
    if thresholds:
        steps = [{"value": value, "color": color} for value, color in thresholds]
        properties += [
            {"id": "thresholds", "value": {"mode": "absolute", "steps": steps}},
            {"id": "custom.cellOptions", "value": {"type": "color-text"}},
        ]
    return {"matcher": {"id": "byName", "options": column}, "properties": properties}


def value_texts(texts: dict[str, tuple[str, str]]) -> Json:
    """Words and colours for single values."""
    options = {
        value: {"text": text, "color": color, "index": at} for at, (value, (text, color)) in enumerate(texts.items())
    }
    return {"type": "value", "options": options}


def at_least(bound: float, text: str, color: str) -> Json:
    """A word and a colour for all values from ``bound`` on."""
    return {
        "type": "range",
        "options": {"from": bound, "to": None, "result": {"text": text, "color": color, "index": 9}},
    }
