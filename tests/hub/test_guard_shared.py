"""One type for a field of a measurement, whatever the series, as InfluxDB has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.guard import Checked, Clash, Guard, GuardLimits
from wire.errors import Reason
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wire.point import Value

NOW_NS = 1_763_750_000 * NS_PER_S
ROOM = SeriesKey("n1", "room")
OTHER = SeriesKey("n2", "room", (("floor", "1"),))


def check(guard: Guard, fields: Mapping[str, Value], *, key: SeriesKey = ROOM) -> Checked:
    """As the intake does it."""
    point = Point(key, NOW_NS, dict(fields), 7)
    return Checked(point, [], []) if guard.passes(point) else guard.check(point)


def store(guard: Guard, fields: Mapping[str, Value], *, key: SeriesKey = ROOM) -> dict[str, Value]:
    """The fields that are kept."""
    point = check(guard, fields, key=key).point
    return point.fields if point is not None else {}


def exact(fields: Mapping[str, Value]) -> dict[str, tuple[type, Value]]:
    return {name: (type(value), value) for name, value in fields.items()}


def guard_of(*, shares_types: bool = True, series_per_node: int = 100) -> Guard:
    guard = Guard(GuardLimits(series_per_node=series_per_node), shares_types=shares_types)
    guard.window(NOW_NS)
    return guard


def sharing(known: Mapping[str, Value]) -> Guard:
    """A guard that has seen one point of ``known`` fields, and goes by the measurement."""
    guard = guard_of()
    assert store(guard, known) == known
    return guard


@pytest.mark.parametrize(
    ("known", "came", "kept"),
    [
        (1.5, "21.5", {"a": 21.5}),
        (1.5, "open", {"a_text": "open"}),
        (1.5, True, {"a": 1.0}),
        (True, 0.0, {"a": False}),
        (True, 7.5, {"a_num": 7.5}),
        ("x", True, {"a": "true"}),
        ("x", 7.5, {"a_num": 7.5}),
    ],
)
def test_where_series_share_types_another_node_is_converted_or_parked_likewise(
    known: Value, came: Value, kept: Mapping[str, Value]
) -> None:
    guard = sharing({"a": known})
    assert exact(store(guard, {"a": came}, key=OTHER)) == exact(kept)
    assert exact(store(guard, {"a": came}, key=OTHER)) == exact(kept)
    assert exact(store(guard, {"a": known}, key=OTHER)) == exact({"a": known})
    assert guard.passes(Point(OTHER, NOW_NS, {"a": known, **kept}))


def test_where_series_have_types_of_their_own_another_node_has_its_own() -> None:
    guard = guard_of(shares_types=False)
    assert store(guard, {"a": 1.5}) == {"a": 1.5}
    assert store(guard, {"a": "open"}, key=OTHER) == {"a": "open"}


def test_a_shared_type_is_that_of_the_measurement_alone_and_log_records_have_none() -> None:
    guard = sharing({"a": 1.5})
    assert store(guard, {"a": "open"}, key=SeriesKey("n2", "door")) == {"a": "open"}
    log = (("level", "info"), ("source", "x"))
    assert store(guard, {"message": "m", "a": 1.0}, key=SeriesKey("n1", "log", log)) == {"message": "m", "a": 1.0}
    assert store(guard, {"message": "m", "a": "y"}, key=SeriesKey("n2", "log", log)) == {"message": "m", "a": "y"}


def test_a_clash_between_nodes_is_said_once_and_names_the_node_that_clashed() -> None:
    guard = sharing({"a": 1.5})
    assert check(guard, {"a": "open"}, key=OTHER).clashes == [Clash(OTHER, "a", "number", "text", "'open'", "a_text")]
    assert check(guard, {"a": "shut"}, key=OTHER).clashes == []


def test_the_types_of_a_database_are_known_before_its_series_are() -> None:
    guard = guard_of()
    guard.remember_fields([("room", "a", str), ("room", "b", bool), ("log", "message", float)])
    assert store(guard, {"a": 1.0, "b": 1.0}) == {"a_num": 1.0, "b": True}
    assert store(guard, {"message": "m"}, key=SeriesKey("n1", "log")) == {"message": "m"}


def test_whole_numbers_of_another_program_take_no_number_of_ours() -> None:
    guard = guard_of()
    guard.remember_fields([("room", "a", int)])
    for came, kept in ((7.0, {"a_num": 7.0}), (True, {"a_num": 1.0}), ("7", {"a_text": "7"})):
        assert exact(store(guard, {"a": came})) == exact(kept)


def test_a_database_that_is_reached_later_is_right() -> None:
    guard = sharing({"a": "open", "b": 1.0})
    guard.remember_fields([("room", "a", float)])
    assert not guard.passes(Point(ROOM, NOW_NS, {"a": "open"}))
    assert store(guard, {"a": "open", "b": 2.0}) == {"b": 2.0, "a_text": "open"}
    assert store(guard, {"a": "2.5"}, key=OTHER) == {"a": 2.5}
    guard.remember([(OTHER, "a", str)])
    assert store(guard, {"a": 2.5}, key=OTHER) == {"a": 2.5}


def test_what_a_series_that_shares_types_brings_counts_for_its_node() -> None:
    guard = guard_of(series_per_node=2)
    assert store(guard, {"a": 1.0, "b": 1.0, "c": 1.0}) == {"a": 1.0, "b": 1.0}
    refused = check(guard, {"a": "x", "b": 2.0, "c": 3.0}, key=OTHER)
    assert refused.point is not None
    assert refused.point.fields == {"b": 2.0, "c": 3.0}
    assert [value.reason for value in refused.refused] == [Reason.SERIES_LIMIT]


def test_numbers_that_passed_do_not_once_the_database_says_otherwise() -> None:
    guard = sharing({"a": 1.0})
    point = Point(ROOM, NOW_NS, {"a": 2.0})
    assert guard.passes_numbers(point)
    guard.remember_fields([("room", "a", str)])
    assert not guard.passes_numbers(point)
