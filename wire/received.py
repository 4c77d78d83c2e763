"""A command as a node receives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from wire.errors import PayloadError
from wire.messages import Command, decode

if TYPE_CHECKING:
    from wire.packets import Incoming


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedCommand:
    """A message on ``cmd/{name}``."""

    name: str
    #: What was asked, or what is wrong with the payload.
    body: Command | PayloadError
    response_topic: str | None
    correlation_data: bytes | None
    #: Sent with the retain flag: it would come again at every connection, so nodes refuse it.
    retained: bool

    @classmethod
    def read(cls, name: str, message: Incoming) -> Self:
        """Decode the payload; what is wrong with it becomes the body, so that it can be answered."""
        body: Command | PayloadError
        try:
            body = decode(message.payload, Command)
        except PayloadError as error:
            body = error
        return cls(
            name=name,
            body=body,
            response_topic=message.response_topic,
            correlation_data=message.correlation_data,
            retained=message.retained,
        )
