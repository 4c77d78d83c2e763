"""The chain node → broker → link → decoder → store, and which of its links is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.api.parts import Health, HealthLink
from hub.nodes.model import Contact
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from hub.link import Link
    from hub.nodes.presence import Presence
    from hub.pipeline import Pipeline


def chain(link: Link, pipeline: Pipeline, presence: Presence, now_ns: int) -> Health:
    """The state of each link, first link first."""
    up = link.connected.is_set()
    counts = presence.counts()
    online, known = counts[Contact.ONLINE], sum(counts.values())
    stored_s = (now_ns - pipeline.stored_ns) / NS_PER_S if pipeline.stored_ns else None
    stored = f"last stored {stored_s:.0f} s ago" if stored_s is not None else "nothing stored since the start"
    return Health(
        (
            HealthLink(
                "nodes",
                online > 0 or known == 0,
                f"{online} of {known} nodes online" if known else "no node has been heard yet",
            ),
            HealthLink("broker", up, "connected" if up else f"no connection: {link.trouble}"),
            HealthLink("store", not pipeline.trouble, pipeline.trouble or stored),
        )
    )
