"""Hours in which a rule tells nobody."""

from __future__ import annotations

import datetime as dt

import pytest

from hub.rules.model import Rule
from wire.point import NS_PER_S

NIGHT = {"from": "22:00", "to": "06:00", "zone": "Europe/Berlin"}


def muted(mute: dict[str, str], when: str) -> bool:
    rule = Rule.model_validate({"metric": "a.b", "above": 1, "mute": [mute]})
    return rule.muted(round(dt.datetime.fromisoformat(when).timestamp()) * NS_PER_S)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2025-11-21T20:59:00Z", False),
        ("2025-11-21T21:00:00Z", True),
        ("2025-11-22T04:59:00Z", True),
        ("2025-11-22T05:00:00Z", False),
        ("2025-07-21T20:00:00Z", True),  # summer time
    ],
)
def test_hours_over_midnight_are_those_of_the_zone(when: str, *, expected: bool) -> None:
    assert muted(NIGHT, when) is expected


def test_hours_over_midnight_belong_to_the_day_they_begin_on() -> None:
    friday_night = {**NIGHT, "days": "fri", "zone": "UTC"}
    assert muted(friday_night, "2025-11-21T23:00:00Z")
    assert muted(friday_night, "2025-11-22T05:00:00Z")
    assert not muted(friday_night, "2025-11-22T23:00:00Z")
    assert not muted(friday_night, "2025-11-21T05:00:00Z")


def test_days_alone_last_all_day_and_may_be_a_range() -> None:
    weekend = {"days": "sat-sun"}
    assert muted(weekend, "2025-11-22T00:00:00Z")
    assert muted(weekend, "2025-11-23T23:59:59Z")
    assert not muted(weekend, "2025-11-24T00:00:00Z")
