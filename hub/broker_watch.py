"""What the broker says about itself under ``$SYS``: messages it dropped, messages it holds, whom it turned away.

A broker that drops has acknowledged before: only this counter tells. It counts all clients together, so it says that
something was lost, not whose; nodes with an outbox send again what was theirs. Queues overflow while the hub is away
above all, so the figure it saw last outlives the hub.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from hub.denials import Denials

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hub.metrics import Metrics

_DROPPED: Final = "$SYS/broker/publish/messages/dropped"
_HELD: Final = "$SYS/broker/store/messages/count"
_BYTES: Final = "$SYS/broker/store/messages/bytes"
#: Topics to subscribe to; Mosquitto's names.
TOPICS: Final = (_DROPPED, _HELD, _BYTES)
#: Of what may be queued.
_NEARLY: Final = 0.8
_LOG: Final = "$SYS/broker/log/"

_log = structlog.get_logger("hub.broker")


class BrokerWatch:
    """Remembers the newest figures, and says so when the broker dropped more.

    Args:
        metrics: shows them.
        seen: the counter of dropped messages when a hub last looked; None when none ever did.
        remember: called with the counter whenever it has changed.
        room: messages that the broker queues for a client before it drops; None when that is not known.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        seen: int | None = None,
        remember: Callable[[int], None] = lambda _: None,
        room: int | None = None,
    ) -> None:
        self.room = room
        self._seen = seen
        #: Who was turned away.
        self.denials = Denials(lambda kind: metrics.denied.labels(kind).inc())
        self._remember = remember
        #: Messages dropped since the hub started, or since it was last there; None until the broker says anything.
        self.dropped: int | None = None
        #: Messages the broker holds for all clients, retained ones too.
        self.held = 0
        self.held_bytes = 0
        metrics.gauge(
            "iothub_broker_dropped_messages", "Dropped by the broker since the hub runs", lambda: self.dropped or 0
        )
        metrics.gauge("iothub_broker_held_messages", "Queued and retained messages of the broker", lambda: self.held)
        metrics.gauge("iothub_broker_held_bytes", "Bytes of those messages", lambda: self.held_bytes)

    @property
    def nearly_full(self) -> bool:
        """Whether so much waits that a client which stays away may soon lose some: while nothing is lost yet."""
        return self.room is not None and self.held >= _NEARLY * self.room

    def observe(self, topic: str, payload: bytes) -> None:
        """Take one message; what is no number is passed over."""
        if topic.startswith(_LOG):
            self.denials.observe(payload)
            return
        if not payload.isdigit():
            return
        number = int(payload)
        if topic == _HELD:
            self.held = number
        elif topic == _BYTES:
            self.held_bytes = number
        elif topic == _DROPPED:
            self._dropped(number)

    def _dropped(self, number: int) -> None:
        seen = number if self._seen is None else self._seen
        more = number - seen if number >= seen else number  # a smaller one is of a broker that started anew
        self.dropped = (self.dropped or 0) + more
        if more:
            _log.error(
                "the broker dropped messages that it had acknowledged; see broker.max_queued_messages",
                dropped=more,
                since_start=self.dropped,
            )
        if number != self._seen:
            self._seen = number
            self._remember(number)


class _Seen(msgspec.Struct):
    broker: str
    dropped: int


class SeenFile:
    """The counter of one broker, kept in a small file. A disk that takes it not loses no more than a warning."""

    def __init__(self, path: Path, broker: str) -> None:
        self._path = path
        self._broker = broker

    def read(self) -> int | None:
        """What was written last, for this broker."""
        try:
            seen = msgspec.json.decode(self._path.read_bytes(), type=_Seen)
        except (OSError, msgspec.DecodeError):
            return None
        return seen.dropped if seen.broker == self._broker else None

    def write(self, dropped: int) -> None:
        """Keep it."""
        with contextlib.suppress(OSError):
            self._path.write_bytes(msgspec.json.encode(_Seen(self._broker, dropped)))
