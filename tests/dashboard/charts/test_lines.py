"""Line charts: every point, gaps, axes, bands, names of others as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from dashboard.charts.lines import COLOURS, Band, Line, lines
from dashboard.charts.timeline import connections
from tests.support.answers import trace

HOSTILE = '<img src=x onerror="alert(1)"> & <b>bold</b>'
T0 = datetime(2026, 1, 1, tzinfo=UTC)


def drawn(*traces: Any, **options: Any) -> dict[str, Any]:
    """The figure as the browser gets it."""
    figure: dict[str, Any] = lines(traces, **options).to_dict()
    return figure


def test_a_trace_is_drawn_with_all_its_points_and_no_more() -> None:
    (line,) = lines([trace(list(range(2_000)))]).data
    assert len(line.x) == len(line.y) == 2_000


def test_a_gap_stays_a_gap() -> None:
    (line,) = lines([trace([1.0] * 20, *range(10), *range(100, 110))]).data
    assert np.flatnonzero(np.isnan(line.y)).tolist() == [10]
    assert line.connectgaps is False


def test_missing_numbers_are_not_drawn_across() -> None:
    (line,) = lines([trace([1, float("nan"), 3])]).data
    assert np.isnan(line.y).tolist() == [False, True, False]


def test_a_sample_without_neighbours_is_seen() -> None:
    assert drawn(trace([1]))["data"][0]["mode"] == "lines+markers"
    assert drawn(trace([1, 2, 3]))["data"][0]["mode"] == "lines"
    (line,) = drawn(trace([1.0] * 12, *range(10), 100, 101))["data"]
    assert line["mode"] == "lines"
    (line,) = drawn(trace([1.0] * 11, *range(10), 100))["data"]
    assert line["mode"] == "lines+markers"
    assert np.flatnonzero(line["marker"]["size"]).tolist() == [11]  # behind the gap


def test_nothing_is_an_empty_chart() -> None:
    assert list(drawn()["data"]) == []


def test_words_are_not_drawn() -> None:
    assert list(drawn(trace(["open", "shut"]))["data"]) == []


def test_the_unit_stands_on_the_axis_and_beside_the_value() -> None:
    figure = drawn(trace([1]), unit="°C")
    assert figure["layout"]["yaxis"]["title"]["text"] == "°C"
    assert figure["data"][0]["hovertemplate"].endswith(" °C")
    assert "yaxis2" not in figure["layout"]


def test_where_no_unit_is_given_the_axis_has_those_of_its_fields_and_each_line_its_own() -> None:
    figure = drawn(trace([1], field="usage"), trace([2], field="temperature_c"), trace([3], field="load1"))
    assert figure["layout"]["yaxis"]["title"]["text"] == "% · °C"
    assert [line["hovertemplate"] for line in figure["data"]] == ["%{y:.6g} %", "%{y:.6g} °C", "%{y:.6g} "]
    beside = drawn(trace([1]), trace([2], field="temperature_c"), second_axis={"cpu.temperature_c"})
    assert [beside["layout"][axis]["title"]["text"] for axis in ("yaxis", "yaxis2")] == ["%", "°C"]


def test_a_field_can_have_the_second_axis_with_its_own_unit() -> None:
    figure = drawn(trace([1]), trace([2], field="load1"), unit="%", second_axis={"cpu.load1"}, second_unit="processes")
    assert [line["yaxis"] for line in figure["data"]] == ["y", "y2"]
    assert figure["layout"]["yaxis2"]["title"]["text"] == "processes"
    assert figure["layout"]["yaxis2"]["side"] == "right"
    assert figure["data"][1]["hovertemplate"].endswith(" processes")


def test_times_are_those_of_the_viewers_clock_for_lines_bands_and_axis() -> None:
    band = Band(T0, T0 + timedelta(hours=1), "warning", "")
    figure = drawn(trace([1]), zone="Asia/Kolkata", bands=[band], span=(T0, T0 + timedelta(hours=2)))
    assert np.datetime64(figure["data"][0]["x"][0]) == np.datetime64("2026-01-01T05:30:00")
    assert figure["layout"]["shapes"][0]["x0"] == datetime(2026, 1, 1, 5, 30)  # noqa: DTZ001  Plotly's wall clock
    assert figure["layout"]["xaxis"]["range"][0] == datetime(2026, 1, 1, 5, 30)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("first_s", "shown_from_s"),
    [(0, 0), (1_800, 0), (3_000, 3_000), (3_595, 3_540)],
    ids=["from the beginning", "half empty", "mostly empty", "just begun: a minute"],
)
def test_the_axis_shows_the_range_that_was_asked_for_unless_nearly_all_of_it_is_empty(
    first_s: float, shown_from_s: float
) -> None:
    stop = T0 + timedelta(hours=1)
    figure = drawn(trace([1.0, 2.0], first_s, first_s + 1), span=(T0, stop))
    shown = [end.replace(tzinfo=UTC) for end in figure["layout"]["xaxis"]["range"]]
    assert shown == [T0 + timedelta(seconds=shown_from_s), stop]


def test_the_axis_of_a_chart_without_samples_shows_the_range() -> None:
    shown = drawn(span=(T0, T0 + timedelta(hours=1)))["layout"]["xaxis"]["range"]
    assert [end.replace(tzinfo=UTC) for end in shown] == [T0, T0 + timedelta(hours=1)]


def test_a_band_that_began_before_the_range_has_its_name_in_sight() -> None:
    band = Band(T0 - timedelta(days=1), T0 + timedelta(hours=1), "warning", "hot")
    (shape,) = drawn(trace([1.0]), bands=[band], span=(T0, T0 + timedelta(hours=1)))["layout"]["shapes"]
    assert shape["x0"].replace(tzinfo=UTC) == T0


def test_bands_lie_behind_the_lines_in_the_colour_of_their_severity() -> None:
    bands = [Band(T0, T0, severity, severity) for severity in ("info", "warning", "critical", "new")]
    shapes = drawn(trace([1]), bands=bands)["layout"]["shapes"]
    assert {shape["layer"] for shape in shapes} == {"below"}
    assert len({shape["fillcolor"] for shape in shapes}) == 4


def test_a_threshold_is_a_line_with_its_name() -> None:
    layout = drawn(trace([1]), thresholds=[Line(90.0, "limit")])["layout"]
    assert (layout["shapes"][0]["y0"], layout["shapes"][0]["y1"]) == (90.0, 90.0)
    assert layout["annotations"][0]["text"] == "limit"


def test_names_of_others_are_text() -> None:
    figure = drawn(
        trace([1], node=HOSTILE),
        trace([1], node="dev2", field=HOSTILE),
        unit=HOSTILE,
        bands=[Band(T0, T0, "warning", HOSTILE)],
        thresholds=[Line(1, HOSTILE)],
        second_axis={"cpu.usage"},
        second_unit=HOSTILE,
    )
    layout = figure["layout"]
    shown = [
        *(line["name"] for line in figure["data"]),
        *(line["hovertemplate"] for line in figure["data"]),
        *(note["text"] for note in layout["annotations"]),
        layout["yaxis"]["title"]["text"],
        layout["yaxis2"]["title"]["text"],
    ]
    assert all("<" not in text and ">" not in text for text in shown)
    assert "&lt;b&gt;" in layout["yaxis"]["title"]["text"]


def test_lines_are_told_apart_by_dash_when_colours_repeat() -> None:
    many = drawn(*(trace([1], node=f"n{i}") for i in range(20)))["data"]
    assert len({(line["line"]["color"], line["line"]["dash"]) for line in many}) == 20
    assert {line["line"]["color"] for line in many} == set(COLOURS)


def test_a_legend_is_shown_where_there_is_something_to_tell_apart() -> None:
    assert drawn(trace([1]))["layout"]["showlegend"] is False
    assert drawn(trace([1]), trace([1], node="b"))["layout"]["showlegend"] is True


def test_zoom_outlives_a_redraw_and_the_theme_shows_through() -> None:
    layout = drawn(trace([1]))["layout"]
    assert layout["uirevision"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"


# -- timeline ----------------------------------------------------------------------------------------------------------


def connection(start: str | None, stop: str | None, reason: str | None) -> dict[str, Any]:
    return {"connected_at": start, "disconnected_at": stop, "reason_disconnected": reason}


def test_a_connection_is_a_bar_from_begin_to_end() -> None:
    (bar,) = connections(
        [connection("2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z", HOSTILE)], zone="Europe/Berlin"
    ).to_dict()["data"]
    assert list(bar["x"]) == [datetime(2026, 1, 1, 1), datetime(2026, 1, 1, 3)]  # noqa: DTZ001
    assert bar["hovertemplate"].startswith("2 h<br>&lt;img")
    assert "<img" not in bar["hovertemplate"]


def test_a_lasting_connection_reaches_to_now() -> None:
    (bar,) = connections(
        [connection("2026-01-01T00:00:00Z", None, None)], zone="UTC", now=T0 + timedelta(hours=1)
    ).to_dict()["data"]
    assert bar["x"][1] == datetime(2026, 1, 1, 1)  # noqa: DTZ001
    assert "still connected" in bar["hovertemplate"]


@pytest.mark.parametrize("rows", [[], [connection(None, None, None)]])
def test_little_known_is_no_error(rows: list[dict[str, Any]]) -> None:
    assert len(connections(rows, zone="UTC").to_dict()["data"]) == len(rows)


def test_neighbours_are_told_apart_by_colour() -> None:
    rows = [connection("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "x")] * 2
    first, second = connections(rows, zone="UTC").to_dict()["data"]
    assert first["line"]["color"] != second["line"]["color"]
