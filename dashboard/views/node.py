"""**Node**: everything about one: charts, inventory, connections, what it publishes, logs, alerts, its ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import streamlit as st

from dashboard import fetch
from dashboard.address import Address
from dashboard.charts.lines import MOST_POINTS, lines
from dashboard.charts.timeline import connections
from dashboard.data import ledger
from dashboard.data.alerts import bands, concerning
from dashboard.data.alerts import rows as alert_rows
from dashboard.data.host import inventory, panels, published
from dashboard.data.nodes import SIGNS
from dashboard.data.question import Question, literal
from dashboard.data.ranges import PRESETS, Range
from dashboard.data.times import ago, clock, duration, parsed
from dashboard.data.traces import traces_of
from dashboard.data.zones import zone_or_utc
from dashboard.frame import height, live, live_every, plain, tabs
from dashboard.views.logs import records

if TYPE_CHECKING:
    from dashboard.client import Document, Params
    from dashboard.data.host import Panel


#: More coloured stretches than these hide the lines.
_MOST_BANDS = 50
#: A line: these charts are half as wide and half as high as that of Explore.
_POINTS = MOST_POINTS // 4
_LONGEST_S = 60.0


def page() -> None:
    """Draw the page."""
    st.title("Node")
    address = Address("node")
    if (given := st.query_params.get("node")) is not None:
        fetch.ahead([fetch.of_document(_path(given)), fetch.of_items("/alerts", {"node": literal(given)})])
    nodes = sorted(node["node"] for node in fetch.items("/nodes", slow=True))
    if not nodes:
        st.info("No node is known yet: `iothub nodes add NAME` makes the first.")
        return
    wanted = st.query_params.get("node", nodes[0])
    first, second = st.columns([3, 1], vertical_alignment="bottom")
    if wanted not in nodes:
        nodes.append(wanted)
    node = first.selectbox("Node", nodes, key=address.one("node", wanted, nodes))
    names = list(PRESETS)
    shown = next((name for name, start in PRESETS.items() if [start] == address.given.get("from")), names[1])
    span = second.selectbox("Time range", names, key=address.one("range", shown, names))
    address.write({"node": node, "from": PRESETS[span]})

    live(_head, node)
    opened = tabs(["Charts", "What it publishes", "Inventory", "Connections", "Logs", "Alerts", "Ledger"], "node tabs")
    draws = (
        partial(live_every, _point_s(PRESETS[span]), _charts, node, PRESETS[span]),
        partial(live, _published, node),
        partial(_inventory, node),
        partial(live, _connections, node),
        partial(live, records, node=literal(node), level="all", text="", span=Range(PRESETS[span])),
        partial(live, _alerts, node, PRESETS[span]),
        partial(live, _ledger, node),
    )
    for (tab, is_open), draw in zip(opened, draws, strict=True):
        if is_open:
            with tab:
                draw()


def _inventory(node: str) -> None:
    st.dataframe(inventory(fetch.document(_path(node))["info"]), width="stretch", hide_index=True)


def _path(node: str) -> str:
    return f"/nodes/{quote(node, safe='')}"  # the address of the page may name anything


def _head(node: str) -> None:
    found = fetch.document(_path(node))
    offset = found["clock_offset_s"]
    columns = st.columns(5)
    columns[0].metric("State", SIGNS.get(found["contact"], found["contact"]), border=True)
    columns[1].metric("Last seen", ago(found["last_seen"]), border=True)
    columns[2].metric("Since", ago(found["since"]), border=True, help=f"Why: {found['reason'] or 'unknown'}")
    columns[3].metric("Clock", "–" if offset is None else f"{offset:+.2f} s", border=True, help="Ahead of the hub's.")
    columns[4].metric("Series", f"{found['series_total']:,}", border=True)
    for alert in fetch.items("/alerts", {"node": literal(node)}):
        st.warning(
            f"**{plain(alert['rule'])}** ({alert['severity']}): {plain(alert['message'])}", icon=":material/warning:"
        )


def _charts(node: str, start: str) -> None:
    shown = panels(fetch.document(_path(node))["publishes"])
    if not shown:
        st.info("This node has published no numbers yet.")
        return
    asked = [_asked(node, panel, start) for panel in shown]
    tables = [fetch.of_table(params) for questions in asked for params in questions]
    fetch.ahead([*tables, fetch.of_items("/alerts", _lately(node, start))])
    fired = _fired(node, start)
    for left in range(0, len(shown), 2):
        for column, panel in zip(st.columns(2), shown[left : left + 2], strict=False):
            with column:
                _panel(node, panel, start, concerning(fired, panel.measurement, panel.fields))


def _point_s(start: str) -> float:
    """How long one point of a chart stands for: sooner nothing changes that could be seen. A minute at most."""
    begin, end = Range(start).instants(datetime.now(UTC))
    return min((end - begin).total_seconds() / _POINTS, _LONGEST_S)


def _asked(node: str, panel: Panel, start: str) -> list[Params]:
    return Question(panel.measurement, panel.fields, (node,), range=Range(start)).requests(points=_POINTS)


def _panel(node: str, panel: Panel, start: str, alerts: list[Document]) -> None:
    st.markdown(f"**{plain(panel.title)}**")
    traces = [trace for params in _asked(node, panel, start) for trace in traces_of(fetch.table(params))]
    if not traces:
        st.caption("Nothing in this range.")
        return
    figure = lines(
        traces,
        unit=panel.unit,
        bands=bands(alerts[:_MOST_BANDS]),
        span=Range(start).instants(datetime.now(UTC)),
        zone=zone_or_utc(st.context.timezone),
        height=260,
    )
    st.plotly_chart(
        figure, width="stretch", key=f"{node} {panel.title}", config={"displaylogo": False, "displayModeBar": False}
    )


def _published(node: str) -> None:
    found = fetch.document(_path(node))
    zone = zone_or_utc(st.context.timezone)
    rows = published(found["publishes"], zone)
    st.dataframe(rows, width="stretch", hide_index=True, height=height(len(rows), 600))
    if found["series_total"] > len(rows):
        st.caption(f"The first {len(rows):,} of {found['series_total']:,} series.")


def _connections(node: str) -> None:
    rows = fetch.items(f"{_path(node)}/connections", most=200)
    if not rows:
        st.info("This node has not been connected yet.")
        return
    zone = zone_or_utc(st.context.timezone)
    st.plotly_chart(
        connections(rows, zone=zone), width="stretch", key=f"connections {node}", config={"displayModeBar": False}
    )
    st.dataframe([_connection(row, zone) for row in rows], width="stretch", hide_index=True)


def _connection(row: Document, zone: str) -> Document:
    return {
        "From": clock(row["connected_at"], zone),
        "To": clock(row["disconnected_at"], zone) or "now",
        "Lasted": duration(_lasted_s(row)),
        "Began with": row["reason_connected"] or "",
        "Ended by": row["reason_disconnected"] or "",
        "Session": row["session"] or "",
    }


def _lately(node: str, start: str) -> Params:
    return {"node": literal(node), "state": "all", "since": start}


def _lasted_s(connection: Document) -> float:
    """Until now where it lasts still."""
    if connection["duration_s"] is not None:
        return float(connection["duration_s"])
    begun = parsed(connection["connected_at"])
    return (datetime.now(UTC) - begun).total_seconds() if begun is not None else 0.0


def _fired(node: str, start: str) -> list[Document]:
    """What fired in the range, and what is open since before it; each once."""
    found = [*fetch.items("/alerts", _lately(node, start)), *fetch.items("/alerts", {"node": literal(node)})]
    return list({one["id"]: one for one in found}.values())


def _alerts(node: str, start: str) -> None:
    found = _fired(node, start)
    if not found:
        st.info("No alert fired in this range, and none is open.")
        return
    st.dataframe(alert_rows(found), width="stretch", hide_index=True, height=height(len(found), 600))


def _ledger(node: str) -> None:
    found = [row for row in fetch.items("/ledger", {"node": node}) if row["node"] == node]
    st.dataframe(ledger.rows(found), width="stretch", hide_index=True)
    sessions = fetch.document("/ledger/sessions", {"node": node})["items"]
    if sessions:
        st.markdown("**Numbered messages, by session**")
        st.dataframe(
            [ledger.session(one) for one in sessions],
            width="stretch",
            hide_index=True,
        )
