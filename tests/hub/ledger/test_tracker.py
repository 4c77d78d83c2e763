"""The tracker against an oracle that looks at every number by itself."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hub.ledger.tracker import Move, Tracker
from tests.support.sequence import DROPPED, MISSING, SEEN, Numbers

HOURS = st.integers(0, 3)
NUMBERS = st.integers(0, 25)
RANGES = st.tuples(NUMBERS, NUMBERS).map(lambda pair: (min(pair), max(pair)))


def take(tracker: Tracker, what: int | tuple[int, int], hour: int) -> list[Move]:
    if isinstance(what, tuple):
        return tracker.drop(*what, hour)
    move = tracker.see(what, hour)
    return [move] if move is not None else []


@given(st.integers(0, 3), st.lists(st.tuples(NUMBERS | RANGES, HOURS), max_size=40))
def test_any_order_of_numbers_repeats_and_dropped_ranges_counts_as_looking_at_every_number_does(
    first: int, events: list[tuple[int | tuple[int, int], int]]
) -> None:
    tracker, oracle, rows = Tracker("s", first), Numbers(first), Counter[tuple[str, int]]()
    for what, hour in events:
        for move in take(tracker, what, hour):
            for name in ("missing", "late", "dropped", "repeats"):
                rows[name, move.hour] += getattr(move, name)
        if isinstance(what, tuple):
            oracle.drop(*what, hour)
        else:
            oracle.see(what, hour)
        row = tracker.row()
        assert (row.first, row.last, row.watermark) == (oracle.first, oracle.top - 1, oracle.watermark)
        assert (row.seen, row.missing, row.dropped) == (
            oracle.count(SEEN),
            oracle.count(MISSING),
            oracle.count(DROPPED),
        )
        assert row.expected == row.seen + row.missing + row.dropped
    assert +rows == +oracle.rows
    assert tracker.late == sum(n for (name, _), n in oracle.rows.items() if name == "late")
    assert tracker.repeats == sum(n for (name, _), n in oracle.rows.items() if name == "repeats")


@given(st.permutations(range(1, 20)))
def test_numbers_in_any_order_leave_nothing_missing_once_all_have_come(numbers: list[int]) -> None:
    tracker = Tracker("s")
    for number in numbers:
        tracker.see(number, 0)
    assert (tracker.watermark, tracker.missing, tracker.gaps) == (19, 0, 0)


@given(st.lists(st.tuples(NUMBERS | RANGES, HOURS), max_size=20), st.lists(NUMBERS | RANGES, max_size=20))
def test_a_tracker_that_was_on_disk_goes_on_as_if_it_had_not_been(
    before: list[tuple[int | tuple[int, int], int]], after: list[int | tuple[int, int]]
) -> None:
    tracker = Tracker("s")
    for what, hour in before:
        take(tracker, what, hour)
    restored = Tracker.restored(tracker.state())
    assert [take(restored, what, 9) for what in after] == [take(tracker, what, 9) for what in after]
    assert restored.row() == tracker.row()


def test_a_given_up_gap_stays_missing_and_the_watermark_passes_it() -> None:
    tracker = Tracker("s")
    for number in (1, 4, 7):
        tracker.see(number, 0)
    assert tracker.give_up_oldest() == (2, 3)
    assert (tracker.watermark, tracker.missing, tracker.given_up) == (4, 4, 2)
    assert tracker.see(2, 1) == Move(1, repeats=1)
    assert tracker.row().expected == 7 == tracker.row().seen + tracker.missing


def test_a_number_far_ahead_is_one_gap_and_takes_no_memory() -> None:
    tracker = Tracker("s")
    tracker.see(2**53, 0)
    assert (tracker.gaps, tracker.missing, tracker.watermark) == (1, 2**53 - 1, 0)
