"""What goes into and comes out of a connection; no driver here, so that all may import it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

SUCCESS: Final = 0x00
NO_SUBSCRIBERS: Final = 0x10
FAILURE: Final = 0x80
NOT_AUTHORISED: Final = 0x87
TAKEN_OVER: Final = 0x8E
TOO_LARGE: Final = 0x95
#: Reason codes that the same message will get again however often it is sent: implementation says no, not authorised,
#: topic name invalid, packet too large, payload format invalid, retain not supported, QoS not supported. MQTT 5 §2.4.
_PERMANENT: Final = frozenset({0x83, NOT_AUTHORISED, 0x90, TOO_LARGE, 0x99, 0x9A, 0x9B})


class PubAck(msgspec.Struct, frozen=True):
    """What the broker said about one message; MQTT 5 §3.4.2.1. Acknowledged is not stored: see the outbox."""

    #: Reason code.
    code: int
    #: Its name in the standard.
    text: str

    @property
    def delivered(self) -> bool:
        """Somebody subscribes to the topic, and the broker took the message for them."""
        return self.code < FAILURE and self.code != NO_SUBSCRIBERS

    @property
    def nobody_subscribed(self) -> bool:
        """The broker took the message and dropped it (a retained one it keeps): send it again later."""
        return self.code == NO_SUBSCRIBERS

    @property
    def permanent(self) -> bool:
        """Refused, and will be every time: set it aside."""
        return self.code in _PERMANENT

    def __str__(self) -> str:
        return f"{self.text} (0x{self.code:02x})"


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, QoS 1 and retained, when the connection ends without a goodbye."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A received message."""

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None = None
    correlation_data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic filter to subscribe to."""

    topic_filter: str
    qos: int = 1
    #: Keep the retain flag as the sender set it, also on messages that arrive live.
    retain_as_published: bool = False
