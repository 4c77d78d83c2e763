"""Gathers what is known when something does not come, so that :mod:`hub.alerts.blame` can say where it ends."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.alerts.blame import Facts, blame
from hub.nodes.model import Contact

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.alerts.model import BrokenLink
    from hub.alerts.system import SystemPoints
    from hub.link import Link
    from hub.nodes.presence import Presence
    from hub.pipeline import Pipeline
    from hub.rules.engine import Engine
    from hub.rules.events import RuleEvent


@dataclass(frozen=True, slots=True)
class Evidence:
    """The parts that know something of it."""

    engine: Engine
    presence: Presence
    system: SystemPoints
    link: Link
    pipeline: Pipeline
    clock_ns: Callable[[], int] = time.time_ns

    def __call__(self, event: RuleEvent) -> tuple[BrokenLink, str]:
        """The link that an absence is due to, and how that is known."""
        node, presence, now_ns = event.subject.node, self.presence, self.clock_ns()
        others = (presence.last_seen_ns(each) for each in presence.nodes() if presence.contact(each) is Contact.ONLINE)
        facts = Facts(
            node=node,
            contact=presence.contact(node),
            node_heard_ns=presence.last_seen_ns(node),
            others_heard_ns=tuple(ns for ns in others if ns is not None),
            series_heard_ns=self.engine.heard_ns(event.subject),
            link_trouble=self.link.trouble,
            store_trouble=self.pipeline.trouble,
            waiting_s=self.pipeline.waiting_s(now_ns),
            reason=self.system.reasons.get(node, ""),
        )
        return blame(facts, now_ns)
