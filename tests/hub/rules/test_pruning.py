"""State of series that vanished is freed; what still matters, or still comes, stays."""

from __future__ import annotations

from typing import Any

from tests.support.rules import Bench, at, point

DAY_S = 86_400
OVER = {"metric": "room.temperature", "above": 30}


def kept(bench: Bench) -> set[str]:
    return {cell.key.node for cell in bench.engine.state().cells}


def swept(bench: Bench, *seconds: float) -> list[int]:
    return [bench.engine.prune(at(second)) for second in seconds]


def test_a_series_that_was_old_at_two_sweeps_is_forgotten() -> None:
    bench = Bench(hot=OVER)
    bench.see(point(0, 20.0, node="gone"), point(50, 20.0, node="here"))
    assert swept(bench, 40, 41, 42) == [0, 1, 0]
    assert kept(bench) == {"here"}
    assert bench.see(point(60, 31.0, node="gone")) == ["firing warning @60"], "it may come back"


def test_a_backlog_that_is_under_way_loses_nothing() -> None:
    bench = Bench(mean=OVER | {"window": {"fn": "count", "over": "60s"}, "above": 2})
    bench.see(point(0, 1.0), point(1, 1.0))
    assert swept(bench, DAY_S) == [0]
    bench.see(point(2, 1.0), now=DAY_S)
    assert swept(bench, DAY_S) == [0]
    assert [event.kind for event in bench.events] == ["firing"]


def test_a_window_that_is_still_filling_is_not_old() -> None:
    bench = Bench(mean=OVER | {"window": {"fn": "mean", "over": "60s", "least": 3}})
    bench.see(point(0, 40.0), point(10, 40.0))
    assert swept(bench, -5, -4) == [0, 0]
    assert bench.see(point(20, 40.0)) == ["firing warning @20"]


def test_what_is_pending_firing_or_waited_for_stays() -> None:
    bench = Bench(
        hot=OVER,
        slow=OVER | {"metric": "pump.speed", "for": "2h"},
        gone={"metric": "valve.open", "absent": "3h"},
    )
    bench.see(
        point(0, 31.0), point(0, 31.0, "pump.speed", node="n2"), point(0, value=True, name="valve.open", node="n3")
    )
    assert swept(bench, DAY_S, DAY_S) == [0, 0]
    assert kept(bench) == {"n1", "n2", "n3"}


def test_the_conditions_of_one_rule_and_node_go_together() -> None:
    conditions: list[dict[str, Any]] = [
        {"metric": "valve.open", "equals": True},
        {"metric": "pipe.flow", "below": 0.5},
    ]
    bench = Bench(stuck={"all": conditions})
    bench.see(point(0, value=True, name="valve.open"), point(50, 3.0, "pipe.flow"))
    assert swept(bench, 40, 41) == [0, 0]
    assert bench.see(point(55, 0.1, "pipe.flow")) == ["firing warning @55"], "the valve is still known to be open"
    bench.see(point(60, 3.0, "pipe.flow"))
    assert swept(bench, 70, 71) == [0, 2]
    assert bench.see(point(80, 0.1, "pipe.flow")) == []
    assert bench.see(point(81, value=True, name="valve.open")) == ["firing warning @81"]


def test_statistics_of_series_that_vanished_are_freed() -> None:
    bench = Bench()
    number = bench.engine.windows.subscribe("*", "room.temperature", 60_000_000_000)
    bench.see(point(0, 20.0, node="gone"), point(50, 20.0, node="here"))
    swept(bench, 40)
    assert {key.node for key, _, _ in bench.engine.windows._all} == {"here"}
    bench.engine.windows.stats(at(50))
    bench.see(point(60, 21.0, node="gone"))
    (fresh,) = bench.engine.windows.stats(at(60))
    assert (fresh.key.node, fresh.count) == ("gone", 1)
    bench.engine.windows.unsubscribe(number)
