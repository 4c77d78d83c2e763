"""**Rules**, over history: what a rule would have done, drawn over the data, with thresholds that can be moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from dashboard import fetch
from dashboard.charts.lines import MOST_POINTS, Line, lines
from dashboard.data.alerts import intervals
from dashboard.data.question import Question
from dashboard.data.ranges import Range
from dashboard.data.rules import measurement_and_field, moved, thresholds, watches
from dashboard.data.times import clock, duration
from dashboard.data.traces import traces_of
from dashboard.data.units import unit_of
from dashboard.data.zones import zone_or_utc
from dashboard.frame import plain

if TYPE_CHECKING:
    from dashboard.client import Document
    from dashboard.data.rules import Threshold

_RANGES: Final = {"-6h": "6 hours", "-1d": "24 hours", "-7d": "7 days", "-30d": "30 days"}
_MOST_TRACES: Final = 20
_MOST_BANDS: Final = 200
_MOST_ROWS: Final = 1_000


def backtest(name: str, table: dict[str, Any]) -> dict[str, Any]:
    """Run a rule over what is stored.

    Args:
        name: of the rule, or what it might be called.
        table: the rule.

    Returns:
        The rule as it was run: with its thresholds where somebody moved them.
    """
    first, second = st.columns(2)
    start = first.selectbox("Over the last", list(_RANGES), index=1, format_func=_RANGES.__getitem__)
    nodes = ["", *sorted(node["node"] for node in fetch.items("/nodes", slow=True))]
    node = second.selectbox("Node", nodes, format_func=lambda name: name or "all nodes", key="test node")
    tried = _tried(name, table)
    answer = fetch.asked("/rules/test", {"name": name, "rule": tried, "start": start, "node": node or None})
    columns = st.columns(4)
    columns[0].metric("Would have fired", f"{answer['fired']:,} ×", border=True)
    columns[1].metric("For altogether", duration(answer["firing_s"]), border=True)
    columns[2].metric("Did not last", f"{answer['cancelled']:,} ×", border=True)
    columns[3].metric("Samples looked at", f"{answer['samples']:,}", border=True)
    _chart(tried, node, start, answer)
    zone = zone_or_utc(st.context.timezone)
    st.dataframe(
        [
            {
                "From": clock(one["start"], zone),
                "To": clock(one["stop"], zone) or "still",
                "Node": one["node"],
                "Series": one["series"],
                "Severity": one["severity"],
                "Message": one["message"],
            }
            for one in answer["intervals"][:_MOST_ROWS]
        ],
        width="stretch",
        hide_index=True,
    )
    return tried


def _tried(name: str, table: dict[str, Any]) -> dict[str, Any]:
    """The rule with its thresholds where somebody moved them."""
    tried = table
    offered = thresholds(table)
    for column, threshold in zip(st.columns(max(len(offered), 1)), offered, strict=False):
        value = column.slider(
            f"{threshold.ask.capitalize()} ({threshold.severity})",
            threshold.least,
            threshold.most,
            threshold.value,
            key=f"threshold {name} {threshold}",
            help="Moved here, it changes nothing but this page.",
        )
        if value != threshold.value:
            tried = moved(tried, threshold, value)
    return tried


def _chart(table: dict[str, Any], node: str, start: str, answer: Document) -> None:
    named = measurement_and_field(table)
    if named is None:
        st.caption("A rule of patterns or of several conditions has no single curve to draw.")
        return
    asked = Question(named[0], (named[1],), (node,) if node else (), range=Range(start))
    traces = [
        trace
        for params in asked.requests(points=MOST_POINTS // 2)
        for trace in traces_of(fetch.table(params))
        if watches(table, trace)
    ]
    figure = lines(
        traces[:_MOST_TRACES],
        unit=unit_of(named[1]),
        bands=intervals(answer["intervals"][:_MOST_BANDS]),
        thresholds=[line for threshold in thresholds(table) for line in _lines(threshold)],
        zone=zone_or_utc(st.context.timezone),
    )
    st.plotly_chart(figure, width="stretch", key="backtest", config={"displaylogo": False})
    if len(traces) > _MOST_TRACES:
        st.caption(f"{_MOST_TRACES} of {len(traces):,} series are drawn; the figures are of all.")


def _lines(threshold: Threshold) -> list[Line]:
    return [Line(value, plain(threshold.severity), threshold.severity) for value in threshold.values]
