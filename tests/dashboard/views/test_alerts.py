"""**Alerts**: acknowledge, comment, assign, silence, and what has been."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.apps import Served, cells, opened, page, press, widget, words

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

pytestmark = pytest.mark.usefixtures("as_operator")


def chosen() -> AppTest:
    app = opened("alerts", {"chosen alert": 1})
    assert not app.exception, app.exception
    return app


def asked(api: Served, path: str) -> Any:
    headers = {"Authorization": f"Bearer {api.tokens['admin']}"}
    return httpx.get(f"{api.url}/api/v1{path}", headers=headers, timeout=60).raise_for_status().json()


def test_an_alert_is_commented_assigned_and_acknowledged(api: Served) -> None:
    app = chosen()
    assert "Number 1, firing, taken by nobody" in words(app)
    widget(app.text_input, "Comment").set_value("looks after it")
    press(app, "Assign to me")
    assert "taken by a\\-operator" in words(app)
    widget(app.text_input, "Comment").set_value("a fan is stuck")
    press(app, "Acknowledge")
    assert asked(api, "/alerts/1")["state"] == "acknowledged"
    assert asked(api, "/alerts/1")["acknowledged_by"] == "a-operator"
    assert "a fan is stuck" in cells(app)


def test_a_comment_without_words_is_none() -> None:
    assert "Write the comment first." in words(press(chosen(), "Comment"))


def test_an_alert_is_silenced_and_the_silence_ended(api: Served) -> None:
    press(chosen(), "Silence for 2 hours")
    (silence,) = asked(api, "/silences")["items"]
    assert (silence["rule"], silence["node"]) == ("hot", "boiler")
    app = page("alerts")
    assert "Rule **hot** on **boiler** until" in words(app)
    press(app, "End")
    assert asked(api, "/silences")["items"] == []


def test_history_is_narrowed_by_node(api: Served) -> None:
    assert asked(api, "/alerts?state=all")["items"]
    app = page("alerts")
    assert len(app.dataframe) == 2
    app.selectbox(key="history node").set_value("host1").run()
    assert "Nothing fired in this time." in words(app)
