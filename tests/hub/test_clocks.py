from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.clocks import Clocks
from tests.support.hotpath import NOW_NS
from wire.point import NS_PER_S, Point, SeriesKey


def observe(clocks: Clocks, *came: tuple[str, float, float]) -> None:
    """Node, seconds after NOW at which it says the sample was taken, seconds after NOW at which it arrived."""
    for node, said_s, arrived_s in came:
        point = Point(SeriesKey(node, "m"), NOW_NS + round(said_s * NS_PER_S), {"a": 1.0})
        clocks.observe({node: 1}, [point], NOW_NS + round(arrived_s * NS_PER_S))


def test_a_node_that_was_never_heard_has_no_offset() -> None:
    assert Clocks().offset_s("n1") is None


def test_the_offset_is_how_far_a_clock_is_ahead_as_far_as_the_quickest_sample_tells() -> None:
    clocks = Clocks()
    observe(clocks, ("n1", 10, 5), ("n1", 12, 6), ("n1", 0, 7), ("n2", -3600, 8))
    assert clocks.offset_s("n1") == pytest.approx(6)
    assert clocks.offset_s("n2") == pytest.approx(-3608)


def test_the_newest_message_of_each_node_of_a_group_counts() -> None:
    clocks = Clocks()
    points = [Point(SeriesKey("n", "m"), NOW_NS + i * NS_PER_S, {"a": 1.0}) for i in range(5)]
    clocks.observe({"n1": 2, "n2": 5}, points, NOW_NS)
    assert (clocks.offset_s("n1"), clocks.offset_s("n2")) == (1.0, 4.0)


def test_what_was_learnt_is_forgotten_after_some_minutes() -> None:
    clocks = Clocks()
    observe(clocks, ("n1", 100, 0), ("n1", 140, 140))
    assert clocks.offset_s("n1") == 100
    observe(clocks, ("n1", 160, 160))
    assert clocks.offset_s("n1") == 100
    observe(clocks, ("n1", 320, 320))
    assert clocks.offset_s("n1") == 0
    observe(clocks, ("n2", 700, 700), ("n2", 900, 900))
    assert clocks.offset_s("n1") is None


def test_a_clock_of_ours_that_is_set_back_keeps_nothing_for_hours() -> None:
    clocks = Clocks()
    observe(clocks, ("n1", 10_000, 10_000))
    observe(clocks, ("n1", 100, 0))
    assert clocks.offset_s("n1") == 100
    observe(clocks, ("n1", 200, 200), ("n1", 400, 400))
    assert clocks.offset_s("n1") == 0


def test_a_sample_refused_for_its_time_tells_too() -> None:
    clocks = Clocks()
    clocks.observe_one("n1", NOW_NS + 3600 * NS_PER_S, NOW_NS)
    clocks.observe_one("n1", NOW_NS + 10 * NS_PER_S, NOW_NS)
    assert clocks.offset_s("n1") == 3600


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(-1000, 1000))
def test_with_one_sample_at_once_the_offset_is_exact(delays_s: list[float], offset_s: float) -> None:
    clocks = Clocks()
    for delay_s in (*delays_s, 0.0):
        observe(clocks, ("n1", offset_s, delay_s))
    assert clocks.offset_s("n1") == pytest.approx(offset_s, abs=1e-6)
