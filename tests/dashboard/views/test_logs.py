"""**Logs**: search, node, level, time and follow; the address has them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.apps import HOSTILE, cells, page, widget, words

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

pytestmark = pytest.mark.usefixtures("as_viewer")


def found(app: AppTest) -> bool:
    assert not app.exception, app.exception
    shown = HOSTILE in cells(app)
    assert shown or "No record fits" in words(app)
    return shown


@pytest.mark.parametrize(
    ("link", "fits"),
    [
        ({"text": "ALERT(1)"}, True),
        ({"text": "no such line"}, False),
        ({"node": "host1"}, True),
        ({"node": "boiler"}, False),
        ({"level": "error"}, True),
        ({"level": "critical"}, False),
        ({"from": "2020-01-01T00:00:00Z"}, True),
        ({"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}, False),
        ({"from": "soon"}, True),
    ],
)
def test_a_link_chooses_records_by_text_node_level_and_time(link: dict[str, str], fits: bool) -> None:  # noqa: FBT001  a table
    assert found(page("logs", **link)) is fits


def test_a_range_of_ones_own_is_in_the_address() -> None:
    app = page("logs", **{"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"})
    assert widget(app.selectbox, "Time range").value == "Own range"
    assert app.query_params["to"] == "2020-01-02T00:00:00Z"
    widget(app.selectbox, "Time range").set_value("Last hour").run()
    assert found(app)
    assert "to" not in app.query_params


def test_following_logs_says_as_of_when_and_is_in_the_address() -> None:
    app = page("logs")
    assert "As of" not in words(app)
    widget(app.toggle, "Follow").set_value(True).run()
    assert "As of" in words(app)
    assert app.query_params["follow"] == "1"
    assert widget(page("logs", follow="1").toggle, "Follow").value is True
