"""A command as a node receives it, and what it is known by, to the node and to all who look on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from wire.errors import PayloadError, TopicError
from wire.messages import Command, decode
from wire.topics import Kind, is_name

if TYPE_CHECKING:
    from wire.packets import Incoming
    from wire.topics import Topics


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


@dataclass(frozen=True, slots=True)
class Known:
    """What a request is known by."""

    #: In its replies; None: it names nothing that could be.
    id: str | None
    #: Its response topic, where that is one of the node's own reply topics; no other is used.
    topic: str | None
    #: The id is the response topic's alone, which clients use for one request after the other.
    shared: bool = False


def known(
    topics: Topics, node: str, body_id: str | None, response_topic: str | None, correlation_data: bytes | None
) -> Known:
    """Find the id of a request to ``node``: the body's, the correlation data, or the last level of the response topic.

    Correlation data that is no text or fits no topic level counts by its SHA-256, 64 hexadecimal digits.
    """
    name = _reply_name(topics, node, response_topic)
    topic = response_topic if name is not None else None
    if body_id is not None and is_name(body_id):
        return Known(body_id, topic)
    if correlation_data:
        return Known(_text_of(correlation_data), topic)
    return Known(name, topic, shared=name is not None)


def _reply_name(topics: Topics, node: str, response_topic: str | None) -> str | None:
    if response_topic is None:
        return None
    try:
        address = topics.parse(response_topic)
    except TopicError:
        return None
    return address.name if address.kind is Kind.REPLY and address.node == node else None


def _text_of(correlation_data: bytes) -> str:
    try:
        text = correlation_data.decode()
    except UnicodeDecodeError:
        text = ""
    return text if is_name(text) else hashlib.sha256(correlation_data).hexdigest()
