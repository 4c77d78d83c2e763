"""Hours whose roll-ups are to be made: what outlives the process, when one is ready, and what is read meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from hub.store.influx_due import DueHours
from hub.store.influx_read import holes
from hub.store.partition import HOUR_NS

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def due(clock: Clock, path: Path | None = None, place: str = "here") -> DueHours:
    made = DueHours(path, place, clock=clock)
    made.load()
    return made


def test_hours_outlive_the_process_and_are_ready_in_the_next(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "due.json"
    first = due(clock, path)
    assert first.add([10, 11, 14])
    first.live_from_ns = 77
    first.save()
    second = due(clock, path)
    assert second.spans() == [(10 * HOUR_NS, 12 * HOUR_NS), (14 * HOUR_NS, 15 * HOUR_NS)]
    assert second.settled(9) == [14, 11, 10]
    assert second.live_from_ns == 77


def test_a_file_about_another_database_counts_as_none(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "due.json"
    first = due(clock, path)
    first.add([10])
    first.save()
    assert due(clock, path, "there").spans() == []


def test_a_damaged_file_is_said_and_keeps_nobody_from_starting(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "due.json"
    path.write_bytes(b"{")
    with capture_logs() as said:
        assert due(clock, path).spans() == []
    assert "iothub influx rollup" in said[0]["event"]


def test_a_disk_that_takes_nothing_is_said_and_the_hours_stay(tmp_path: Path, clock: Clock) -> None:
    hours = due(clock, tmp_path / "missing" / "due.json")
    hours.add([10])
    with capture_logs() as said:
        hours.save()
    assert said[0]["log_level"] == "error"
    assert hours.count == 1


def test_only_a_new_hour_wants_the_disk(clock: Clock) -> None:
    hours = due(clock)
    assert hours.add([10])
    assert not hours.add([10])


def test_an_hour_to_which_samples_still_come_waits_but_not_for_ever(clock: Clock) -> None:
    hours = due(clock)
    hours.add([10])
    assert hours.settled(9) == []
    clock.now += 61
    assert hours.settled(9) == [10]
    for _ in range(20):
        hours.add([10])
        clock.now += 45
    assert hours.settled(9) == [10]


def test_an_hour_to_which_samples_came_while_it_was_made_stays(clock: Clock) -> None:
    hours = due(clock)
    hours.add([10, 11])
    clock.now += 100
    began = hours.now()
    clock.now += 1
    hours.add([10])
    hours.made(10, began)
    hours.made(11, began)
    assert hours.spans() == [(10 * HOUR_NS, 11 * HOUR_NS)]


def test_hours_with_samples_past_their_retention_are_never_made_from_the_rest(clock: Clock) -> None:
    hours = due(clock)
    hours.add([10, 11, 12])
    assert hours.forget_before(11 * HOUR_NS + 1)
    assert hours.spans() == [(12 * HOUR_NS, 13 * HOUR_NS)]


def test_what_is_not_rolled_up_is_read_from_samples_in_full_windows() -> None:
    assert holes([(13, 15), (17, 18), (40, 50)], 0, 45, 10) == [(10, 20), (40, 45)]
    assert holes([(13, 15)], 20, 45, 10) == []


def test_many_spans_that_are_not_rolled_up_are_read_as_one() -> None:
    assert holes([(20 * i, 20 * i + 10) for i in range(9)], 0, 1000, 10) == [(0, 170)]
