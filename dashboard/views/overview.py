"""**Overview**: every node with its state, and whether data gets through."""

from __future__ import annotations

import streamlit as st

from dashboard import fetch
from dashboard.frame import live


def page() -> None:
    """Draw the page."""
    st.title("Overview")
    live(_nodes)


def _nodes() -> None:
    nodes = fetch.items("/nodes")
    st.dataframe(
        [{"Node": node["node"], "State": node["contact"], "Last seen": node["last_seen"]} for node in nodes],
        width="stretch",
        hide_index=True,
    )
