"""What is gathered when something does not come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hub.alerts.evidence import Evidence
from hub.alerts.model import BrokenLink
from hub.nodes.presence import Presence
from hub.rules.engine import Engine
from hub.rules.events import EventKind
from tests.support.alerting import T0, S, event
from tests.support.rules import at, point, rules
from wire.messages import NodeState, Status


class Counting(Presence):
    """Counts how often all nodes were looked through."""

    looks = 0

    def nodes(self) -> list[str]:
        self.looks += 1
        return super().nodes()


def evidence(presence: Presence, now: list[int]) -> Evidence:
    engine: Any = SimpleNamespace(heard_ns=lambda _rule, _subject: T0)
    system: Any = SimpleNamespace(reasons={})
    link: Any = SimpleNamespace(trouble="")
    pipeline: Any = SimpleNamespace(trouble="", waiting_s=lambda _now_ns: 0.0)
    return Evidence(engine, presence, system, link, pipeline, lambda: now[0])


def test_a_series_that_never_came_back_after_a_restart_is_no_broken_broker() -> None:
    tables = {"gone": {"metric": "room.temperature", "absent": "30s"}}
    before, after = Engine(rules(**tables)), Engine(rules(**tables))
    before.observe([point(0, 20.0)], at(0))
    after.restore(before.state(), at(60))
    (missed,) = after.tick(at(90))
    presence = Presence(300)
    for node, heard_s in (("n1", 0), ("n2", 80)):
        presence.observe_status(node, Status(NodeState.ONLINE), at(heard_s), retained=False)
    ask = evidence(presence, [at(90)])
    ask.engine = after
    assert ask(missed) == (BrokenLink.AGENT, "nothing of n1 comes, last heard 90 s ago"), "n2 came since the restart"


def test_what_a_joined_rule_misses_is_known_too() -> None:
    conditions = [{"metric": "room.humidity", "above": 90}, {"metric": "room.temperature", "absent": "30s"}]
    engine = Engine(rules(either={"any": conditions}))
    engine.observe([point(0, 20.0), point(0, 50.0, "room.humidity")], at(0))
    (missed,) = engine.tick(at(30))
    assert engine.heard_ns("either", missed.subject) == at(0)


def test_thousands_of_absences_in_one_instant_look_through_the_nodes_once() -> None:
    presence, now = Counting(90), [T0 + 60 * S]
    for i in range(50):
        presence.observe_status(f"n{i}", Status(NodeState.ONLINE), T0, retained=False)
    ask = evidence(presence, now)
    found = {ask(event(EventKind.FIRING, node=f"n{i}", value=None))[0] for i in range(50)}
    assert found == {BrokenLink.BROKER}, "nothing comes of any of them"
    assert presence.looks == 1
    now[0] += S
    presence.observe_data(["n7"], now[0])
    assert ask(event(EventKind.FIRING, node="n3", value=None))[0] is BrokenLink.AGENT, "by now another speaks"
