"""**Rules**: thresholds of every severity are moved over stored data; what was typed is tried before it is saved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.apps import Served, opened, page, press, widget, words

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

TEST = {"rules tabs": "What would it have done?"}


def fired(app: AppTest) -> str:
    return str(widget(app.metric, "Would have fired").value)


def rules(api: Served) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {api.tokens['admin']}"}
    found = httpx.get(f"{api.url}/api/v1/rules?limit=1000", headers=headers, timeout=60).json()["items"]
    return {one["name"]: one["rule"] for one in found}


@pytest.mark.usefixtures("as_admin")
def test_a_rule_is_run_over_history_and_its_threshold_can_be_moved() -> None:
    app = opened("rules", TEST, rule="hot")
    assert "hot" in app.dataframe[0].value["Rule"].tolist()
    (slider,) = app.slider
    assert (slider.label, slider.value) == ("Above (warning)", 30.0)
    assert fired(app) == "1 ×"
    assert len(app.get("plotly_chart")) == 1
    slider.set_value(100.0).run()
    assert not app.exception
    assert fired(app) == "0 ×"


@pytest.mark.usefixtures("as_admin")
def test_each_severity_has_a_threshold_that_cannot_be_moved_past_the_next() -> None:
    app = opened("rules", TEST, rule="hot-or-hotter")
    warning, critical = app.slider
    assert (warning.label, warning.min, warning.max) == ("Above (warning)", 0.0, 40.0)
    assert (critical.label, critical.min, critical.max) == ("Above (critical)", 30.0, 100.0)
    warning.set_value(40.0).run()
    assert not app.error, words(app)
    assert fired(app) == "1 ×"


@pytest.mark.usefixtures("as_admin")
def test_thresholds_below_and_around_can_be_moved_too() -> None:
    (slider,) = opened("rules", TEST, rule="cold").slider
    assert (slider.label, slider.value) == ("Below (warning)", 25.0)
    app = opened("rules", TEST, rule="odd")
    (slider,) = app.slider
    assert (slider.label, slider.value) == ("Outside (warning)", (40.0, 60.0))
    assert fired(app) == "2 ×"
    slider.set_value((10.0, 90.0)).run()
    assert fired(app) == "0 ×"


@pytest.mark.usefixtures("as_admin")
@pytest.mark.parametrize(
    ("text", "said"), [("{oh", "No JSON, line 1, column 2"), ('{"metric": 5}', "metric"), ("[1]", "A rule is a table")]
)
@pytest.mark.parametrize("button", ["Save", "Try it"])
def test_a_wrong_rule_is_refused_with_the_reason(text: str, said: str, button: str) -> None:
    app = page("rules", rule="hot")
    app.text_area[0].set_value(text)
    press(app, button)
    assert any(said in error.value for error in app.error), words(app)


@pytest.mark.usefixtures("as_admin")
def test_what_was_typed_is_tried_without_being_saved(api: Served) -> None:
    before = rules(api)["hot"]
    app = page("rules", rule="hot")
    app.text_area[0].set_value(json.dumps({"metric": "room.temperature", "above": 1000}))
    press(app, "Try it")
    assert "it is not saved" in words(app)
    assert fired(app) == "0 ×"
    assert rules(api)["hot"] == before
    press(app, "Drop it")
    assert fired(app) == "1 ×"


@pytest.mark.usefixtures("as_admin")
def test_what_was_tried_is_saved_so(api: Served) -> None:
    app = opened("rules", TEST, rule="cold")
    app.slider[0].set_value(10.0).run()
    press(app, "Save it so")
    assert rules(api)["cold"]["below"] == 10.0


@pytest.mark.usefixtures("as_admin")
def test_a_new_rule_is_tried_and_then_saved_under_its_name(api: Served) -> None:
    app = page("rules", rule="a new rule …")
    widget(app.text_input, "Name").set_value("mine")
    app.text_area[0].set_value(json.dumps({"metric": "room.temperature", "above": 50}))
    press(app, "Try it")
    assert fired(app) == "1 ×"
    app.session_state["rules tabs"] = "Edit"
    app.run()
    assert widget(app.text_input, "Name").value == "mine"
    assert json.loads(str(app.text_area[0].value))["above"] == 50
    press(app, "Save")
    assert rules(api)["mine"]["above"] == 50


@pytest.mark.usefixtures("as_viewer")
def test_a_viewer_tries_and_saves_nothing() -> None:
    app = page("rules", rule="hot")
    assert {one.label: one.disabled for one in app.button}["Save"] is True
    app = opened("rules", TEST, rule="hot")
    app.slider[0].set_value(50.0).run()
    assert "Save it so" not in [one.label for one in app.button]
