"""What the pipeline needs of a received message, and a control message once it is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from wire.messages import Command, Reply, Status

if TYPE_CHECKING:
    from hub.routes import Route

#: What a control message carries; None where its content does not matter to the hub.
Body = Status | Command | Reply | None


class Incoming(Protocol):
    """A received PUBLISH."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def retain(self) -> bool:
        """True when it was stored on the broker before we subscribed."""
        ...


class Control:
    """A control message: status, command, reply; decoded."""

    __slots__ = ("arrival_ns", "body", "message", "route")

    def __init__(self, route: Route, message: Incoming, body: Body, arrival_ns: int) -> None:
        self.route = route
        self.message = message
        self.body = body
        self.arrival_ns = arrival_ns
