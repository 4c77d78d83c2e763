"""Receipts: tells each node that keeps an outbox up to which sequence number all is durably stored.

    pipeline ──durable group──▶ due nodes ──once a second──▶ {root}/{node}/stored  (retained, newest only)

A receipt covers what was stored and what was refused and kept: neither needs to be sent again. Receipts travel at
QoS 0: the next one covers the lost one, and a new connection repeats them all.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Never

from hub.link import LinkDown
from wire.messages import NodeState, Receipt, Status, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.group import Group
    from hub.ledger import Ledger
    from hub.link import Link
    from wire.topics import Topics

#: Least time between two receipts to the same node.
_EVERY_S: Final = 1.0
#: Receipts that go out at a stretch.
_AT_ONCE: Final = 500


class Receipts:
    """Publishes receipts for the nodes whose birth says ``"outbox": true``.

    Args:
        link: where they go out.
        topics: their topics.
        ledger: knows the watermark of each node.
        nodes: nodes known to keep an outbox from before.
    """

    def __init__(self, link: Link, topics: Topics, ledger: Ledger, nodes: Iterable[str] = ()) -> None:
        self._link = link
        self._topics = topics
        self._ledger = ledger
        self._wanting = set(nodes)
        self._due = set(self._wanting)
        self._stirred = asyncio.Event()

    def follow(self, group: Group, _duplicates: set[int], _lost: set[int]) -> None:
        """Note whose watermark may have moved; called when the group is durable."""
        for control in group.controls:
            if isinstance(control.body, Status) and control.body.state is NodeState.ONLINE:
                node = control.route.node
                if control.body.outbox:
                    self._wanting.add(node)
                    self._due.add(node)
                else:
                    self._wanting.discard(node)
        if group.sequences and self._wanting:
            self._due.update(self._wanting.intersection(node for node, _ in group.sequences))
        if self._due:
            self._stirred.set()

    def repeat(self) -> None:
        """Send all receipts again; called when the link is back."""
        self._due.update(self._wanting)
        self._stirred.set()

    async def run(self) -> Never:
        """Publish what is due, at most once a second."""
        while True:
            await self._stirred.wait()
            await self._link.connected.wait()
            self._stirred.clear()
            due, self._due = self._due, set()
            try:
                for i, node in enumerate(due):
                    if i % _AT_ONCE == 0:
                        await asyncio.sleep(0)  # others wait for the event loop, too, and publishing does not
                    if (mark := self._ledger.watermark(node)) is not None and mark.session is not None:
                        receipt = Receipt(seq=mark.seq, session=mark.session)
                        await self._link.publish(self._topics.stored(node), encode(receipt), qos=0, retain=True)
            except LinkDown:
                self._due |= due  # ``repeat`` sends them once the link is back
            await asyncio.sleep(_EVERY_S)
