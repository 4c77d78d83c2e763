"""**Overview**: every node with its state, what is wrong, and whether data gets through."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyarrow as pa
import streamlit as st

from dashboard import fetch
from dashboard.data import nodes as node_rows
from dashboard.data.traces import traces_of
from dashboard.frame import height, live, live_every, plain

if TYPE_CHECKING:
    from dashboard.client import Params
    from dashboard.data.metrics import Reading

_RECEIVED = "iothub_messages_received_total"
_STORED = "iothub_values_stored_total"
_SPARKS: Params = {"measurement": "cpu", "field": "usage", "start": "-1h", "every": "2m", "fn": "mean"}
_SECONDS_A_ROW = 0.01
_NOBODY = "No node is known yet: `iothub nodes add NAME` makes the first."


def page() -> None:
    """Draw the page."""
    st.title("Overview")
    _ahead()
    live(_figures)
    first, second = st.columns([3, 2])
    first.text_input("Search", key="search", placeholder="part of a node's name", icon=":material/search:")
    everyone = fetch.items("/nodes")
    groups = sorted({group for node in everyone for group in node["groups"]})
    second.selectbox("Group", ["", *groups], key="group", format_func=lambda group: group or "all groups")
    # A table of a thousand rows is drawn anew every ten seconds, so that ten viewers of it cost the hub nothing.
    live_every(len(everyone) * _SECONDS_A_ROW, _nodes)


def _ahead() -> None:
    """Ask for everything at once: the figures and the table need much the same."""
    fetch.ahead(
        [
            fetch.of_items("/nodes"),
            fetch.of_table(_SPARKS, slow=True),
            fetch.of_items("/alerts"),
            fetch.of_health(),
            fetch.of_reading(),
        ]
    )


def _figures() -> None:
    by_state = node_rows.counts(fetch.items("/nodes"))
    health = fetch.health()
    reading = fetch.reading()
    before = _Before.of().earlier(reading)
    alerts = _open_alerts()
    columns = st.columns(5)
    columns[0].metric("Nodes online", f"{by_state['online']} of {by_state.total()}", border=True)
    columns[1].metric("Silent or offline", by_state["silent"] + by_state["offline"], border=True)
    columns[2].metric("Open alerts", sum(alerts.values()), border=True)
    columns[3].metric("Messages", _per_s(reading.rate(before, _RECEIVED)), border=True)
    columns[4].metric("Values stored", _per_s(reading.rate(before, _STORED)), border=True)
    broken = [link for link in health["links"] or [] if not link["ok"]]
    for link in broken:
        st.error(f"**{link['name']}**: {plain(link['detail'])}", icon=":material/link_off:")
    if not broken:
        st.caption("Nodes, broker, link, decoder and store: data gets through.")


def _nodes() -> None:
    wanted, group = st.session_state.get("search", "").strip().lower(), st.session_state.get("group", "")
    table = fetch.made(("overview", wanted, group), partial(_table, wanted, group))
    if not table.num_rows:
        st.info("No node fits." if wanted or group else _NOBODY)
        return
    st.dataframe(
        table,
        width="stretch",
        hide_index=True,
        height=height(table.num_rows, 640),
        column_config={
            "Node": st.column_config.LinkColumn(display_text=r"node=(.*)$", width="medium"),
            "CPU, last hour": st.column_config.LineChartColumn(y_min=0, y_max=100, width="medium"),
            "Alerts": st.column_config.NumberColumn(width="small"),
        },
    )


def _table(wanted: str, group: str) -> pa.Table:
    """The nodes that fit, as they are drawn."""
    nodes = [
        node
        for node in fetch.items("/nodes")
        if wanted in node["node"].lower() and (not group or group in node["groups"])
    ]
    rows = node_rows.rows(nodes, _sparks(), _open_alerts())
    for row in rows:
        row["Node"] = f"/node?node={quote(row['Node'])}"
        del row["contact"]
    return pa.Table.from_pylist(rows)


def _sparks() -> dict[str, list[float]]:
    return node_rows.sparklines(traces_of(fetch.table(_SPARKS, slow=True)))


def _open_alerts() -> dict[str, int]:
    open_by_node: dict[str, int] = {}
    for alert in fetch.items("/alerts"):
        open_by_node[alert["node"]] = open_by_node.get(alert["node"], 0) + 1
    return open_by_node


def _per_s(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:,.1f}/s"


class _Before:
    """The last readings of the hub's figures, shared by all viewers: rates are over about ten seconds."""

    def __init__(self) -> None:
        self._readings: list[Reading] = []

    @staticmethod
    @st.cache_resource
    def of() -> _Before:
        return _Before()

    def earlier(self, reading: Reading) -> Reading | None:
        if not self._readings or reading.at_s > self._readings[-1].at_s:
            self._readings = [*self._readings, reading][-6:]
        return self._readings[0] if self._readings[0] is not reading else None
