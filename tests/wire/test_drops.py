from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wire.drops import Drops


def test_neighbouring_ranges_are_told_together() -> None:
    drops = Drops()
    drops.add(1, 3)
    drops.add(7, 9)
    drops.add(4, 6)
    assert drops.untold == (1, 9)


def test_a_range_stays_until_the_message_that_tells_it_is_safe() -> None:
    drops = Drops()
    drops.add(1, 3)
    drops.tell(1, 3, 8)
    assert drops.untold is None
    assert [(drop.first, drop.last) for drop in Drops(drops.all).all] == [(1, 3)]
    drops.covered(7)
    assert drops.all
    drops.covered(8)
    assert drops.all == []


def test_a_range_that_grew_while_it_was_told_is_told_once_more_for_the_rest() -> None:
    drops = Drops()
    drops.add(1, 3)
    drops.tell(1, 3, 8)
    drops.add(4, 5)
    assert drops.untold == (4, 5)


def test_what_is_about_to_be_told_is_not_added_again() -> None:
    drops = Drops()
    drops.add_unknown(1, 9)
    drops.tell(1, 9, 12)
    drops.add_unknown(2, 9)
    assert drops.untold is None


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=40))
def test_every_number_that_was_given_up_is_told_whatever_becomes_of_the_messages_that_tell(
    steps: list[tuple[bool, int]],
) -> None:
    """Messages are given up from the oldest on; some of them tell ranges; in the end a message gets through."""
    drops, last = Drops(), 0
    waiting: list[tuple[int, int]] = []
    given_up: set[int] = set()
    for gives_up, count in steps:
        first, last = last + 1, last + count
        untold = drops.untold
        waiting.append((first, last))
        if untold is not None and count == 1:
            drops.tell(*untold, last)
        if gives_up:
            oldest = waiting.pop(0)
            drops.add(*oldest)
            given_up.update(range(oldest[0], oldest[1] + 1))
    still_there = {last for _, last in waiting}
    assert all(drop.told_by is None or drop.told_by in still_there for drop in drops.all)
    told: set[int] = set()
    for drop in drops.all:
        told.update(range(drop.first, drop.last + 1))
    assert told == given_up
