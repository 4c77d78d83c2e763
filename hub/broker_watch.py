"""What the broker says about itself under ``$SYS``: messages it dropped, messages it holds.

A broker that drops has acknowledged before: only this counter tells. It counts all clients together, so it says that
something was lost, not whose; nodes with an outbox send again what was theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from hub.metrics import Metrics

_DROPPED: Final = "$SYS/broker/publish/messages/dropped"
_HELD: Final = "$SYS/broker/store/messages/count"
_BYTES: Final = "$SYS/broker/store/messages/bytes"
#: Topics to subscribe to; Mosquitto's names.
TOPICS: Final = (_DROPPED, _HELD, _BYTES)

_log = structlog.get_logger("hub.broker")


class BrokerWatch:
    """Remembers the newest figures, and says so when the broker dropped more."""

    def __init__(self, metrics: Metrics) -> None:
        self._base: int | None = None
        #: Messages dropped since the hub, or the broker, started; None until the broker says anything.
        self.dropped: int | None = None
        #: Messages the broker holds for all clients, retained ones too.
        self.held = 0
        self.held_bytes = 0
        metrics.gauge(
            "iothub_broker_dropped_messages", "Dropped by the broker since the hub runs", lambda: self.dropped or 0
        )
        metrics.gauge("iothub_broker_held_messages", "Queued and retained messages of the broker", lambda: self.held)
        metrics.gauge("iothub_broker_held_bytes", "Bytes of those messages", lambda: self.held_bytes)

    def observe(self, topic: str, payload: bytes) -> None:
        """Take one message; what is no number is passed over."""
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
        if self._base is None or number < self._base:
            # The first figure is of before our time, and a smaller one of a broker that started anew.
            self._base = number if self._base is None else 0
        before, self.dropped = self.dropped or 0, number - self._base
        if self.dropped > before:
            _log.error(
                "the broker dropped messages that it had acknowledged; see broker.max_queued_messages",
                dropped=self.dropped - before,
                since_start=self.dropped,
            )
