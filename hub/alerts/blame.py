"""Which link of the chain is broken when something does not come any more. Pure.

sensor ──▶ agent (the node) ──▶ broker ──▶ hub          asked from the far end: what is known best comes first
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hub.alerts.model import BrokenLink
from hub.nodes.model import Contact
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

#: A series is late by at least this before anybody is blamed: what comes in one go need not come in one instant.
_SLACK_NS: Final = 2 * NS_PER_S
#: What waits for the store longer than this keeps the hub from reading on.
_STUCK_S: Final = 5.0


class Facts(msgspec.Struct, frozen=True):
    """What is known when an absence fires. Times are ns."""

    node: str
    contact: Contact | None
    #: When anything of the node came last; None: never.
    node_heard_ns: int | None
    #: When the nodes that are online were heard last, the newest two at least; fewer where there are no more.
    others_heard_ns: tuple[int, ...]
    #: When the series came last; None where that is not known.
    series_heard_ns: int | None
    #: Why there is no connection to the broker; empty while there is one.
    link_trouble: str
    #: Why nothing can be stored, and how long the oldest message waits for it.
    store_trouble: str
    waiting_s: float
    #: Why the node is not there, where it said so or the broker did.
    reason: str = ""


def blame(facts: Facts, now_ns: int) -> tuple[BrokenLink, str]:
    """The link to look at, and a sentence that says how that is known."""
    if facts.link_trouble:
        return BrokenLink.BROKER, f"the hub has no connection to the broker: {facts.link_trouble}"
    heard = _ago(facts.node_heard_ns, now_ns)
    if facts.contact is Contact.OFFLINE:
        why = f" ({facts.reason})" if facts.reason else ""
        return BrokenLink.AGENT, f"{facts.node} is offline{why}, last heard {heard}"
    if facts.waiting_s > _STUCK_S:
        why = f": {facts.store_trouble}" if facts.store_trouble else ""
        return BrokenLink.HUB, f"the hub cannot store what arrives, for {facts.waiting_s:.0f} s now{why}"
    return _by_what_comes(facts, heard, now_ns)


def _by_what_comes(facts: Facts, heard: str, now_ns: int) -> tuple[BrokenLink, str]:
    """Broker and hub work: what else comes says where it ends."""
    if facts.contact is Contact.SILENT:
        return BrokenLink.AGENT, f"{facts.node} is silent, last heard {heard}"
    since_ns = facts.series_heard_ns if facts.series_heard_ns is not None else now_ns - 5 * _SLACK_NS
    if facts.node_heard_ns is not None and facts.node_heard_ns > since_ns + _SLACK_NS:
        return BrokenLink.SENSOR, f"other values of {facts.node} still come, the last {heard}"
    if len(facts.others_heard_ns) > 1 and not _any_after(facts.others_heard_ns, since_ns + _SLACK_NS):
        return BrokenLink.BROKER, f"nothing comes of any node, the last {_ago(max(facts.others_heard_ns), now_ns)}"
    return BrokenLink.AGENT, f"nothing of {facts.node} comes, last heard {heard}"


def _any_after(times_ns: Iterable[int], ns: int) -> bool:
    return any(time_ns > ns for time_ns in times_ns)


def _ago(at_ns: int | None, now_ns: int) -> str:
    return f"{max(now_ns - at_ns, 0) / NS_PER_S:.0f} s ago" if at_ns is not None else "never"
