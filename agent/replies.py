"""The reply stream of one command: numbered, in order, complete however often the connection breaks.

output(), finish() ─▶ queue, bounded by slowing down who writes ─▶ deliver() one after the other ─▶ session.publish
                                                                       ▲ no connection: waits, and sends that one again
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from wire.errors import SessionDown
from wire.messages import Command, Reply, ReplyState, encode
from wire.packets import TOO_LARGE
from wire.received import known

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wire.packets import PubAck
    from wire.session import NodeSession, ReceivedCommand
    from wire.topics import Topics

_LOG: Final = logging.getLogger(__name__)
#: How long the broker keeps a reply for an operator who is away.
_EXPIRY_S: Final = 3600
#: Waiting to be sent; past it whoever writes waits too.
_WAITING_BYTES: Final = 256 << 10
#: Numbers set aside at a time, so that a later run of the agent can go on above them.
_RESERVED: Final = 100


class Way:
    """Where replies to one request go.

    A response topic is honoured when it is one of this node's own reply topics, the only ones it may publish to; else
    ``reply/{id}`` is used. The id is what :func:`wire.received.known` finds, else made up.
    """

    def __init__(self, topics: Topics, node: str, received: ReceivedCommand) -> None:
        body_id = received.body.id if isinstance(received.body, Command) else None
        found = known(topics, node, body_id, received.response_topic, received.correlation_data)
        #: Whether the operator can know where to look.
        self.addressed = found.id is not None
        #: Whether the id says which request it is, so that it must not come again.
        self.named = self.addressed and not found.shared
        self.id = found.id or secrets.token_hex(8)
        #: Unlike the id of all other requests to this node, that of a request which comes again apart.
        self.key = f"{self.id}~{secrets.token_hex(4)}" if found.shared else self.id
        self.topic = found.topic or topics.reply(node, self.id)
        self.correlation_data = received.correlation_data


class Replies:
    """Sends replies, numbered from 0, in order. Whoever makes one runs :meth:`deliver` beside it.

    Args:
        reserve: called with a number before any reply with that number or the 99 before it is sent.
    """

    def __init__(self, session: NodeSession, way: Way, reserve: Callable[[int], Awaitable[None]] | None = None) -> None:
        self._session = session
        self._way = way
        self._reserve = reserve
        self._reserved = 0
        self._count = 0
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        #: Of what waits; past it whoever writes waits too.
        self._most_bytes: float = _WAITING_BYTES
        #: Whether the final reply was made.
        self.finished = False
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()

    def accepted(self) -> None:
        """Tell that the command is about to run."""
        self._put(ReplyState.ACCEPTED)

    async def output(self, stream: str, data: str) -> None:
        """Send a piece of output; it is kept at once, and this returns when there is room for the next."""
        self._put(ReplyState.OUTPUT, stream=stream, data=data)
        while self._bytes > self._most_bytes:
            self._emptied.clear()
            await self._emptied.wait()

    def hurry(self) -> None:
        """Let nobody wait any more: what is left to be written is little, and the end is due."""
        self._most_bytes = math.inf
        self._emptied.set()

    def finish(self, state: ReplyState, result: dict[str, Any], code: int | None = None) -> bytes:
        """Send the final reply, after all others; what it is."""
        self.finished = True
        return self._put(state, result=result, code=code)

    async def deliver(self) -> None:
        """Send until the final reply is with the broker."""
        number = 0
        while not self.finished or self._waiting:
            if not self._waiting:
                self._filled.clear()
                await self._filled.wait()
                continue
            if number >= self._reserved and self._reserve is not None:
                self._reserved = number + _RESERVED
                await self._reserve(self._reserved)
            answer = await publish_reply(self._session, self._way.topic, self._waiting[0], self._way.correlation_data)
            number += 1
            self._bytes -= len(self._waiting.popleft())
            self._emptied.set()
            if answer.code == TOO_LARGE and self.finished and not self._waiting:
                self.finish(ReplyState.FAILED, {"error": f"the result is too large to be sent: {answer}"})

    def _put(self, state: ReplyState, **more: Any) -> bytes:
        payload = encode(Reply(id=self._way.id, n=self._count, state=state, **more))
        self._count += 1
        self._waiting.append(payload)
        self._bytes += len(payload)
        self._filled.set()
        return payload


async def publish_reply(session: NodeSession, topic: str, payload: bytes, correlation_data: bytes | None) -> PubAck:
    """Publish one reply, as often as the connection breaks; the broker's answer."""
    while True:
        await session.connected.wait()
        try:
            answer = await session.publish(topic, payload, expiry_s=_EXPIRY_S, correlation_data=correlation_data)
        except SessionDown:
            await asyncio.sleep(0)  # let the session see it too
            continue
        if answer.permanent:
            _LOG.error("reply on %s refused by the broker: %s", topic, answer)
        return answer
