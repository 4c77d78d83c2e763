"""**Rules**: what is watched for; edit with validation, and see what a rule would have done before it is in force."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard import fetch
from dashboard.address import Address
from dashboard.charts.lines import MOST_POINTS, Line, lines
from dashboard.data.alerts import intervals
from dashboard.data.question import Question
from dashboard.data.ranges import Range
from dashboard.data.rules import above_of, measurement_and_field, with_above
from dashboard.data.times import clock, duration
from dashboard.data.traces import traces_of
from dashboard.data.units import unit_of
from dashboard.data.zones import zone_or_utc
from dashboard.frame import act, height, plain, said
from dashboard.session import viewer

if TYPE_CHECKING:
    from dashboard.client import Document

_NEW = "a new rule …"
_EXAMPLE: dict[str, Any] = {"metric": "cpu.usage", "above": {"warning": 90, "critical": 98}, "for": "5m"}
_RANGES = {"-6h": "6 hours", "-1d": "24 hours", "-7d": "7 days", "-30d": "30 days"}


def page() -> None:
    """Draw the page."""
    st.title("Rules")
    found = {rule["name"]: rule for rule in fetch.items("/rules")}
    st.dataframe(
        [
            {"Rule": name, "On": rule["enabled"], "From": rule["source"], "Asks": rule["asks"]}
            for name, rule in found.items()
        ],
        width="stretch",
        hide_index=True,
        height=height(len(found), 320),
    )
    names = [*found, _NEW]
    address = Address("rules")
    wanted = st.query_params.get("rule", names[0])
    name = st.selectbox("Rule", names, key=address.one("rule", wanted if wanted in names else names[0], names))
    address.write({"rule": name})
    table: dict[str, Any] = found[name]["rule"] if name in found else _EXAMPLE
    edit, test = st.tabs(["Edit", "What would it have done?"])
    with edit:
        _edit(name, table, found)
    with test, said():
        _backtest(name, table)


def _edit(name: str, table: dict[str, Any], found: dict[str, Document]) -> None:
    is_new = name not in found
    with st.form(f"edit {name}"):
        chosen = st.text_input("Name", value="" if is_new else name, disabled=not is_new, max_chars=64)
        text = st.text_area("The rule, as JSON", value=json.dumps(table, indent=2), height=260)
        st.caption("As a table of the rules file: metric, nodes, above, below, clear, for, window, absent, notify, …")
        first, second, _ = st.columns([1, 1, 4])
        save = first.form_submit_button("Save", type="primary", disabled=not viewer().may_change, width="stretch")
        label = "Remove" if is_new or found[name]["source"] == "file" else "As shipped"
        remove = second.form_submit_button(label, disabled=is_new or not viewer().may_change, width="stretch")
    if save:
        _save(chosen if is_new else name, text)
    elif remove and act("DELETE", f"/rules/{name}") is not None:
        st.rerun()


def _save(name: str, text: str) -> None:
    try:
        table = json.loads(text)
    except json.JSONDecodeError as error:
        st.error(f"No JSON, line {error.lineno}, column {error.colno}: {error.msg}.")
        return
    if not name:
        st.error("Give it a name.")
    elif act("PUT", f"/rules/{name}", table) is not None:
        st.query_params["rule"] = name
        st.rerun()


def _backtest(name: str, table: dict[str, Any]) -> None:
    first, second = st.columns(2)
    start = first.selectbox("Over the last", list(_RANGES), index=1, format_func=_RANGES.__getitem__)
    nodes = ["", *sorted(node["node"] for node in fetch.items("/nodes", slow=True))]
    node = second.selectbox("Node", nodes, format_func=lambda name: name or "all nodes", key="test node")
    threshold = above_of(table)
    tried = table
    if threshold is not None:
        severity, value = threshold
        hint = "Moved here, it changes nothing but this page."
        moved = st.slider(f"Threshold ({severity})", *_around(value), value=value, help=hint)
        tried = with_above(table, severity, moved)
        threshold = (severity, moved)
    body = {"name": name if name != _NEW else "test", "rule": tried, "start": start, "node": node or None}
    answer = fetch.asked("/rules/test", body)
    columns = st.columns(4)
    columns[0].metric("Would have fired", f"{answer['fired']:,} ×", border=True)
    columns[1].metric("For altogether", duration(answer["firing_s"]), border=True)
    columns[2].metric("Did not last", f"{answer['cancelled']:,} ×", border=True)
    columns[3].metric("Samples looked at", f"{answer['samples']:,}", border=True)
    _chart(tried, node, start, answer, threshold)
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
            for one in answer["intervals"][:1000]
        ],
        width="stretch",
        hide_index=True,
    )
    offered = tried != table and name != _NEW and viewer().may_change
    if offered and st.button("Save this threshold", type="primary") and act("PUT", f"/rules/{name}", tried) is not None:
        st.rerun()


def _chart(table: dict[str, Any], node: str, start: str, answer: Document, threshold: tuple[str, float] | None) -> None:
    named = measurement_and_field(table)
    if named is None:
        st.caption("A rule of patterns or of several conditions has no single curve to draw.")
        return
    asked = Question(named[0], (named[1],), (node,) if node else (), range=Range(start))
    traces = [trace for params in asked.requests(points=MOST_POINTS // 2) for trace in traces_of(fetch.table(params))]
    figure = lines(
        traces[:20],
        unit=unit_of(named[1]),
        bands=intervals(answer["intervals"][:200]),
        thresholds=[Line(threshold[1], plain(threshold[0]), threshold[0])] if threshold else (),
        zone=zone_or_utc(st.context.timezone),
    )
    st.plotly_chart(figure, width="stretch", key="backtest", config={"displaylogo": False})


def _around(value: float) -> tuple[float, float]:
    """The ends of a slider around a threshold."""
    if 0 <= value <= 100:  # noqa: PLR2004  most often per cent
        return 0.0, 100.0
    reach = max(abs(value), 1.0)
    return value - reach, value + reach
