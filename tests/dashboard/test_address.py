"""The address of a page follows what is chosen, and each choice counts: not only every second one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.apps import Served, drawing, page, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamlit.testing.v1 import AppTest


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("api")) as served:
        yield served


@pytest.fixture(autouse=True)
def _as_admin(api: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with drawing(monkeypatch, api.url, api.tokens["admin"]):
        yield


def choose(app: AppTest, label: str, option: str) -> str:
    """Choose ``option``; what the widget shows once the page is drawn anew."""
    next(one for one in app.selectbox if one.label == label).set_value(option).run()
    assert not app.exception, app.exception
    return str(next(one for one in app.selectbox if one.label == label).value)


@pytest.mark.parametrize(
    ("view", "label", "options"),
    [
        ("explore", "Time range", ["Last 6 hours", "Last 24 hours", "Last 15 minutes"]),
        ("explore", "Each point is", ["mean", "max", "min"]),
        ("explore", "Measurement", ["room", "cpu", "room"]),
        ("logs", "Level, at least", ["warning", "error", "info"]),
        ("node", "Node", ["host1", "boiler", "host1"]),
        ("node", "Time range", ["Last 6 hours", "Last 24 hours", "Last 15 minutes"]),
        ("rules", "Rule", ["hot-or-hotter", "hot", "hot-or-hotter"]),
    ],
)
def test_each_choice_counts(view: str, label: str, options: list[str]) -> None:
    app = page(view)
    assert [choose(app, label, option) for option in options] == options


def test_the_address_says_what_was_chosen() -> None:
    app = page("explore")
    choose(app, "Time range", "Last 6 hours")
    choose(app, "Time range", "Last 24 hours")
    choose(app, "Each point is", "mean")
    assert app.query_params["from"] == "-1d"
    assert app.query_params["fn"] == "mean"


def test_another_link_is_shown_in_place_of_what_was_chosen() -> None:
    app = page("explore")
    choose(app, "Time range", "Last 6 hours")
    app.query_params["from"] = "-7d"
    app.run()
    assert next(one.value for one in app.selectbox if one.label == "Time range") == "Last 7 days"


def test_all_fields_can_be_taken_away() -> None:
    app = page("explore", m="room", f="temperature")
    next(one for one in app.multiselect if one.label == "Fields").set_value([]).run()
    assert "Choose at least one field." in [one.value for one in app.info]
