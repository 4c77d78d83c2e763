"""Which series a rule is about, how conditions join, and what becomes of state when rules change."""

from __future__ import annotations

from hub.rules.engine import Engine
from hub.rules.events import EventKind
from tests.support.rules import Bench, at, point, rules
from wire.point import NS_PER_S

HOT = {"metric": "room.temperature", "above": {"warning": 30, "critical": 40}}


def test_all_needs_every_condition_of_the_same_node() -> None:
    bench = Bench(both={"all": [{"metric": "room.temperature", "above": 30}, {"metric": "room.humidity", "above": 60}]})
    assert bench.see(point(0, 31.0), point(1, 70.0, "room.humidity", node="other")) == []
    assert bench.see(point(2, 70.0, "room.humidity")) == ["firing warning @2"]
    assert bench.see(point(3, 20.0)) == ["resolved warning @3"]


def test_any_fires_once_for_however_many_hold() -> None:
    bench = Bench(
        either={
            "any": [
                {"metric": "room.temperature", "above": 30},
                {"metric": "room.humidity", "above": 60, "severity": "critical"},
            ]
        }
    )
    assert bench.see(point(0, 31.0), point(1, 70.0, "room.humidity")) == ["firing warning @0", "severity critical @1"]
    assert bench.see(point(2, 20.0), point(3, 10.0, "room.humidity")) == ["resolved critical @3"]


def test_any_ends_when_what_was_seen_is_clear_though_other_series_never_came() -> None:
    conditions = [{"metric": "room.temperature", "above": 30}, {"metric": "room.smoke", "above": 5}]
    bench = Bench(either={"any": conditions})
    assert bench.see(point(0, 31.0), point(1, 20.0)) == ["firing warning @0", "resolved warning @1"]
    assert bench.see(point(2, 9.0, "room.smoke"), point(3, 1.0, "room.smoke")) == [
        "firing warning @2",
        "resolved warning @3",
    ]


def test_a_series_without_tags_goes_with_each_tagged_one_of_its_node() -> None:
    bench = Bench(full={"all": [{"metric": "disk.used_percent", "above": 90}, {"metric": "cpu.usage", "above": 50}]})
    bench.see(point(0, 80.0, "cpu.usage"), point(1, 95.0, "disk.used_percent", mount="/"))
    bench.see(point(2, 10.0, "disk.used_percent", mount="/home"))
    assert [event.subject.series for event in bench.events] == ["disk.used_percent{mount=/}"]
    assert bench.see(point(3, 10.0, "cpu.usage")) == ["resolved warning @3"]


def test_for_any_a_series_without_tags_does_not_spread_to_tagged_ones() -> None:
    bench = Bench(either={"any": [{"metric": "disk.used_percent", "above": 90}, {"metric": "cpu.usage", "above": 50}]})
    bench.see(point(0, 80.0, "cpu.usage"), point(1, 10.0, "disk.used_percent", mount="/"))
    bench.see(point(2, 95.0, "cpu.usage"))
    assert len(bench.events) == 1


def test_nodes_groups_and_tags_choose_series() -> None:
    groups = {"a1": frozenset({"cellar"}), "a2": frozenset({"attic"})}
    rule = {**HOT, "nodes": "a*", "groups": ["cel*"], "tags": {"floor": "[12]", "test": ""}}
    engine = Engine(rules(hot=rule), lambda node: groups.get(node, frozenset()))
    points = [
        point(0, 99.0, node="a1", floor="1"),
        point(0, 99.0, node="a1", floor="3"),
        point(0, 99.0, node="a1", floor="1", test="x"),
        point(0, 99.0, node="a1"),
        point(0, 99.0, node="a2", floor="1"),
        point(0, 99.0, node="b1", floor="1"),
    ]
    assert [event.subject.series for event in engine.observe(points, at(0))] == ["room.temperature{floor=1}"]


def test_globs_choose_measurements_and_fields_but_not_what_the_hub_says_of_itself() -> None:
    engine = Engine(rules(hot={"metric": "*.temp*", "above": 1}))
    names = ["room.temperature", "$node.temperature", "boiler.temp", "room.humidity"]
    said = engine.observe([point(0, 5.0, name) for name in names], at(0))
    assert [event.subject.series for event in said] == ["room.temperature", "boiler.temp"]
    assert engine.observe_system([point(0, 5.0, "$node.temperature")], at(0)) == []


def test_nodes_cannot_speak_for_the_hub() -> None:
    engine = Engine(rules(silent={"metric": "$node.state", "equals": "silent"}))
    spoken = point(0, "silent", "$node.state")
    assert engine.observe([spoken], at(0)) == []
    (event,) = engine.observe_system([spoken], at(0))
    assert (event.kind, event.subject.node, event.subject.key) == (EventKind.FIRING, "n1", None)


def test_messages_fill_their_blanks() -> None:
    bench = Bench(
        hot={**HOT, "message": "{rule} {node} {tags.floor}{tags.none} {value:.1f} > {threshold} {severity} {series}"}
    )
    bench.see(point(0, 41.26, floor="2"))
    assert bench.events[0].message == "hot n1 2 41.3 > 40 critical room.temperature{floor=2}"


def test_replacing_keeps_the_state_of_rules_that_did_not_change() -> None:
    bench = Bench(hot={**HOT, "for": "60s"}, other=HOT, gone=HOT)
    bench.series((0, 31.0))
    ended = bench.engine.replace(rules(hot={**HOT, "for": "60s", "message": "new"}, other={**HOT, "clear": 20}), at(10))
    assert sorted((event.rule, str(event.kind)) for event in ended) == [("gone", "resolved"), ("other", "resolved")]
    assert bench.series((20, 31.0)) == ["firing warning @20"]  # other, anew
    assert bench.series((60, 31.0)) == ["firing warning @60"]
    assert bench.events[-1].message == "new"


def test_disabling_a_rule_resolves_what_it_had_firing() -> None:
    bench = Bench(hot=HOT)
    bench.series((0, 31.0))
    (event,) = bench.engine.replace(rules(hot={**HOT, "enabled": False}), at(1))
    assert event.kind is EventKind.RESOLVED
    assert bench.series((2, 31.0)) == []


def test_a_node_that_leaves_the_group_is_no_longer_meant() -> None:
    groups = {"n1": frozenset({"cellar"})}
    engine = Engine(rules(hot={**HOT, "groups": "cellar"}), lambda node: groups.get(node, frozenset()))
    engine.observe([point(0, 31.0)], at(0))
    groups.clear()
    assert [event.kind for event in engine.regroup("n1", at(1))] == [EventKind.RESOLVED]
    assert engine.observe([point(2, 31.0)], at(2)) == []


def test_a_node_that_is_forgotten_leaves_nothing_behind() -> None:
    bench = Bench(hot=HOT, gone={"metric": "room.temperature", "absent": "30s"})
    bench.series((0, 31.0))
    assert [event.kind for event in bench.engine.forget("n1", at(1))] == [EventKind.RESOLVED]
    assert bench.tick(100) == []
    assert bench.engine.next_deadline_ns() is None


def test_a_measurement_that_nothing_watched_is_watched_once_a_rule_or_a_subscriber_names_it() -> None:
    bench = Bench(hot=HOT)
    assert bench.series((0, 5.0), (1, 50.0), name="cellar.humidity") == []
    assert bench.engine._tables.unwatched == {"cellar"}
    assert bench.engine._tables.plans[False] == {}
    bench.engine.replace(rules(hot=HOT, damp={"metric": "cellar.humidity", "above": 40}), at(2))
    assert bench.series((3, 50.0), name="cellar.humidity") == ["firing warning @3"]
    assert bench.series((3, 50.0), name="attic.humidity") == []
    bench.engine.windows.subscribe("*", "attic.*", 60 * NS_PER_S)
    bench.series((4, 50.0), name="attic.humidity")
    assert [stats.last for stats in bench.engine.windows.stats(at(5))] == [50.0]
