"""Times of the week at which a route is open."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from hub.alerts.notify_times import parse_window


def open_at(window: str, moment: str, zone: str = "UTC") -> bool:
    at = datetime.fromisoformat(moment)
    return parse_window(window).holds(int(at.timestamp()) * 1_000_000_000, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("window", "moment", "expected"),
    [
        ("mon-fri 08:00-18:00", "2026-11-20T08:00:00Z", True),  # a Friday
        ("mon-fri 08:00-18:00", "2026-11-20T18:00:00Z", False),
        ("mon-fri 08:00-18:00", "2026-11-21T12:00:00Z", False),
        ("sat,sun", "2026-11-21T23:59:59Z", True),
        ("fri-mon", "2026-11-23T12:00:00Z", True),
        ("fri-mon", "2026-11-24T12:00:00Z", False),
        ("fri 22:00-06:00", "2026-11-20T21:59:59Z", False),
        ("fri 22:00-06:00", "2026-11-21T05:59:59Z", True),
        ("fri 22:00-06:00", "2026-11-21T22:00:00Z", False),
        ("08:00-24:00", "2026-11-21T23:59:00Z", True),
        ("08:00-18:00 Europe/Berlin", "2026-11-20T07:30:00Z", True),
        ("08:00-18:00 Europe/Berlin", "2026-07-20T06:30:00Z", True),  # summer time
        ("08:00-18:00", "2026-11-20T07:30:00Z", False),
    ],
)
def test_a_window_holds(window: str, moment: str, expected: bool) -> None:  # noqa: FBT001  a parameter of the cases
    assert open_at(window, moment) is expected


def test_a_window_without_a_zone_goes_by_that_of_the_settings() -> None:
    assert open_at("08:00-18:00", "2026-11-20T07:30:00Z", "Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "must read as"),
        ("moday", "'moday' is no time zone"),
        ("mon 25:00-26:00", "25:00 is no time of day"),
        ("08:60-09:00", "08:60 is no time of day"),
        ("08:00-08:00", "has no length"),
        ("mon 08:00-09:00 Mars/Olympus", "'Mars/Olympus' is no time zone"),
        ("mon 08:00-09:00 UTC please", "must read as"),
    ],
)
def test_a_window_that_is_none_is_refused_in_words(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse_window(text)
