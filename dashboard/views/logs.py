"""**Logs**: search the records of all nodes, or follow them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from dashboard import fetch
from dashboard.address import Address
from dashboard.data.ranges import sound
from dashboard.data.times import clock
from dashboard.data.zones import zone_or_utc
from dashboard.frame import height, live, said
from dashboard.views.choosing import a_range

if TYPE_CHECKING:
    from dashboard.data.ranges import Range

_LEVELS = ("all", "debug", "info", "warning", "error", "critical")
_MOST = 1_000


def page() -> None:
    """Draw the page."""
    st.title("Logs")
    address = Address("logs")
    asked = {name: values[-1] for name, values in address.given.items()}
    first, second, third, fourth = st.columns([3, 2, 2, 2])
    text = first.text_input(
        "Contains", key=address.one("text", asked.get("text", "")), placeholder="any text", icon=":material/search:"
    )
    nodes = ["", *sorted(node["node"] for node in fetch.items("/nodes", slow=True))]
    given = asked.get("node", "")
    node = second.selectbox(
        "Node",
        nodes,
        key=address.one("node", given if given in nodes else "", nodes),
        format_func=lambda name: name or "all nodes",
    )
    least = asked.get("level", "")
    level = third.selectbox(
        "Level, at least", _LEVELS, key=address.one("level", least if least in _LEVELS else _LEVELS[0], _LEVELS)
    )
    span = a_range(sound(asked.get("from", "-1h"), asked.get("to", "now")), address, fourth)
    follow = st.toggle(
        "Follow", key=address.one("follow", asked.get("follow") == "1"), help="New records appear by themselves."
    )
    wanted = {
        "text": text,
        "node": node,
        "level": level if level != "all" else "",
        "from": span.start,
        "to": span.stop if span.stop != "now" else "",
        "follow": "1" if follow else "",
    }
    address.write({name: value for name, value in wanted.items() if value})

    def draw() -> None:
        records(node=node or None, level=level, text=text, span=span)

    if follow:
        live(draw)
    else:
        with said():
            draw()


def records(*, node: str | None, level: str, text: str, span: Range, most: int = _MOST) -> None:
    """A table of log records, newest first."""
    found = fetch.items(
        "/logs",
        {
            "node": node,
            "level": level if level != "all" else None,
            "text": text or None,
            "start": span.start,
            "stop": span.stop,
        },
        most=most,
    )
    if not found:
        st.info("No record fits. A longer range or a lower level shows more.")
        return
    zone = zone_or_utc(st.context.timezone)
    st.dataframe(
        [
            {
                "Time": clock(record["time"], zone),
                "Level": record["level"],
                "Node": record["node"],
                "Source": record["source"],
                "Message": record["message"],
                "Fields": ", ".join(f"{name}={value}" for name, value in record["fields"].items()),
            }
            for record in found
        ],
        width="stretch",
        hide_index=True,
        height=height(len(found), 620),
        column_config={"Message": st.column_config.TextColumn(width="large")},
    )
    if len(found) == most:
        st.caption(f"The newest {most:,} are shown.")
