"""Gathers what is known when something does not come, so that :mod:`hub.alerts.blame` can say where it ends."""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

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


#: Thousands of absences may fire in one instant: all of them look at the nodes as they are in it.
_INSTANT_NS: Final = 200_000_000


@dataclass(slots=True)
class Evidence:
    """The parts that know something of it."""

    engine: Engine
    presence: Presence
    system: SystemPoints
    link: Link
    pipeline: Pipeline
    clock_ns: Callable[[], int] = time.time_ns
    #: When the two nodes that were heard last came, and when that was looked up.
    _newest: tuple[int, ...] = ()
    _newest_at_ns: int | None = None

    def __call__(self, event: RuleEvent) -> tuple[BrokenLink, str]:
        """The link that an absence is due to, and how that is known."""
        node, presence, now_ns = event.subject.node, self.presence, self.clock_ns()
        facts = Facts(
            node=node,
            contact=presence.contact(node),
            node_heard_ns=presence.last_seen_ns(node),
            others_heard_ns=self._newest_heard(now_ns),
            series_heard_ns=self.engine.heard_ns(event.rule, event.subject),
            link_trouble=self.link.trouble,
            store_trouble=self.pipeline.trouble,
            waiting_s=self.pipeline.waiting_s(now_ns),
            reason=self.system.reasons.get(node, ""),
        )
        return blame(facts, now_ns)

    def _newest_heard(self, now_ns: int) -> tuple[int, ...]:
        if self._newest_at_ns is None or not 0 <= now_ns - self._newest_at_ns < _INSTANT_NS:
            presence = self.presence
            online = (each for each in presence.nodes() if presence.contact(each) is Contact.ONLINE)
            heard = (ns for ns in map(presence.last_seen_ns, online) if ns is not None)
            self._newest, self._newest_at_ns = tuple(heapq.nlargest(2, heard)), now_ns
        return self._newest
