"""However a stream is cut into batches, and wherever the hub restarts, the events are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.rules.engine import Engine
from hub.rules.model import RuleSet
from hub.rules.replay import RuleReplay
from hub.rules.state import EngineState
from tests.support.rules import at, point, rules

if TYPE_CHECKING:
    from hub.rules.events import RuleEvent
    from wire.point import Point

RULES = rules(
    plain={"metric": "room.temperature", "above": {"warning": 3, "critical": 6}, "clear": 2},
    held={"metric": "room.temperature", "above": 3, "for": "3s", "clear_for": "2s"},
    mean={"metric": "room.temperature", "below": 3, "window": {"fn": "mean", "over": "4s"}, "for": "2s"},
    spread={"metric": "room.*", "above": 2, "window": {"fn": "stddev", "over": "6s"}},
    changed={"metric": "room.humidity", "changed": True, "clear_for": "2s"},
    gone={"metric": "room.temperature", "absent": "5s", "for": "1s"},
    learned={"metric": "room.humidity", "absent": "auto"},
    both={"all": [{"metric": "room.temperature", "above": 3}, {"metric": "room.humidity", "above": 4}], "for": "1s"},
    either={"any": [{"metric": "room.temperature", "above": 7}, {"metric": "room.humidity", "below": 1}]},
)
_POINTS = st.builds(
    point,
    st.integers(0, 30).map(lambda half: half / 2),
    st.integers(0, 8).map(float),
    st.sampled_from(["room.temperature", "room.humidity"]),
    st.sampled_from(["a", "b"]),
)
#: Arrivals: (seconds since the one before, what came); times of samples are in any order.
_STREAMS = st.lists(st.tuples(st.integers(0, 6), st.lists(_POINTS, max_size=5)), min_size=1, max_size=12)


def run(engine: Engine, stream: list[tuple[int, list[Point]]], start_s: int = 20) -> list[RuleEvent]:
    out: list[RuleEvent] = []
    now_s = start_s
    for gap_s, points in stream:
        now_s += gap_s
        out += engine.tick(at(now_s))
        out += engine.observe(points, at(now_s))
    return out


@settings(max_examples=200)
@given(stream=_STREAMS, data=st.data())
def test_cutting_batches_changes_no_event(stream: list[tuple[int, list[Point]]], data: st.DataObject) -> None:
    cut: list[tuple[int, list[Point]]] = []
    for gap_s, points in stream:
        place = data.draw(st.integers(0, len(points)))
        cut += [(gap_s, points[:place]), (0, points[place:])]
    whole, parts = run(Engine(RULES), stream), run(Engine(RULES), cut)
    assert parts == whole


@settings(max_examples=200)
@given(stream=_STREAMS, data=st.data())
def test_saving_and_restoring_anywhere_changes_no_event(
    stream: list[tuple[int, list[Point]]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(stream)))
    straight, first = Engine(RULES), Engine(RULES)
    until_s = 20 + sum(gap_s for gap_s, _ in stream[:place])
    expected = run(straight, stream[:place])
    # A restart is heard as silence of the hub, not of the nodes; what else it changes must be nothing.
    straight.resume(at(until_s))
    assert run(first, stream[:place]) == expected
    saved = msgspec.msgpack.decode(msgspec.msgpack.encode(first.state()), type=EngineState)
    second = Engine(RULES)
    assert second.restore(saved, at(until_s), grace_ns=0) == []
    rest, rest_expected = run(second, stream[place:], until_s), run(straight, stream[place:], until_s)
    assert in_groups(rest) == in_groups(rest_expected)


def in_groups(events: list[RuleEvent]) -> list[str]:
    """The order of what several rules say at one time does not matter."""
    return sorted(str(event) for event in events)


@settings(max_examples=200)
@given(points=st.lists(_POINTS, min_size=1, max_size=40, unique_by=lambda each: (each.ts_ns, each.key, *each.fields)))
def test_a_backlog_brings_about_what_it_would_have_live(points: list[Point]) -> None:
    points.sort(key=lambda each: each.ts_ns)
    in_event_time = RuleSet({name: rule for name, rule in RULES if rule.absent is None})
    live = RuleReplay(in_event_time).feed(points)
    late = Engine(in_event_time).observe(points, at(3600))
    # What the clock alone ended after the last sample of its own series, a backlog leaves to the clock.
    assert {str(event) for event in late} <= {str(event) for event in live}
    newest = {(point.key.node, *point.fields): point.ts_ns for point in points}
    assert {str(e) for e in live if e.at_ns < min(newest.values())} == {
        str(e) for e in late if e.at_ns < min(newest.values())
    }


@settings(max_examples=100)
@given(stream=_STREAMS)
def test_the_same_batch_again_changes_nothing(stream: list[tuple[int, list[Point]]]) -> None:
    once, twice = Engine(RULES), Engine(RULES)
    now_s, expected, found = 20, [], []
    for gap_s, points in stream:
        now_s += gap_s
        # In order of time: of a late sample that was passed over nothing is known when it comes again.
        batch = sorted(points, key=lambda each: each.ts_ns)
        expected += once.tick(at(now_s)) + once.observe(batch, at(now_s))
        found += twice.tick(at(now_s)) + twice.observe(batch, at(now_s)) + twice.observe(batch, at(now_s))
    assert found == expected
