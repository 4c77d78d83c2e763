"""What the hub itself knows, as points for the rules."""

from __future__ import annotations

from typing import Any

from hub.alerts.system import SystemPoints
from hub.nodes.model import Change, Transition
from hub.nodes.presence import Presence
from tests.support.alerting import T0, S
from wire.messages import NodeState, Status


def presence(*nodes: str) -> Presence:
    known = Presence(90)
    for node in nodes:
        known.observe_status(node, Status(NodeState.ONLINE, ts=T0 // 1_000_000), T0, retained=False)
    return known


def system(known: Presence, *, storing: bool = True, **reasons: str) -> SystemPoints:
    offsets = {"ahead": 12.5}
    return SystemPoints("here", known, offsets.get, lambda: storing, reasons)


def said(points: list[Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(point.key.node, point.key.measurement, dict(point.fields)) for point in points]


def gone(node: str, reason: str) -> Transition:
    return Transition(node, Change.OFFLINE, T0, reason)


def test_each_step_says_whether_the_hub_stores_and_what_else_is_known_of_it() -> None:
    points = system(presence(), storing=False)
    points.facts["certificate_days"] = 12.0
    assert said(points.step(T0)) == [("here", "$hub", {"storing": False, "certificate_days": 12.0})]


def test_a_clock_that_is_not_known_is_not_made_up() -> None:
    points = system(presence("ahead", "plain"))
    found = [each for _ in range(3) for each in said(points.step(T0)) if each[1] == "$node"]
    assert found[:2] == [
        ("ahead", "$node", {"state": "online", "clock_offset": 12.5}),
        ("plain", "$node", {"state": "online"}),
    ]


def test_all_nodes_are_said_once_in_five_seconds_however_many_there_are() -> None:
    points = system(presence(*(f"n{i}" for i in range(205))))
    steps = [[node for node, kind, _ in said(points.step(T0 + i * S // 10)) if kind == "$node"] for i in range(50)]
    assert max(map(len, steps)) == 5
    assert sorted(node for step in steps[:41] for node in step) == sorted(f"n{i}" for i in range(205))


def test_of_very_many_nodes_no_more_are_said_at_once_and_all_in_their_turn() -> None:
    points = system(presence(*(f"n{i}" for i in range(20_500))))
    steps = [[node for node, kind, _ in said(points.step(T0 + i * S // 10)) if kind == "$node"] for i in range(103)]
    assert max(map(len, steps)) == 200
    assert sorted(node for step in steps for node in step) == sorted(f"n{i}" for i in range(20_500))


def test_a_node_is_lost_where_its_will_spoke_and_offline_where_it_said_so_itself() -> None:
    points = system(presence("a", "b", "c"))
    changes = [gone("a", "connection lost"), gone("b", "offline"), gone("c", "shut down")]
    assert [fields["state"] for _, _, fields in said(points.of(changes, T0))] == ["lost", "lost", "offline"]
    assert points.of([Transition("a", Change.ONLINE, T0, "birth")], T0)[0].fields["state"] == "online"


def test_why_a_node_was_away_is_known_after_a_restart_and_forgotten_with_the_node() -> None:
    known = presence("a")
    known.observe_status("a", Status(NodeState.OFFLINE), T0, retained=False)
    points = system(known, a="connection lost")
    assert said(points.step(T0))[1:] == [("a", "$node", {"state": "lost"})]
    points.forget("a")
    assert points.reasons == {}


def test_changes_that_are_no_state_of_a_node_say_nothing() -> None:
    others = [
        change for change in Change if change not in (Change.ONLINE, Change.UPDATED, Change.SILENT, Change.OFFLINE)
    ]
    assert system(presence("a")).of([Transition("a", change, T0, "x") for change in others], T0) == []
