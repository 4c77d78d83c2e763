"""A live chart keeps its name while its samples change: for the browser it is the same chart, and not another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamlit.elements import plotly_chart
from streamlit.testing.v1 import AppTest

from dashboard.redraw import charts_in_place

if TYPE_CHECKING:
    import pytest

_CHARTS = """
import plotly.graph_objects as go
import streamlit as st
value = st.session_state["value"] = st.session_state.get("value", 0) + 1
figure = go.Figure(go.Scatter(y=[value]))
st.plotly_chart(figure, key="live")
st.plotly_chart(figure, key="other")
st.plotly_chart(figure, key="selected on", on_select="rerun", selection_mode="box")
"""


def names(app: AppTest) -> list[str]:
    return [chart.proto.id for chart in app.run().get("plotly_chart")]


def test_a_chart_is_named_by_its_key_but_for_one_on_which_people_select(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        plotly_chart, "compute_and_register_element_id", plotly_chart.__dict__["compute_and_register_element_id"]
    )
    charts_in_place()
    app = AppTest.from_string(_CHARTS, default_timeout=60)
    live, other, selected = names(app)
    assert len({live, other, selected}) == 3
    assert names(app)[:2] == [live, other]
    assert names(app)[2] != selected
