"""Restarts: timers go on, what changed meanwhile is ended, and the alert layer's registry is agreed with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from hub.rules.engine import Engine, OpenAlert
from hub.rules.events import EventKind, Severity, Subject
from hub.rules.freezing import together
from hub.rules.state import EngineState
from hub.rules.statefile import NAME, RuleStateFile
from tests.support.rules import Bench, at, point, rules, short

if TYPE_CHECKING:
    from pathlib import Path

HOT = {"metric": "room.temperature", "above": 30, "for": "60s"}


def restarted(bench: Bench, second: float, **tables: dict[str, Any]) -> tuple[Bench, list[str]]:
    """A bench that goes on from the state of another."""
    saved = msgspec.msgpack.decode(msgspec.msgpack.encode(bench.engine.state()), type=EngineState)
    following = Bench(**tables)
    return following, [short(event) for event in following.engine.restore(saved, at(second))]


def test_a_restart_in_the_middle_of_for_keeps_the_timer() -> None:
    bench = Bench(hot=HOT)
    bench.series((0, 31.0))
    again, said = restarted(bench, 30, hot=HOT)
    assert said == []
    assert again.tick(59) == []
    assert again.tick(60) == ["firing warning @60"]


def test_a_timer_that_ended_while_the_hub_was_away_waits_for_what_the_broker_kept() -> None:
    bench = Bench(hot=HOT)
    bench.series((0, 31.0))
    again, _ = restarted(bench, 100, hot=HOT)
    assert again.tick(100) == []
    assert again.see(point(20, 15.0), now=101) == ["cancelled warning @20"]
    assert again.tick(200) == []
    silent, _ = restarted(bench, 100, hot=HOT)
    assert silent.tick(105) == ["firing warning @60"]


def test_what_was_delivered_again_after_a_restart_changes_nothing() -> None:
    bench = Bench(hot={"metric": "room.temperature", "above": 30})
    bench.series((0, 31.0), (1, 20.0))
    again, _ = restarted(bench, 2, hot={"metric": "room.temperature", "above": 30})
    assert again.series((0, 31.0), (1, 20.0)) == []


def test_windows_and_learned_cadences_outlive_a_restart() -> None:
    tables: dict[str, dict[str, Any]] = {
        "mean": {"metric": "room.temperature", "above": 30, "window": {"fn": "mean", "over": "60s", "least": 3}},
        "gone": {"metric": "room.temperature", "absent": "auto"},
    }
    bench = Bench(**tables)
    bench.series(*((second, 31.0 if second > 70 else 20.0) for second in range(0, 90, 10)))
    again, _ = restarted(bench, 90, **tables)
    assert again.see(point(90, 75.0)) == ["firing warning @90"]
    assert again.tick(90 + 30) == ["firing warning @115"]


def test_a_rule_that_changed_meanwhile_ends_what_it_had_firing() -> None:
    bench = Bench(hot={"metric": "room.temperature", "above": 30}, gone={"metric": "room.temperature", "above": 30})
    bench.series((0, 31.0))
    _, said = restarted(bench, 10, hot={"metric": "room.temperature", "above": 29})
    assert said == ["resolved warning @10", "resolved warning @10"]


def test_an_alert_that_the_registry_knows_fires_on_until_a_sample_is_clear() -> None:
    bench = Bench(hot={"metric": "room.temperature", "above": 30, "clear": 25})
    key = point(0, 0.0).key
    alert = OpenAlert("hot", Subject("n1", key, "temperature"), Severity.WARNING, at(0))
    assert bench.engine.adopt([alert], at(5)) == []
    assert bench.series((10, 27.0)) == []
    assert bench.series((20, 20.0)) == ["resolved warning @20"]


def test_an_alert_of_a_rule_that_is_gone_is_resolved() -> None:
    bench = Bench(hot=HOT)
    alert = OpenAlert("other", Subject("n1", point(0, 0.0).key, "temperature"), Severity.CRITICAL, at(0))
    assert [short(event) for event in bench.engine.adopt([alert], at(5))] == ["resolved critical @5"]


def test_a_joined_alert_that_the_registry_knows_waits_for_all_its_conditions() -> None:
    both = {"all": [{"metric": "room.temperature", "above": 30}, {"metric": "room.humidity", "above": 60}]}
    bench = Bench(both=both)
    alert = OpenAlert("both", Subject("n1", point(0, 0.0).key, "temperature"), Severity.WARNING, at(0))
    assert bench.engine.adopt([alert], at(5)) == []
    assert bench.see(point(10, 31.0)) == []
    assert bench.see(point(11, 50.0, "room.humidity")) == ["resolved warning @11"]


def test_a_joined_alert_that_the_registry_knows_ends_with_the_first_condition_that_is_clear() -> None:
    both = {"all": [{"metric": "room.temperature", "above": 30}, {"metric": "room.humidity", "above": 60}]}
    bench = Bench(both=both)
    alert = OpenAlert("both", Subject("n1", point(0, 0.0).key, "temperature"), Severity.WARNING, at(0))
    bench.engine.adopt([alert], at(5))
    assert bench.see(point(10, 20.0)) == ["resolved warning @10"]


def test_an_alert_of_any_that_the_registry_knows_ends_though_its_first_series_never_comes() -> None:
    bench = Bench(
        either={"any": [{"metric": "room.temperature", "above": 30}, {"metric": "room.humidity", "above": 60}]}
    )
    alert = OpenAlert("either", Subject("n1", point(0, 0.0).key, "temperature"), Severity.WARNING, at(0))
    assert bench.engine.adopt([alert], at(5)) == []
    assert bench.see(point(10, 70.0, "room.humidity")) == []
    assert bench.see(point(11, 50.0, "room.humidity")) == ["resolved warning @11"]


def test_an_alert_of_series_with_and_without_tags_that_the_registry_knows_hears_both_again() -> None:
    both = {"all": [{"metric": "cpu.usage", "above": 50}, {"metric": "disk.used_percent", "above": 90}]}
    key = point(0, 0.0, "cpu.usage", mount="/").key  # the first condition's metric with the tags of the other
    bench = Bench(both=both)
    assert bench.engine.adopt([OpenAlert("both", Subject("n1", key, "usage"), Severity.WARNING, at(0))], at(5)) == []
    bench.see(point(10, 95.0, "disk.used_percent", mount="/"), point(11, 80.0, "cpu.usage"))
    assert bench.see(point(12, 10.0, "cpu.usage")) == ["resolved warning @12"]


def test_what_fires_and_the_registry_does_not_know_is_said_again() -> None:
    bench = Bench(hot={"metric": "room.temperature", "above": 30})
    bench.series((0, 31.0))
    assert [short(event) for event in bench.engine.adopt([], at(5))] == ["firing warning @0"]


def test_an_alert_about_a_node_itself_is_taken_over_too() -> None:
    engine = Engine(rules(silent={"metric": "$node.state", "equals": "silent"}))
    assert engine.adopt([OpenAlert("silent", Subject("n1"), Severity.WARNING, at(0))], at(1)) == []
    (event,) = engine.observe_system([point(2, "online", "$node.state")], at(2))
    assert event.kind is EventKind.RESOLVED


def test_the_state_file_brings_back_what_was_written(tmp_path: Path) -> None:
    bench = Bench(hot=HOT)
    bench.series((0, 31.0))
    file = RuleStateFile(tmp_path / NAME)
    asyncio.run(file.write(bench.engine))
    assert file.read() == bench.engine.state()
    assert file.read().tracks
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_damaged_state_file_is_kept_aside_and_rules_begin_anew(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"\x93nonsense")
    assert RuleStateFile(path).read() == EngineState()
    assert path.with_name(NAME + ".damaged").read_bytes() == b"\x93nonsense"


def test_a_state_file_that_cannot_be_written_does_not_stop_the_hub(tmp_path: Path) -> None:
    file = RuleStateFile(tmp_path / "none" / NAME)
    asyncio.run(file.write(Bench(hot=HOT).engine))


def test_samples_taken_while_the_state_is_being_saved_lose_no_event() -> None:
    hot = {"metric": "room.temperature", "above": 30}
    for before, between, then, expected in (
        (20.0, 31.0, 20.0, ["resolved warning @3"]),
        (31.0, 20.0, 31.0, ["firing warning @3"]),
    ):
        bench = Bench(hot=hot)
        bench.series((0, before))
        parts = bench.engine.state_parts()
        saved = [next(parts), next(parts)]  # rules, cells
        bench.series((1, between))
        saved += parts
        again = Bench(hot=hot)
        again.engine.restore(together(saved), at(2))
        assert again.series((3, then)) == expected


def test_a_state_file_that_was_cut_off_is_not_half_believed(tmp_path: Path) -> None:
    bench = Bench(hot=HOT)
    bench.series((0, 31.0))
    file = RuleStateFile(tmp_path / NAME)
    asyncio.run(file.write(bench.engine))
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-1])
    assert file.read() == EngineState()
