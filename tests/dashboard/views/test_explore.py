"""**Explore**: aggregates and steps, axes, comparison, statistics of every sample, saved views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.apps import Served, drawing, opened, page, press, widget, words

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

ROOM = {"m": "room", "f": "temperature", "n": "boiler"}


@pytest.mark.usefixtures("as_viewer")
def test_statistics_are_of_every_sample_also_where_the_chart_shows_means() -> None:
    app = opened("explore", {"tabs of explore": "Statistics"}, **ROOM, fn="mean", every="5m")
    (row,) = app.dataframe[0].value.to_dict("records")
    assert (row["Samples"], row["Least"], row["Greatest"], row["Last"]) == (60, 20.0, 79.0, 20.0)
    assert row["Mean"] == pytest.approx(49.5)
    assert row["Deviation"] == pytest.approx(17.4642, abs=1e-3)


@pytest.mark.usefixtures("as_viewer")
def test_a_step_that_is_too_fine_for_a_chart_is_widened_and_said() -> None:
    app = page("explore", **ROOM, fn="mean", every="1s", **{"from": "-1d"})
    assert "the chart has one of 1m" in words(app)
    link = opened("explore", {"tabs of explore": "As a query"}, **ROOM, fn="mean", every="1s", **{"from": "-1d"})
    assert "--last 1d --every 1s --fn mean" in words(link)


@pytest.mark.usefixtures("as_viewer")
def test_the_period_before_is_laid_over_and_has_statistics_of_its_own() -> None:
    start = {"from": "-5m", "compare": "1"}
    app = opened("explore", {"tabs of explore": "Statistics"}, **ROOM, **start)
    now, before = app.dataframe[0].value.to_dict("records")
    assert (now["Series"], before["Series"]) == ("boiler room.temperature", "boiler room.temperature period=before")
    assert now["Greatest"] < before["Least"]


@pytest.mark.usefixtures("as_viewer")
def test_files_and_lines_to_copy_are_offered() -> None:
    app = opened("explore", {"tabs of explore": "Download"}, **ROOM)
    assert [getattr(one, "label", "") for one in app.get("download_button")] == ["CSV", "Parquet", "Arrow"]
    app = opened("explore", {"tabs of explore": "As a query"}, **ROOM)
    assert "iothub query room.temperature --node boiler --last 1h" in words(app)
    assert "/api/v1/query?" in words(app)


# -- saved views -------------------------------------------------------------------------------------------------------


def save(app: AppTest, name: str, *, shared: bool = False) -> AppTest:
    widget(app.text_input, "Save this view as").set_value(name)
    if shared:
        widget(app.checkbox, "Offer it to everybody").check()
    return press(app, "Save")


@pytest.mark.usefixtures("as_operator")
def test_a_view_is_saved_opened_and_removed() -> None:
    app = save(page("explore", **ROOM, **{"from": "-6h"}), "warm room")
    assert "Saved as warm room." in words(app)
    other = page("explore", m="cpu", f="usage")
    press(other, "Open")
    assert widget(other.selectbox, "Measurement").value == "room"
    assert widget(other.selectbox, "Time range").value == "Last 6 hours"
    press(other, "Remove")
    assert "No view has been saved yet." in words(other)


@pytest.mark.usefixtures("as_operator")
def test_a_view_needs_a_name() -> None:
    assert "Give it a name." in words(save(page("explore", **ROOM), " "))


def test_a_shared_view_is_offered_to_others_who_cannot_remove_it(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with drawing(monkeypatch, api.url, api.tokens["operator"]):
        save(page("explore", **ROOM), "for all", shared=True)
    with drawing(monkeypatch, api.url, api.tokens["viewer"]):
        app = page("explore")
        assert widget(app.selectbox, "View").options == ["for all (by a-operator)"]
        assert widget(app.button, "Remove").disabled
        assert widget(app.checkbox, "Offer it to everybody").disabled
