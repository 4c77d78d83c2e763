"""Learned silence: regular and irregular series, parcels, backlogs, outages."""

from __future__ import annotations

import random

import pytest

from hub.rules.cadence import LEARNED, LEAST_NS, Cadence
from tests.support.rules import Bench, point
from wire.point import NS_PER_S

GONE = {"metric": "room.temperature", "absent": "auto"}


def learned(*intervals_s: float) -> Cadence:
    cadence = Cadence()
    for interval_s in intervals_s:
        cadence.learn(round(interval_s * NS_PER_S))
    return cadence


def test_nothing_is_said_before_a_few_intervals() -> None:
    assert learned(*[10] * (LEARNED - 1)).deadline_ns() is None


@pytest.mark.parametrize("every_s", [1, 10, 60, 3600])
def test_a_regular_series_is_missed_within_three_intervals(every_s: int) -> None:
    deadline_ns = learned(*[every_s] * 20).deadline_ns()
    assert deadline_ns is not None
    assert every_s * NS_PER_S * 2 < deadline_ns < every_s * NS_PER_S * 3


def test_a_very_quick_series_is_given_some_time() -> None:
    assert learned(*[0.01] * 20).deadline_ns() == LEAST_NS


def test_an_irregular_series_is_given_the_longest_of_late() -> None:
    dice = random.Random(1)
    deadline_ns = learned(*(dice.choice([5, 5, 5, 60]) for _ in range(100))).deadline_ns()
    assert deadline_ns is not None
    assert deadline_ns > 60 * NS_PER_S


def test_one_outage_does_not_make_it_patient_for_long() -> None:
    deadline_ns = learned(*[10] * 20, 36_000, *[10] * 60).deadline_ns()
    assert deadline_ns is not None
    assert deadline_ns < 30 * NS_PER_S


def test_a_node_that_catches_up_on_hours_in_seconds_is_not_thought_to_be_quick() -> None:
    bench = Bench(gone=GONE)
    for second in range(0, 100, 10):
        bench.see(point(second, 20.0))
    for group in range(40):  # 50 s of samples in each, all of them within 4 s
        samples = [point(100 + group * 50 + at * 10, 20.0) for at in range(5)]
        assert bench.see(*samples, now=2100 + group / 10) == []
    for second in range(2110, 2200, 10):
        assert bench.tick(second - 0.1) == []
        bench.see(point(second, 20.0))


def test_a_node_that_sends_parcels_is_missed_by_its_parcels() -> None:
    bench = Bench(gone=GONE)
    for parcel in range(10):
        assert bench.tick(parcel * 60 + 59) == []
        bench.see(*(point(parcel * 60 + at, 20.0) for at in range(0, 60, 5)), now=parcel * 60 + 60)
    assert bench.tick(600 + 119) == []
    assert bench.tick(600 + 180) == ["firing warning @750"]
