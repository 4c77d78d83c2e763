"""What is gathered when something does not come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hub.alerts.evidence import Evidence
from hub.alerts.model import BrokenLink
from hub.nodes.presence import Presence
from hub.rules.events import EventKind
from tests.support.alerting import T0, S, event
from wire.messages import NodeState, Status


class Counting(Presence):
    """Counts how often all nodes were looked through."""

    looks = 0

    def nodes(self) -> list[str]:
        self.looks += 1
        return super().nodes()


def evidence(presence: Presence, now: list[int]) -> Evidence:
    engine: Any = SimpleNamespace(heard_ns=lambda _subject: T0)
    system: Any = SimpleNamespace(reasons={})
    link: Any = SimpleNamespace(trouble="")
    pipeline: Any = SimpleNamespace(trouble="", waiting_s=lambda _now_ns: 0.0)
    return Evidence(engine, presence, system, link, pipeline, lambda: now[0])


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
