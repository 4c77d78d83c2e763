"""Live events: what becomes of messages, and who comes and goes, handed to whoever looks on right now.

    pipeline ──publish──▶ Live ──▶ stream of subscriber 1 (bounded; the oldest is lost and counted)
    presence ──publish──▶      ──▶ stream of subscriber 2 …

Everything happens in the event loop; publishing never waits.
"""

from __future__ import annotations

import asyncio
import enum
import fnmatch
import re
from collections import deque
from typing import TYPE_CHECKING, Final, Self

import msgspec

from hub.alerts.model import AlertChange
from hub.commands.model import Progress
from hub.nodes.model import Change
from wire.point import Point

if TYPE_CHECKING:
    from types import TracebackType

    from hub.nodes.model import Transition

#: Points that a message event shows at most.
SAMPLE_POINTS: Final = 5
_QUEUE: Final = 1000
_MAX_STREAMS: Final = 64


class Outcome(enum.StrEnum):
    """What became of a message."""

    STORED = "stored"
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    #: Carries no points: births, replies, receipts, …
    HANDLED = "handled"


class MessageEvent(msgspec.Struct, frozen=True, tag="message"):
    """One MQTT message and what became of it."""

    #: Arrival, ns.
    at_ns: int
    topic: str
    node: str | None
    measurement: str | None
    outcome: Outcome
    size_bytes: int
    #: Why it was refused.
    reason: str | None = None
    detail: str | None = None
    #: The first :data:`SAMPLE_POINTS` of it.
    points: tuple[Point, ...] = ()


class NodeEvent(msgspec.Struct, frozen=True, tag="node"):
    """A node appeared, connected or went."""

    at_ns: int
    node: str
    change: Change
    reason: str
    session: str | None = None
    #: How long it was connected.
    duration_ns: int | None = None


class CommandEvent(msgspec.Struct, frozen=True, tag="command"):
    """A command took a step."""

    progress: Progress

    @property
    def node(self) -> str:
        """The node that it is for."""
        return self.progress.node


class AlertEvent(msgspec.Struct, frozen=True, tag="alert"):
    """Something happened to an alert."""

    change: AlertChange

    @property
    def node(self) -> str:
        """The node that it is about."""
        return self.change.alert.node


class SeriesStats(msgspec.Struct, frozen=True):
    """What the samples of one series in a window come to."""

    field: str
    tags: dict[str, str]
    count: int
    mean: float
    min: float
    max: float
    sum: float
    last: float
    #: Of a sample (n - 1).
    stddev: float | None


class StatsEvent(msgspec.Struct, frozen=True, tag="stats"):
    """Statistics of one measurement of one node over one window, of the series that had samples."""

    at_ns: int
    node: str
    measurement: str
    window_s: float
    series: tuple[SeriesStats, ...]


class Skipped(msgspec.Struct, frozen=True, tag="skipped"):
    """The subscriber was too slow: ``n`` events were left out here."""

    n: int


Event = MessageEvent | NodeEvent | CommandEvent | AlertEvent | StatsEvent
EVENT_TYPES: Final = {
    "message": MessageEvent,
    "node": NodeEvent,
    "command": CommandEvent,
    "alert": AlertEvent,
    "stats": StatsEvent,
}


class LiveFilter(msgspec.Struct, frozen=True):
    """Selects events. Globs are those of the shell; None selects all."""

    node: str | None = None
    #: Leaves out events that have no measurement, but not those about nodes.
    measurement: str | None = None
    types: frozenset[type] = frozenset(EVENT_TYPES.values())
    #: None of any other node, and none without; what somebody may see.
    nodes: frozenset[str] | None = None


class LiveFull(Exception):  # noqa: N818  the name says what the caller is told
    """There are as many subscribers as are allowed."""


class Live:
    """Fans events out to subscribers."""

    def __init__(self, *, queue: int = _QUEUE, max_streams: int = _MAX_STREAMS) -> None:
        #: Whether anybody looks at messages; while it is false the pipeline makes no events.
        self.wanted = False
        self._queue = queue
        self._max_streams = max_streams
        self._streams: dict[int, LiveStream] = {}
        self._closed = False

    def publish(self, event: Event) -> None:
        """Hand ``event`` to the subscribers that want it; never waits, never fails."""
        for stream in self._streams.values():
            stream.offer(event)

    def subscribe(self, chosen: LiveFilter | None = None) -> LiveStream:
        """A stream of the chosen events, from ``async with`` on; see :class:`LiveStream`."""
        return LiveStream(self, chosen or LiveFilter(), self._queue)

    def close(self) -> None:
        """End all streams, for good."""
        self._closed = True
        for stream in self._streams.values():
            stream.end()

    # -- for LiveStream ---------------------------------------------------------------------------------------------

    def add(self, stream: LiveStream) -> None:
        if len(self._streams) >= self._max_streams:
            raise LiveFull(f"{self._max_streams} subscribers follow live events already")
        self._streams[id(stream)] = stream
        if self._closed:
            stream.end()
        self._look()

    def remove(self, stream: LiveStream) -> None:
        del self._streams[id(stream)]
        self._look()

    def _look(self) -> None:
        self.wanted = any(MessageEvent in stream.chosen.types for stream in self._streams.values())


class LiveStream:
    """Events for one subscriber: ``async with live.subscribe() as stream: async for event in stream: …``.

    Holds a bounded number of events. A subscriber that is slower than they come loses the oldest and is told so by one
    :class:`Skipped` in their place. The iteration ends when the hub stops.

    Raises:
        LiveFull: on entering.
    """

    def __init__(self, live: Live, chosen: LiveFilter, queue: int) -> None:
        self.chosen = chosen
        self._live = live
        self._queue = queue
        self._events: deque[Event] = deque()
        self._skipped = 0
        self._ended = False
        self._stirred = asyncio.Event()
        self._node = _glob(chosen.node)
        self._measurement = _glob(chosen.measurement)

    async def __aenter__(self) -> Self:
        self._live.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.remove(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event | Skipped:
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            self._stirred.clear()
            await self._stirred.wait()
        if self._skipped:
            skipped, self._skipped = Skipped(self._skipped), 0
            return skipped
        return self._events.popleft()

    # -- for Live ---------------------------------------------------------------------------------------------------

    def offer(self, event: Event) -> None:
        if not self._wants(event):
            return
        if len(self._events) >= self._queue:
            self._events.popleft()
            self._skipped += 1
        self._events.append(event)
        self._stirred.set()

    def end(self) -> None:
        self._ended = True
        self._stirred.set()

    def _wants(self, event: Event) -> bool:
        if type(event) not in self.chosen.types:
            return False
        if self.chosen.nodes is not None and event.node not in self.chosen.nodes:
            return False
        if self._node is not None and (event.node is None or self._node.match(event.node) is None):
            return False
        if self._measurement is None or not isinstance(event, MessageEvent | StatsEvent):
            return True
        return event.measurement is not None and self._measurement.match(event.measurement) is not None


def node_event(transition: Transition) -> NodeEvent:
    """The event that shows ``transition``."""
    return NodeEvent(
        at_ns=transition.at_ns,
        node=transition.node,
        change=transition.change,
        reason=transition.reason,
        session=transition.session,
        duration_ns=transition.duration_ns,
    )


def _glob(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(fnmatch.translate(pattern)) if pattern is not None else None
