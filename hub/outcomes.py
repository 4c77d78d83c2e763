"""Shows what became of each message of a group to whoever follows live; no work is done while nobody does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.live import SAMPLE_POINTS, MessageEvent, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hub.group import Group
    from hub.live import Live


def tell(live: Live) -> Callable[[Group, set[int], set[int]], None]:
    """A function of (group, indices of duplicates, indices of messages the store took nothing of) for the pipeline."""

    def told(group: Group, duplicates: set[int], lost: set[int]) -> None:
        if live.wanted:
            for event in _events(group, duplicates, lost):
                live.publish(event)

    return told


def _events(group: Group, duplicates: set[int], lost: set[int]) -> Iterator[MessageEvent]:
    for i, (message, node, points, _) in enumerate(group.spans()):
        if i not in lost:
            yield MessageEvent(
                at_ns=group.first_ns,
                topic=message.topic,
                node=node,
                measurement=points[0].key.measurement,
                outcome=Outcome.DUPLICATE if i in duplicates else Outcome.STORED,
                size_bytes=len(message.payload),
                points=tuple(points[:SAMPLE_POINTS]),
            )
    for reject in group.rejects:
        yield MessageEvent(
            at_ns=reject.arrival_ns,
            topic=reject.topic,
            node=reject.node,
            measurement=None,
            outcome=Outcome.REFUSED,
            size_bytes=len(reject.payload),
            reason=reject.reason,
            detail=f"stored but for: {reject.detail}" if reject.partial else reject.detail,
        )
    for control in group.controls:
        yield MessageEvent(
            at_ns=control.arrival_ns,
            topic=control.message.topic,
            node=control.route.node,
            measurement=None,
            outcome=Outcome.HANDLED,
            size_bytes=len(control.message.payload),
        )
