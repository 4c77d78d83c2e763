"""Statistics for subscribers."""

from __future__ import annotations

import pytest

from tests.support.rules import Bench, at, point
from wire.point import NS_PER_S

MINUTE_NS = 60 * NS_PER_S
MEAN = {"metric": "room.temperature", "above": 30, "window": {"fn": "mean", "over": "60s"}}


def test_a_subscriber_gets_the_statistics_of_series_that_had_samples() -> None:
    bench = Bench()
    bench.engine.windows.subscribe("n*", "room.temp*", MINUTE_NS)
    bench.series((0, 1.0), (10, 2.0), (20, 6.0))
    bench.see(point(20, 5.0, node="other"), point(20, 5.0, "room.humidity"), point(20, 5.0, "$node.temperature"))
    (stats,) = bench.engine.windows.stats(at(21))
    assert (stats.key.node, stats.field, stats.at_ns, stats.over_ns) == ("n1", "temperature", at(20), MINUTE_NS)
    assert (stats.count, stats.mean, stats.min, stats.max, stats.sum, stats.last) == (3, 3.0, 1.0, 6.0, 9.0, 6.0)
    assert stats.stddev == pytest.approx(7**0.5)
    assert bench.engine.windows.stats(at(22)) == []


def test_what_has_left_the_window_counts_no_more() -> None:
    bench = Bench()
    bench.engine.windows.subscribe("*", "*.*", MINUTE_NS)
    bench.series((0, 100.0), (50, 1.0), (60, 3.0))
    (stats,) = bench.engine.windows.stats(at(60))
    assert (stats.count, stats.mean, stats.max) == (2, 2.0, 3.0)


def test_a_subscription_may_come_and_go_while_points_come() -> None:
    bench = Bench(mean=MEAN)
    bench.series((0, 10.0))
    number = bench.engine.windows.subscribe("*", "room.*", MINUTE_NS)
    bench.series((10, 20.0))
    assert [stats.count for stats in bench.engine.windows.stats(at(10))] == [2]  # the rule's window was there
    bench.engine.windows.unsubscribe(number)
    bench.engine.windows.unsubscribe(number)
    assert bench.series((20, 100.0)) == ["firing warning @20"]
    assert bench.engine.windows.stats(at(20)) == []


def test_texts_have_no_statistics_and_booleans_count_as_numbers() -> None:
    bench = Bench()
    bench.engine.windows.subscribe("*", "room.*", MINUTE_NS)
    bench.series((0, True), (1, False), name="room.door")
    bench.series((0, "on"), name="room.mode")
    assert [(stats.field, stats.mean) for stats in bench.engine.windows.stats(at(1))] == [("door", 0.5)]


@pytest.mark.parametrize(("metric", "over_ns"), [("room", 1), ("room.temperature", 0)])
def test_a_subscription_that_means_nothing_is_refused(metric: str, over_ns: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Bench().engine.windows.subscribe("*", metric, over_ns)
