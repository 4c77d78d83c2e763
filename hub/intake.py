"""What becomes of each message: decoded into points, handled as a control message, or refused. No I/O.

message ─▶ route of its topic ─┬─ data ────▶ decode ─▶ guard ─▶ group.points
                               ├─ control ─▶ parse ───────────▶ group.controls
                               └─ none of ours, or refused by any step ─▶ group.rejects
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from hub.control import session_of
from hub.messages import Control
from wire.errors import PayloadError, Reason
from wire.formats.base import Decoded, RefusedValue
from wire.formats.json import decode_json, decode_quickly
from wire.formats.sequence import sequence_numbers
from wire.formats.times import MIN_NS
from wire.point import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hub.broker_watch import BrokerWatch
    from hub.clocks import Clocks
    from hub.control import Controls
    from hub.group import Group
    from hub.guard import Clash, Guard
    from hub.messages import Incoming
    from hub.routes import Route, Routes
    from wire.point import Point

#: Arrival time given to retained messages: a point that comes back near it had no time of its own.
_UNTIMED_NS: Final = MIN_NS
_UNTIMED: Final = RefusedValue(
    Reason.RETAINED_SNAPSHOT, "a retained message without ts of its own says what was, not when"
)
_SHOWN: Final = 10
#: Arrival times ascend through steps back of our clock as long as this; after a longer one they follow it.
_STEP_BACK_NS: Final = 60 * NS_PER_S


class Intake:
    """Decodes messages into a group.

    Args:
        routes: topic → format.
        guard: remembers the types of series.
        controls: decodes control messages.
        watch: takes what the broker says about itself.
        clocks: takes times that were refused.
        on_clash: called once a series that met a value of another type.
        clock_ns: wall clock.
    """

    def __init__(
        self,
        routes: Routes,
        guard: Guard,
        controls: Controls,
        watch: BrokerWatch,
        clocks: Clocks,
        *,
        on_clash: Callable[[str, Clash], None],
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._routes = routes
        self._guard = guard
        self._controls = controls
        self._watch = watch
        self._clocks = clocks
        self._on_clash = on_clash
        self._clock_ns = clock_ns
        self._arrival_ns = 0

    def decode(self, messages: Sequence[Incoming], group: Group, *, arrival_ns: int | None = None) -> None:
        """Add to ``group`` what becomes of each message; never raises for what a message says.

        Args:
            messages: in order of arrival.
            group: added to.
            arrival_ns: when they arrived, for messages of the past; now when None.
        """
        now_ns = self._clock_ns()
        if arrival_ns is not None:
            self._guard.window(now_ns)
            self._decode(messages, group, arrival_ns)
        else:
            # Strictly ascending, also when the clock steps back a little: no two messages may fall on the same instant.
            # The window goes by it, or our own clock would make what has no time of its own a message from the future.
            # A clock that was set back far is followed: else all that comes until then would stand at one instant.
            if self._arrival_ns - now_ns <= _STEP_BACK_NS:
                now_ns = max(now_ns, self._arrival_ns)
            self._guard.window(now_ns)
            self._arrival_ns = self._decode(messages, group, now_ns)

    def _decode(self, messages: Sequence[Incoming], group: Group, arrival_ns: int) -> int:
        route_of, find, passes = self._routes.cache.get, self._routes.find, self._guard.passes_numbers
        points, data, nodes, ends = group.points, group.data, group.nodes, group.ends
        for message in messages:
            route = route_of(message.topic) or find(message.topic)
            context = route.context
            if route.decode is not decode_json or context is None or route.careful or message.retain:
                arrival_ns += self._one(message, route, arrival_ns, group)
                continue
            try:
                found = decode_quickly(message.payload, context, arrival_ns)
            except PayloadError as error:
                arrival_ns += _refuse(message, route, error, arrival_ns, group)
                continue
            if isinstance(found, Decoded) or not passes(found):
                decoded = found if isinstance(found, Decoded) else Decoded((found,))
                arrival_ns += self._keep(message, route, decoded, arrival_ns, group)
                continue
            # Nearly every message, hence no call that it can do without.
            points.append(found)
            data.append(message)
            nodes.append(route.node)
            ends.append(len(points))
            if found.seq is not None:
                group.sequences.append((route.node, found.seq))
            arrival_ns += 1
        return arrival_ns

    def _one(self, message: Incoming, route: Route, arrival_ns: int, group: Group) -> int:
        """Take a message of any kind; how many instants it took."""
        if route.decode is None or route.context is None:
            self._not_data(message, route, arrival_ns, group)
            return 1
        try:
            decoded = route.decode(message.payload, route.context, _UNTIMED_NS if message.retain else arrival_ns)
        except PayloadError as error:
            return _refuse(message, route, error, arrival_ns, group)
        return self._keep(message, route, decoded, arrival_ns, group)

    def _keep(self, message: Incoming, route: Route, decoded: Decoded, arrival_ns: int, group: Group) -> int:
        """Add what can be kept of a message; how many instants it took."""
        kept = decoded.points
        node = route.node
        for point in kept:
            if point.seq is not None:
                group.sequences.append((node, point.seq))
        if decoded.refused or message.retain or route.careful or not all(map(self._guard.passes, kept)):
            kept = self._carefully(message, route, decoded, arrival_ns, group)
        if kept:
            group.points += kept
            group.data.append(message)
            group.nodes.append(node)
            group.ends.append(len(group.points))
        return len(decoded.points)

    def _carefully(
        self, message: Incoming, route: Route, decoded: Decoded, arrival_ns: int, group: Group
    ) -> list[Point]:
        """Keep what can be kept of a message, refuse the rest by value."""
        kept: list[Point] = []
        refused: list[RefusedValue] = list(decoded.refused)
        group.sequences += [(route.node, seq) for seq in _refused_numbers(message, decoded)]
        for point in decoded.points:
            if message.retain and point.ts_ns < _UNTIMED_NS + NS_PER_MS:
                refused.append(_UNTIMED)
                continue
            checked = self._guard.check(point)
            refused += checked.refused
            for clash in checked.clashes:
                self._on_clash(message.topic, clash)
            if checked.point is None and point.ts_ns > arrival_ns:
                self._clocks.observe_one(route.node, point.ts_ns, arrival_ns)
            if checked.point is not None:
                kept.append(checked.point)
                if route.careful and (dropped := _dropped(checked.point)) is not None:
                    group.sequences.append((route.node, dropped))
        if refused:
            detail = "; ".join(f"{value.reason}: {value.detail}" for value in refused[:_SHOWN])
            if len(refused) > _SHOWN:
                detail += f"; and {len(refused) - _SHOWN} more"
            group.refuse(message, route.node, arrival_ns, refused[0].reason, detail, partial=bool(kept))
            if kept:
                group.values.update((route.node, value.reason) for value in refused)
        return kept

    def _not_data(self, message: Incoming, route: Route, arrival_ns: int, group: Group) -> None:
        if route.of_broker:
            self._watch.observe(message.topic, message.payload)
            group.controls.append(Control(route, message, None, arrival_ns))
            return
        if route.refusal is not None:
            group.refuse(message, None, arrival_ns, route.refusal.reason, route.refusal.detail)
            return
        try:
            body = self._controls.parse(route, message)
        except PayloadError as error:
            group.refuse(message, route.node, arrival_ns, error.reason, error.detail)
            return
        if (session := session_of(body)) is not None:
            group.sequences.append((route.node, session))
        group.controls.append(Control(route, message, body, arrival_ns))


def _refuse(message: Incoming, route: Route, error: PayloadError, arrival_ns: int, group: Group) -> int:
    """Refuse the whole of a message; how many instants it took."""
    group.refuse(message, route.node, arrival_ns, error.reason, error.detail)
    group.sequences += [(route.node, seq) for seq in sequence_numbers(message.payload)]
    return 1


def _refused_numbers(message: Incoming, decoded: Decoded) -> list[int]:
    """Sequence numbers of the elements of an array that were refused as a whole."""
    if not decoded.refused:
        return []
    taken = {point.seq for point in decoded.points}
    return [seq for seq in sequence_numbers(message.payload) if seq not in taken]


def _dropped(point: Point) -> tuple[int, int] | None:
    """The sequence numbers a node says it dropped."""
    first, last = point.fields.get("dropped_from"), point.fields.get("dropped_to")
    if isinstance(first, float) and isinstance(last, float) and 0 <= first <= last:
        return int(first), int(last)
    return None
