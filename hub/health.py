"""The chain node → broker → link → decoder → store, and which of its links is broken.

Health means that what nodes send is stored, not that things are connected: a chain in which nodes are online and
nothing has been stored for a while is broken somewhere, and the first link that does not hold says where.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from hub.api.parts import Health, HealthLink
from hub.nodes.model import Contact
from hub.store.spool_segment import DAMAGED
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.broker_watch import BrokerWatch
    from hub.link import Link
    from hub.nodes.presence import Presence
    from hub.pipeline import Pipeline
    from hub.store.spooled import SpooledStore

#: A group that takes longer than this to become durable is stuck.
_STUCK_S: Final = 30.0
#: Nodes are online and nothing was stored for this long: nothing useful comes.
_QUIET_S: Final = 300.0
#: More refused than this share of the last messages: the decoder and the nodes do not speak the same language.
_REFUSED_SHARE: Final = 0.5
#: Fuller than this, a spool is about to stop the acknowledgements.
_SPOOL_SHARE: Final = 0.9


def chain(
    link: Link,
    pipeline: Pipeline,
    presence: Presence,
    watch: BrokerWatch,
    now_ns: int,
    *,
    spooled: Sequence[SpooledStore] = (),
    more: Sequence[HealthLink] = (),
) -> Health:
    """The state of each link, first link first; ``spooled`` are the stores that have a spool, ``more`` comes last."""
    counts = presence.counts()
    online, known = counts[Contact.ONLINE], sum(counts.values())
    return Health(
        (
            HealthLink(
                "nodes",
                online > 0 or known == 0,
                f"{online} of {known} nodes online" if known else "no node has been heard yet",
            ),
            _broker(link, watch),
            _link(link, pipeline, now_ns),
            _decoder(pipeline),
            _store(pipeline, online, now_ns, [_spool(store, now_ns) for store in spooled]),
            *more,
        )
    )


def _broker(link: Link, watch: BrokerWatch) -> HealthLink:
    if not link.connected.is_set():
        return HealthLink("broker", ok=False, detail=f"no connection: {link.trouble}")
    if watch.dropped:
        return HealthLink(
            "broker",
            ok=False,
            detail=f"connected, but it dropped {watch.dropped} messages since the hub started; "
            "raise broker.max_queued_messages and look for clients that do not keep up",
        )
    if watch.nearly_full:
        return HealthLink(
            "broker",
            ok=False,
            detail=f"connected, but it holds {watch.held} messages, and drops those above {watch.room} of one client; "
            "look for clients that do not keep up, or raise broker.max_queued_messages",
        )
    return HealthLink("broker", ok=True, detail=f"connected; holds {watch.held} messages")


def _link(link: Link, pipeline: Pipeline, now_ns: int) -> HealthLink:
    waiting_s = pipeline.waiting_s(now_ns)
    stuck = waiting_s > _STUCK_S
    detail = f"{link.in_flight_messages} messages read and not yet acknowledged, the oldest for {waiting_s:.1f} s"
    return HealthLink("link", not stuck, detail + ("; see store" if stuck else ""))


def _decoder(pipeline: Pipeline) -> HealthLink:
    refused, recent = pipeline.recent
    if recent and refused / recent > _REFUSED_SHARE:
        return HealthLink(
            "decoder",
            ok=False,
            detail=f"{refused} of the last {recent} messages were refused; `iothub rejects list` says why",
        )
    return HealthLink("decoder", ok=True, detail=f"{refused} of the last {recent} messages were refused")


def _store(pipeline: Pipeline, online: int, now_ns: int, spools: Sequence[HealthLink]) -> HealthLink:
    said = "".join(f"; {spool.detail}" for spool in spools if spool.detail)
    if pipeline.trouble:
        return HealthLink("store", ok=False, detail=pipeline.trouble + said)
    quiet_s = (now_ns - (pipeline.data_ns or pipeline.started_ns)) / NS_PER_S
    if pipeline.data_ns:
        detail = f"last stored {quiet_s:.0f} s ago"
    else:
        detail = f"nothing stored since the start {quiet_s:.0f} s ago"
    if online and quiet_s > _QUIET_S:
        return HealthLink("store", ok=False, detail=f"{detail}, though {online} nodes are online{said}")
    return HealthLink("store", ok=all(spool.ok for spool in spools), detail=detail + said)


def _spool(store: SpooledStore, now_ns: int) -> HealthLink:
    """What a store is behind with; no detail when nothing waits."""
    stats = store.spool_stats()
    damaged = (
        f"{stats.damaged_bytes} bytes of its spool could not be read and are kept there as *{DAMAGED}"
        if stats.damaged_bytes
        else ""
    )
    if not store.trouble and stats.oldest_ns is None:
        return HealthLink(store.name, ok=True, detail=f"{store.name}: {damaged}" if damaged else "")
    held = f"{stats.size_bytes / 2**20:.1f} MiB, {_span(stats.hours)} of history, {stats.share:.0%} of the spool"
    if not store.trouble:
        detail = f"{store.name}: replaying from the spool: {held}"
    else:
        since = datetime.fromtimestamp(store.since_ns / NS_PER_S, UTC).isoformat(timespec="seconds")
        for_s = (now_ns - store.since_ns) / NS_PER_S
        detail = f"{store.name}: storing to spool since {since} ({for_s:.0f} s): {held}; {store.trouble}"
    return HealthLink(store.name, stats.share < _SPOOL_SHARE, f"{detail}; {damaged}" if damaged else detail)


def _span(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"
