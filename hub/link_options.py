"""What a link is told and what it raises; no I/O."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wire.settings import MqttSettings

#: Messages that go on together: a few ms of work, so that whoever else waits for the event loop waits no longer.
TAKEN_AT_ONCE: Final = 500


class LinkError(Exception):
    """Root of this file's errors.

    LinkError
    ├── LinkDown      no connection, or it broke: try again
    └── LinkRefused   the broker said no (reason code): try again slowly, a person may have to act
    """


class LinkDown(LinkError):  # noqa: N818  the name says what the caller does
    """There is no connection; whatever was under way is unknown."""


class LinkRefused(LinkError):  # noqa: N818
    """CONNACK, SUBACK or DISCONNECT with a reason code that says no."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A subscription.

    ``snapshot``: only take the retained messages, at every connect. ``optional``: go on when the broker refuses it.
    ``anew``: take the retained message again at every connect, which otherwise only comes with a new session.
    """

    topic: str
    snapshot: bool = False
    optional: bool = False
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Will:
    """Message that the broker publishes when this connection breaks."""

    topic: str
    payload: bytes
    retain: bool = True


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """Where and how to connect."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = None
    keep_alive_s: int = 15
    #: QoS 1 messages the broker may send ahead of our acknowledgements.
    receive_max: int = 20_000
    session_expiry_s: int = 14 * 86_400
    tls: ssl.SSLContext | None = None
    will: Will | None = None
    max_in_flight_messages: int = 64_000
    max_in_flight_bytes: int = 64 << 20


def tls_of(mqtt: MqttSettings) -> ssl.SSLContext | None:
    """How to verify the broker, and our certificate if we have one; None without TLS.

    Raises:
        OSError: a file cannot be read or is no certificate.
    """
    if not mqtt.tls:
        return None
    context = ssl.create_default_context(cafile=mqtt.ca_file)
    if mqtt.cert_file is not None:
        context.load_cert_chain(mqtt.cert_file, mqtt.key_file)
    return context
