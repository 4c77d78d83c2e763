"""What the engine says to samples, by time of the samples and by the clock."""

from __future__ import annotations

from tests.support.rules import Bench, at, point

HOT = {"metric": "room.temperature", "above": {"warning": 30, "critical": 40}}


def test_a_value_above_its_threshold_fires_at_once_and_one_below_resolves() -> None:
    bench = Bench(hot=HOT)
    assert bench.series((0, 20.0), (1, 31.0), (2, 32.0), (3, 30.0)) == ["firing warning @1", "resolved warning @3"]


def test_severities_follow_the_value() -> None:
    bench = Bench(hot=HOT)
    assert bench.series((0, 41.0), (1, 35.0), (2, 50.0), (3, 1.0)) == [
        "firing critical @0",
        "severity warning @1",
        "severity critical @2",
        "resolved critical @3",
    ]


def test_clear_keeps_a_rule_firing_until_the_value_is_well_below() -> None:
    bench = Bench(hot={**HOT, "clear": 28})
    assert bench.series((0, 31.0), (1, 29.0), (2, 31.0), (3, 28.0)) == ["firing warning @0", "resolved warning @3"]


def test_severer_levels_let_go_at_the_same_distance() -> None:
    bench = Bench(hot={**HOT, "clear": 28})
    assert bench.series((0, 41.0), (1, 39.0), (2, 37.9)) == ["firing critical @0", "severity warning @2"]


def test_for_waits_in_the_time_of_the_samples() -> None:
    bench = Bench(hot={**HOT, "for": "60s"})
    assert bench.series((0, 31.0), (30, 32.0), (60, 33.0)) == ["pending warning @0", "firing warning @60"]


def test_what_does_not_last_is_cancelled_and_begins_anew() -> None:
    bench = Bench(hot={**HOT, "for": "60s"})
    assert bench.series((0, 31.0), (30, 20.0), (40, 31.0), (99, 31.0)) == [
        "pending warning @0",
        "cancelled warning @30",
        "pending warning @40",
    ]
    assert bench.series((100, 31.0)) == ["firing warning @100"]


def test_a_sample_at_the_very_end_of_for_decides() -> None:
    bench = Bench(hot={**HOT, "for": "60s"})
    assert bench.series((0, 31.0), (60, 20.0)) == ["pending warning @0", "cancelled warning @60"]


def test_a_value_holds_until_the_next_sample_so_a_long_gap_fires_in_between() -> None:
    bench = Bench(hot={**HOT, "for": "60s"})
    bench.series((0, 31.0))
    assert bench.see(point(600, 20.0), now=600) == ["firing warning @60", "resolved warning @600"]
    assert [event.value for event in bench.events[-2:]] == [31.0, 20.0]


def test_the_clock_ends_for_where_a_series_says_nothing_more() -> None:
    bench = Bench(hot={**HOT, "for": "60s"})
    bench.see(point(0, 31.0), now=0.5)
    assert bench.tick(60) == []
    assert bench.tick(60.5) == ["firing warning @60"]
    assert bench.tick(1000) == []


def test_a_backlog_does_not_fire_because_it_is_old() -> None:
    bench = Bench(hot={**HOT, "for": "60s"})
    bench.see(point(0, 31.0), now=3600)
    assert bench.tick(3601) == []
    assert bench.see(point(10, 20.0), now=3601) == ["cancelled warning @10"]
    assert bench.tick(5000) == []


def test_clear_for_waits_before_it_resolves() -> None:
    bench = Bench(hot={**HOT, "clear_for": "60s"})
    assert bench.series((0, 31.0), (10, 20.0), (40, 31.0), (50, 20.0), (109, 20.0)) == ["firing warning @0"]
    assert bench.series((110, 20.0)) == ["resolved warning @110"]


def test_the_clock_ends_clear_for_too() -> None:
    bench = Bench(hot={**HOT, "clear_for": "60s"})
    bench.series((0, 31.0), (10, 20.0))
    assert bench.tick(69) == []
    assert bench.tick(70) == ["resolved warning @70"]


def test_the_same_point_again_changes_nothing() -> None:
    bench = Bench(hot=HOT)
    bench.series((0, 31.0), (1, 20.0))
    assert bench.series((0, 31.0), (1, 20.0), (1, 99.0)) == []
    assert bench.engine.late == 3


def test_a_late_point_says_nothing_about_now() -> None:
    bench = Bench(hot=HOT)
    assert bench.series((10, 20.0), (5, 99.0)) == []


def test_each_series_has_a_life_of_its_own() -> None:
    bench = Bench(hot=HOT)
    bench.see(point(0, 31.0, node="a"), point(0, 31.0, node="b"), point(0, 31.0, node="b", floor="2"))
    assert [(event.subject.node, event.subject.series) for event in bench.events] == [
        ("a", "room.temperature"),
        ("b", "room.temperature"),
        ("b", "room.temperature{floor=2}"),
    ]


def test_outside_fires_on_both_sides_and_lets_go_inside() -> None:
    bench = Bench(r={"metric": "room.temperature", "outside": [10, 30], "clear": [12, 28]})
    assert bench.series((0, 9.0), (1, 11.0), (2, 12.0), (3, 31.0), (4, 29.0), (5, 20.0)) == [
        "firing warning @0",
        "resolved warning @2",
        "firing warning @3",
        "resolved warning @5",
    ]


def test_below_is_the_mirror_of_above() -> None:
    bench = Bench(r={"metric": "room.temperature", "below": {"warning": 10, "critical": 0}, "clear": 12})
    assert bench.series((0, 9.0), (1, 11.0), (2, -1.0), (3, 1.0), (4, 2.5), (5, 12.0)) == [
        "firing warning @0",
        "severity critical @2",
        "severity warning @4",
        "resolved warning @5",
    ]


def test_equals_compares_texts_and_booleans() -> None:
    bench = Bench(
        door={"metric": "room.door", "equals": True, "severity": "info"},
        mode={"metric": "room.mode", "equals": ["fault", "alarm"], "severity": "critical"},
        ok={"metric": "room.state", "differs": "ok"},
    )
    assert bench.series((0, False), (1, True), (2, False), name="room.door") == ["firing info @1", "resolved info @2"]
    assert bench.series((0, "run"), (1, "alarm"), (2, "fault"), (3, "run"), name="room.mode") == [
        "firing critical @1",
        "resolved critical @3",
    ]
    assert bench.series((0, "ok"), (1, "bad"), name="room.state") == ["firing warning @1"]


def test_changed_fires_at_a_change_and_rests_after_clear_for() -> None:
    bench = Bench(fw={"metric": "room.version", "changed": True, "clear_for": "60s"})
    assert bench.series((0, "1"), (1, "1"), (2, "2"), (3, "2"), name="room.version") == ["firing warning @2"]
    assert bench.tick(61) == []
    assert bench.tick(62) == ["resolved warning @62"]


def test_what_sends_its_changes_alone_rests_after_clear_for_and_fires_again_at_the_next() -> None:
    bench = Bench(fw={"metric": "room.version", "changed": True, "clear_for": "60s"})
    assert bench.series((0, "1"), (10, "2"), (50, "3"), name="room.version") == ["firing warning @10"]
    assert bench.tick(109) == []
    assert bench.tick(110) == ["resolved warning @110"], "a minute after the last change"
    assert bench.series((200, "4"), name="room.version") == ["firing warning @200"]


def test_changed_without_clear_for_holds_until_a_sample_is_as_the_one_before() -> None:
    bench = Bench(fw={"metric": "room.version", "changed": True})
    assert bench.series((0, "1"), (1, "2"), (2, "3"), name="room.version") == ["firing warning @1"]
    assert bench.series((3, "3"), name="room.version") == ["resolved warning @3"]


def test_a_text_says_nothing_to_a_threshold() -> None:
    bench = Bench(hot=HOT)
    assert bench.series((0, 31.0), (1, "broken")) == ["firing warning @0"]


def test_a_window_is_compared_instead_of_each_sample() -> None:
    bench = Bench(hot={**HOT, "window": {"fn": "mean", "over": "60s"}})
    assert bench.series((0, 20.0), (10, 50.0), (20, 60.0), (30, -20.0)) == [
        "firing warning @10",
        "severity critical @20",
        "resolved critical @30",
    ]
    assert bench.events[0].value == 35.0


def test_a_late_sample_counts_in_a_window() -> None:
    bench = Bench(hot={**HOT, "window": {"fn": "max", "over": "60s"}})
    assert bench.series((0, 20.0), (50, 20.0), (20, 45.0)) == ["firing critical @50"]


def test_a_fixed_absence_fires_by_the_clock_and_a_sample_ends_it() -> None:
    bench = Bench(gone={"metric": "room.temperature", "absent": "30s", "severity": "critical"})
    bench.see(point(0, 20.0), point(10, 20.0))
    assert bench.tick(39) == []
    assert bench.tick(40.5) == ["firing critical @40"]
    assert bench.tick(100) == []
    assert bench.see(point(101, 20.0)) == ["resolved critical @101"]
    assert bench.tick(132) == ["firing critical @131"]


def test_a_learned_absence_fires_within_three_times_the_cadence() -> None:
    bench = Bench(gone={"metric": "room.temperature", "absent": "auto"})
    for second in range(0, 100, 10):
        bench.see(point(second, 20.0))
        assert bench.tick(second + 9.9) == []
    assert bench.tick(90 + 20) == []
    assert bench.tick(90 + 30) == ["firing warning @115"]


def test_absence_counts_from_when_the_hub_hears_again() -> None:
    bench = Bench(gone={"metric": "room.temperature", "absent": "30s"})
    bench.see(point(0, 20.0))
    bench.engine.resume(at(100))
    assert bench.tick(120) == []
    assert bench.tick(130) == ["firing warning @130"]


def test_a_late_sample_is_no_silence_whatever_it_says() -> None:
    bench = Bench(gone={"metric": "room.temperature", "absent": "30s"})
    bench.see(point(100, 20.0), now=0)  # its clock is ahead, and is then set right
    assert bench.see(point(20, 20.0), now=20) == []
    assert bench.tick(49) == []
    assert bench.tick(51) == ["firing warning @50"]
    assert bench.see(point(100, 20.0), now=55) == [], "the same again is nothing new"
    assert bench.see(point(60, 20.0), now=60) == ["resolved warning @60"]
    assert bench.tick(91) == ["firing warning @90"]


def test_a_backlog_behind_live_samples_does_not_quicken_the_learned_cadence() -> None:
    bench = Bench(gone={"metric": "room.temperature", "absent": "auto"})
    for second in range(1000, 1100, 10):
        bench.see(point(second, 20.0))
        for old in range(5):
            bench.see(point(second - 900 + old, 20.0), now=second + old / 10 + 0.1)
    assert bench.tick(1090 + 24) == []
    assert bench.tick(1090 + 30) == ["firing warning @1115.5"]
