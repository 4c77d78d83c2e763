"""What the hub itself knows, as points for the rules.

``$node`` (state, clock_offset) and ``$hub`` (storing, certificate_days). They are said at each change and, a part of
the nodes at a time, every few seconds, of very many nodes every minute; they are stored nowhere.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from hub.nodes.model import Change, Contact, Why
from hub.rules.engine import HUB_MEASUREMENT, NODE_MEASUREMENT
from wire.point import Point, SeriesKey, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hub.nodes.model import Transition
    from hub.nodes.presence import Presence

#: Steps in which all nodes are said once; ten steps are a second.
_STEPS: Final = 50
#: Of more than 10,000 nodes, so many a step: what is said costs the same however many there are.
_MOST_AT_ONCE: Final = 200
#: State of a node that is offline and did not say so itself.
LOST: Final = "lost"
#: What the wills of our nodes say, and how a will that says nothing is recorded.
_LOST: Final = ("connection lost", Why.WILL.value)
_CONTACTS: Final = {
    Change.ONLINE: Contact.ONLINE,
    Change.UPDATED: Contact.ONLINE,
    Change.SILENT: Contact.SILENT,
    Change.OFFLINE: Contact.OFFLINE,
}


class SystemPoints:
    """Makes the points.

    Args:
        hub: id of this hub.
        presence: knows the nodes.
        clock_offset_s: seconds that the clock of a node is ahead of ours; None where nothing came lately.
        storing: whether what arrives can be stored.
        reasons: why each node was as it was before the restart.
    """

    def __init__(
        self,
        hub: str,
        presence: Presence,
        clock_offset_s: Callable[[str], float | None],
        storing: Callable[[], bool],
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        self._presence = presence
        self._clock_offset_s = clock_offset_s
        self._storing = storing
        self._hub = SeriesKey(hub, HUB_MEASUREMENT)
        self._keys: dict[str, SeriesKey] = {}
        self._turn: Iterator[str] = iter(())
        self._at_once = 1
        #: Further figures of the hub, said with each step.
        self.facts: dict[str, Value] = {}
        #: Why each node is as it is.
        self.reasons = dict(reasons or {})

    def step(self, now_ns: int) -> list[Point]:
        """The hub's own state and the next part of the nodes; ten times a second."""
        points = [Point(self._hub, now_ns, {"storing": self._storing(), **self.facts})]
        part = list(islice(self._turn, self._at_once))
        if not part:
            nodes = self._presence.nodes()
            self._at_once = min(len(nodes) // _STEPS + 1, _MOST_AT_ONCE)
            self._turn = iter(nodes)
            part = list(islice(self._turn, self._at_once))
        for node in part:
            contact = self._presence.contact(node)
            if contact is None:
                self._keys.pop(node, None)
                continue
            fields: dict[str, Value] = {"state": self._state(node, contact)}
            offset_s = self._clock_offset_s(node)
            if offset_s is not None:
                fields["clock_offset"] = offset_s
            points.append(Point(self._key(node), now_ns, fields))
        return points

    def of(self, transitions: Sequence[Transition], now_ns: int) -> list[Point]:
        """What changed."""
        points = []
        for transition in transitions:
            contact = _CONTACTS.get(transition.change)
            if contact is not None:
                self.reasons[transition.node] = transition.reason
                points.append(
                    Point(self._key(transition.node), now_ns, {"state": self._state(transition.node, contact)})
                )
        return points

    def forget(self, node: str) -> None:
        """A node was removed."""
        self.reasons.pop(node, None)
        self._keys.pop(node, None)

    def _state(self, node: str, contact: Contact) -> str:
        lost = contact is Contact.OFFLINE and self.reasons.get(node) in _LOST
        return LOST if lost else contact.value

    def _key(self, node: str) -> SeriesKey:
        key = self._keys.get(node)
        if key is None:
            key = self._keys[node] = SeriesKey(node, NODE_MEASUREMENT)
        return key
