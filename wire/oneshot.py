"""Publishing or listening once, for commands that people run; no session is kept and nothing is retried."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from wire.connection import Connection
from wire.errors import SessionDown, SessionRefused
from wire.packets import Incoming, PubAck, Subscription

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from wire.settings import MqttSettings


async def publish_once(
    settings: MqttSettings,
    topic: str,
    payload: bytes,
    *,
    retain: bool = False,
    expiry_s: int | None = None,
    timeout_s: float = 10.0,
) -> PubAck:
    """Connect, publish one message at QoS 1, wait for the broker's answer, disconnect.

    Raises:
        SessionRefused: the broker refuses these credentials.
        SessionDown: no broker there, or no answer within ``timeout_s``.
    """
    try:
        async with asyncio.timeout(timeout_s), _visit(settings, timeout_s) as connection:
            return await connection.publish(topic, payload, retain=retain, expiry_s=expiry_s)
    except TimeoutError as error:
        raise SessionDown(f"broker {settings.host}:{settings.port} gave no answer within {timeout_s:g} s") from error


@asynccontextmanager
async def listen(
    settings: MqttSettings, *topic_filters: str, timeout_s: float = 10.0
) -> AsyncGenerator[AsyncIterator[Incoming]]:
    """Subscribe at QoS 1; inside the ``async with``, iterate over what arrives. Subscribed when the body starts.

    Raises:
        SessionRefused: the broker refuses these credentials or this subscription.
        SessionDown: no broker there, no answer within ``timeout_s``, or the connection ended.
    """
    async with _visit(settings, timeout_s) as connection:
        answers = await connection.subscribe([Subscription(each) for each in topic_filters])
        for topic_filter, answer in zip(topic_filters, answers, strict=True):
            if not answer.delivered:
                raise SessionRefused(f"may not subscribe to {topic_filter}: {answer}", answer.code)
        yield connection.messages()


@asynccontextmanager
async def _visit(settings: MqttSettings, timeout_s: float) -> AsyncGenerator[Connection]:
    """A connection under an id of its own, so that two terminals do not throw each other out."""
    client_id = settings.client_id or f"{settings.username or 'iothub'}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        async with Connection(settings, client_id=client_id, clean_start=True, timeout_s=timeout_s) as connection:
            yield connection
    except SessionRefused as error:
        text = f"broker {settings.host}:{settings.port} refused {settings.username or 'us'}: {error}"
        raise SessionRefused(text, error.code) from error
    except SessionDown as error:
        raise SessionDown(f"broker {settings.host}:{settings.port}: {error}") from error
