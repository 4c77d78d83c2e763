"""The script that Streamlit runs for each viewer: navigation, and the page that was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

from dashboard.frame import said, sidebar
from dashboard.session import viewer
from dashboard.views import admin, alerts, commands, explore, ingest, logs, node, overview, rules

_ICON: Final = Path(__file__).with_name("icon.png")


def main() -> None:
    """Draw the whole app."""
    st.set_page_config(page_title="iothub", page_icon=str(_ICON), layout="wide")
    page = st.navigation(
        [
            st.Page(overview.page, title="Overview", icon=":material/home:", default=True),
            st.Page(node.page, title="Node", icon=":material/memory:", url_path="node"),
            st.Page(explore.page, title="Explore", icon=":material/query_stats:", url_path="explore"),
            st.Page(logs.page, title="Logs", icon=":material/article:", url_path="logs"),
            st.Page(alerts.page, title="Alerts", icon=":material/notifications:", url_path="alerts"),
            st.Page(rules.page, title="Rules", icon=":material/rule:", url_path="rules"),
            st.Page(commands.page, title="Commands", icon=":material/terminal:", url_path="commands"),
            st.Page(ingest.page, title="Ingest", icon=":material/input:", url_path="ingest"),
            st.Page(admin.page, title="Admin", icon=":material/admin_panel_settings:", url_path="admin"),
        ]
    )
    with said():
        sidebar(viewer())
        page.run()


if __name__ == "__main__":
    main()
