"""Types, times and number of series; that one bad value never harms its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.guard import Clash
from tests.support.guards import DAY_NS, NOW_NS, ROOM, check, exact, make, store
from wire.errors import Reason
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from wire.point import Value


# -- types ------------------------------------------------------------------------------------------------------------


def test_a_known_series_passes_without_a_closer_look() -> None:
    guard = make()
    point = Point(ROOM, NOW_NS, {"a": 1.0, "b": True, "c": "x"})
    assert not guard.passes(point)
    assert guard.check(point).point == point
    assert guard.passes(point)
    assert guard.passes(Point(ROOM, NOW_NS, {"a": 2.0}))
    assert not guard.passes(Point(ROOM, NOW_NS, {"a": 2.0, "new": 1.0}))
    assert not guard.passes(Point(SeriesKey("n1", "room", (("t", "1"),)), NOW_NS, {"a": 2.0}))


def test_numbers_of_known_series_pass_within_the_window_alone() -> None:
    guard = make(known={"a": 1.0, "text": "x"})
    assert guard.passes_numbers(Point(ROOM, NOW_NS, {"a": 2.0}))
    assert guard.passes_numbers(Point(ROOM, NOW_NS, {"a": 2.0}))
    for ts_ns in (NOW_NS + DAY_NS, NOW_NS - 31 * DAY_NS):
        assert not guard.passes_numbers(Point(ROOM, ts_ns, {"a": 2.0}))
    assert not guard.passes_numbers(Point(ROOM, NOW_NS, {"a": 2.0, "new": 2.0}))
    assert not guard.passes_numbers(Point(ROOM, NOW_NS, {"a": 2.0, "text": 2.0}))


def test_numbers_that_passed_do_not_once_the_store_says_otherwise() -> None:
    guard, point = make(known={"a": 1.0}), Point(ROOM, NOW_NS, {"a": 2.0})
    assert guard.passes_numbers(point)
    guard.remember([(ROOM, "a", str)])
    assert not guard.passes_numbers(point)


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.floats(-9, 9) | st.booleans() | st.text(max_size=1))))
def test_numbers_pass_quickly_where_they_pass_and_nowhere_else(messages: list[dict[str, Value]]) -> None:
    guard = make()
    for fields in messages:
        store(guard, fields)
        numbers = Point(ROOM, NOW_NS, dict.fromkeys(fields, 0.5))
        assert guard.passes_numbers(numbers) == guard.passes(numbers)


@pytest.mark.parametrize(
    ("known", "came", "kept"),
    [
        (1.5, "21.5", {"a": 21.5}),
        (1.5, "-3e2", {"a": -300.0}),
        (1.5, "9007199254740992", {"a": 2.0**53}),
        (1.5, True, {"a": 1.0}),
        (1.5, False, {"a": 0.0}),
        (True, "true", {"a": True}),
        (True, "false", {"a": False}),
        (True, 1.0, {"a": True}),
        (True, 0.0, {"a": False}),
        ("x", True, {"a": "true"}),
        ("x", False, {"a": "false"}),
    ],
)
def test_a_value_of_another_type_is_converted_where_that_is_exact(
    known: Value, came: Value, kept: dict[str, Value]
) -> None:
    assert exact(store(make(known={"a": known}), {"a": came})) == exact(kept)


@pytest.mark.parametrize(
    ("known", "came", "kept"),
    [
        (1.5, "warm", {"a_text": "warm"}),
        (1.5, "", {"a_text": ""}),
        (1.5, "NaN", {"a_text": "NaN"}),
        (1.5, "1e999", {"a_text": "1e999"}),
        (1.5, "0x10", {"a_text": "0x10"}),
        (1.5, " 1", {"a_text": " 1"}),
        (1.5, "009007199254740993", {"a_text": "009007199254740993"}),
        (1.5, "9" * 5000, {"a_text": "9" * 5000}),
        (True, "yes", {"a_text": "yes"}),
        (True, 2.0, {"a_num": 2.0}),
        ("x", 21.5, {"a_num": 21.5}),
    ],
)
def test_a_value_that_cannot_be_converted_exactly_is_parked_beside_its_series(
    known: Value, came: Value, kept: dict[str, Value]
) -> None:
    guard = make(known={"a": known})
    assert exact(store(guard, {"a": came})) == exact(kept)
    assert exact(store(guard, {"a": came})) == exact(kept)
    assert exact(store(guard, {"a": known})) == exact({"a": known})


def test_the_first_value_decides_even_when_most_are_of_another_type() -> None:
    guard = make(known={"a": "starting"})
    assert [store(guard, {"a": float(i)}) for i in range(3)] == [{"a_num": float(i)} for i in range(3)]


def test_every_series_has_a_type_of_its_own() -> None:
    guard = make(known={"a": 1.0})
    other = SeriesKey("n1", "room", (("core", "0"),))
    assert store(guard, {"a": "x"}, key=other) == {"a": "x"}
    assert store(guard, {"a": "x"}, key=SeriesKey("n2", "room")) == {"a": "x"}


@pytest.mark.parametrize("order", [("a", "a_text"), ("a_text", "a")])
def test_a_parked_value_never_takes_the_place_of_a_real_one(order: tuple[str, str]) -> None:
    guard = make(known={"a": 1.0, "a_text": "x"})
    values: dict[str, Value] = {"a": "warm", "a_text": "own"}
    checked = check(guard, {name: values[name] for name in order})
    assert checked.point is not None
    assert checked.point.fields == {"a_text": "own"}
    assert [(r.reason, r.detail) for r in checked.refused] == [
        (Reason.TYPE_CLASH, "'a_text' is taken by another value of the message")
    ]


def test_a_parked_value_whose_place_has_another_type_is_refused_alone() -> None:
    guard = make(known={"a": 1.0, "a_text": 5.0, "b": 1.0})
    checked = check(guard, {"a": "warm", "b": 2.0})
    assert checked.point is not None
    assert checked.point.fields == {"b": 2.0}
    assert [(r.reason, r.detail) for r in checked.refused] == [
        (Reason.TYPE_CLASH, "'a_text' holds number, not text such as 'warm'")
    ]


def test_one_event_a_series_says_that_types_clashed() -> None:
    guard = make(known={"a": 1.0, "b": 1.0})
    assert check(guard, {"a": "w" * 100, "b": True}).clashes == [
        Clash(ROOM, "a", "number", "text", "'" + "w" * 59, "a_text"),
        Clash(ROOM, "b", "number", "boolean", "True", "b"),
    ]
    assert check(guard, {"a": "again", "b": False}).clashes == []
    other = SeriesKey("n2", "room")
    store(guard, {"a": 1.0}, key=other)
    assert len(check(guard, {"a": "x"}, key=other).clashes) == 1


def test_what_the_store_holds_is_remembered() -> None:
    guard = make(series_per_node=2)
    guard.remember([(ROOM, "a", float), (ROOM, "b", str), (ROOM, "a", float)])
    assert guard.passes(Point(ROOM, NOW_NS, {"a": 1.0, "b": "x"}))
    assert store(guard, {"a": "21.5"}) == {"a": 21.5}
    assert [r.reason for r in check(guard, {"c": 1.0}).refused] == [Reason.SERIES_LIMIT]


# -- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [{}, {"a": 1.0}])
@pytest.mark.parametrize(
    ("offset_ns", "reason"),
    [
        (0, None),
        (300 * NS_PER_S, None),
        (300 * NS_PER_S + 1, Reason.IN_FUTURE),
        (-30 * DAY_NS, None),
        (-30 * DAY_NS - 1, Reason.TOO_OLD),
        (-NOW_NS, Reason.TOO_OLD),
        (2**63 - 1 - NOW_NS, Reason.IN_FUTURE),
    ],
)
def test_points_outside_the_window_are_refused(offset_ns: int, reason: Reason | None, known: dict[str, Value]) -> None:
    checked = check(make(known=known), {"a": 2.0}, ts_ns=NOW_NS + offset_ns)
    assert [r.reason for r in checked.refused] == ([] if reason is None else [reason])
    assert (checked.point is None) == (reason is not None)


def test_a_refused_time_says_how_far_off_it_is_and_which_setting_decides() -> None:
    guard = make(future_ns=60 * NS_PER_S, past_ns=2 * DAY_NS)
    ahead = check(guard, {"a": 1.0}, ts_ns=NOW_NS + 90 * NS_PER_S).refused[0].detail
    assert ahead.startswith("90 s ahead of the hub's clock, 60 s are allowed (limits.future)")
    old = check(guard, {"a": 1.0}, ts_ns=NOW_NS - 3 * DAY_NS).refused[0].detail
    assert old.startswith("3.0 days old, 2.0 are kept (store.retention.raw)")


def test_the_window_moves_with_the_clock() -> None:
    guard = make(known={"a": 1.0}, past_ns=10, future_ns=10)
    later = Point(ROOM, NOW_NS + 20, {"a": 1.0})
    assert not guard.passes(later)
    guard.window(NOW_NS + 15)
    assert guard.passes(later)
    assert not guard.passes(Point(ROOM, NOW_NS, {"a": 1.0}))


def test_a_point_refused_for_its_time_does_not_decide_a_type() -> None:
    guard = make()
    check(guard, {"a": "x"}, ts_ns=0)
    assert store(guard, {"a": 1.0}) == {"a": 1.0}
    assert check(guard, {"a": "x"}).clashes != []


# -- number of series -------------------------------------------------------------------------------------------------


def test_past_the_limit_of_a_node_new_series_are_refused_and_known_ones_kept() -> None:
    guard = make(series_per_node=2, known={"a": 1.0, "b": 1.0})
    checked = check(guard, {"a": 2.0, "c": 3.0, "b": 4.0})
    assert checked.point is not None
    assert checked.point.fields == {"a": 2.0, "b": 4.0}
    assert [(r.reason, r.detail) for r in checked.refused] == [
        (Reason.SERIES_LIMIT, "'c': node n1 has 2 series (limits.series_per_node)")
    ]


def test_the_limit_counts_side_fields_and_all_keys_of_a_node_and_no_other_node() -> None:
    guard = make(series_per_node=2, known={"a": 1.0})
    assert store(guard, {"b": 1.0}, key=SeriesKey("n1", "hall")) == {"b": 1.0}
    assert [r.reason for r in check(guard, {"a": "warm"}).refused] == [Reason.SERIES_LIMIT]
    assert store(guard, {"b": 1.0, "c": 1.0}, key=SeriesKey("n2", "hall")) == {"b": 1.0, "c": 1.0}


def test_a_flood_of_new_series_takes_no_memory_past_the_limit() -> None:
    guard = make(series_per_node=10)
    for i in range(1000):
        check(guard, {"a": 1.0}, key=SeriesKey("n1", "room", (("id", str(i)),)))
    assert len(guard._kinds.of) == 10
    assert guard._series_of == {"n1": 10}
