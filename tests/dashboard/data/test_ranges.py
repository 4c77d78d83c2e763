"""Ranges of time as people choose them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.data.ranges import PRESETS, Range, absolute, instant, step_for

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize("start", PRESETS.values())
def test_every_preset_is_a_range_that_ends_now(start: str) -> None:
    begin, end = Range(start).instants(NOW)
    assert begin < end == NOW


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", NOW),
        ("-90s", NOW - timedelta(seconds=90)),
        ("-15m", NOW - timedelta(minutes=15)),
        ("-2h", NOW - timedelta(hours=2)),
        ("-365d", NOW - timedelta(days=365)),
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T00:00:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T02:00:00+02:00", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_texts_mean_times(text: str, meant: datetime) -> None:
    assert instant(text, NOW) == meant


@pytest.mark.parametrize("text", ["", "-", "-h", "-1w", "--1h", "-1.5h", "tomorrow", "-²h", "1h", "<script>", "\0"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        instant(text, NOW)


def test_the_period_before_is_as_long_and_ends_where_this_begins() -> None:
    before = Range("-1d").before(NOW)
    assert before.instants(NOW) == (NOW - timedelta(days=2), NOW - timedelta(days=1))


def test_wider_is_twice_as_long_around_the_middle() -> None:
    wider = absolute(NOW - timedelta(hours=5), NOW - timedelta(hours=4)).wider(NOW)
    assert wider.instants(NOW) == (NOW - timedelta(hours=5, minutes=30), NOW - timedelta(hours=3, minutes=30))


def test_wider_never_ends_beyond_now() -> None:
    assert Range("-1h").wider(NOW).instants(NOW) == (NOW - timedelta(minutes=90), NOW)


def test_moving_keeps_the_length() -> None:
    moved = absolute(NOW - timedelta(hours=5), NOW - timedelta(hours=4)).moved(NOW, -0.5)
    assert moved.instants(NOW) == (NOW - timedelta(hours=5, minutes=30), NOW - timedelta(hours=4, minutes=30))


def test_moving_on_stops_at_now() -> None:
    moved = absolute(NOW - timedelta(hours=2), NOW - timedelta(minutes=10)).moved(NOW, 0.5)
    assert moved.instants(NOW) == (NOW - timedelta(minutes=110), NOW)


def test_a_range_is_at_least_a_second_long_and_written_in_utc() -> None:
    assert absolute(NOW, NOW) == Range("2026-03-29T12:00:00.000Z", "2026-03-29T12:00:01.000Z")


@pytest.mark.parametrize(
    ("wanted", "span", "step"),
    [
        ("1m", timedelta(hours=1), "1m"),
        ("1s", timedelta(hours=1), "10s"),
        ("1s", timedelta(days=30), "1h"),
        ("1s", timedelta(days=365), "6h"),
        ("90s", timedelta(hours=1), "90s"),
        ("1h30m", timedelta(days=3650), "1h30m"),
    ],
)
def test_a_step_is_widened_where_it_would_make_more_points_than_a_chart_has(
    wanted: str, span: timedelta, step: str
) -> None:
    assert step_for(wanted, span, 2_000) == step
