"""The reply stream of one command."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Any, Final

from wire.errors import SessionDown, TopicError
from wire.messages import Command, Reply, ReplyState, encode
from wire.topics import check_name, matches

if TYPE_CHECKING:
    from wire.session import NodeSession, ReceivedCommand
    from wire.topics import Topics

_LOG: Final = logging.getLogger(__name__)
#: How long a reply waits for the connection to come back.
_PATIENCE_S: Final = 60.0
#: How long the broker keeps a reply for an operator who is away.
_EXPIRY_S: Final = 3600


class Replies:
    """Sends replies to where the operator looks for them, numbered from 0.

    A response topic is honoured when it is one of this node's own reply topics, the only ones it may publish to; else
    ``reply/{id}`` is used. The id is the command's, else the response topic's, else the correlation data, else made up.
    """

    def __init__(self, session: NodeSession, topics: Topics, received: ReceivedCommand) -> None:
        self._session = session
        self._correlation_data = received.correlation_data
        node = session.options.node
        known = _known_id(topics, node, received)
        #: Whether the operator can know where to look.
        self.addressed = known is not None
        self.id = known or secrets.token_hex(8)
        response = received.response_topic
        is_ours = response is not None and matches(topics.replies(node), response)
        self._topic = response if is_ours and response is not None else topics.reply(node, self.id)
        self._count = 0

    async def send(
        self,
        state: ReplyState,
        result: dict[str, Any] | None = None,
        *,
        stream: str | None = None,
        data: str | None = None,
    ) -> None:
        """Send one reply; waits up to a minute for the broker, then gives up with a word in the log."""
        reply = Reply(id=self.id, n=self._count, state=state, stream=stream, data=data, result=result)
        self._count += 1
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._deliver(encode(reply))
        except TimeoutError:
            _LOG.error("reply %s to command %s is lost: no connection for %g s", state, self.id, _PATIENCE_S)

    async def output(self, stream: str, data: str) -> None:
        """Send a piece of output."""
        await self.send(ReplyState.OUTPUT, stream=stream, data=data)

    async def _deliver(self, payload: bytes) -> None:
        while True:
            await self._session.connected.wait()
            try:
                answer = await self._session.publish(
                    self._topic, payload, expiry_s=_EXPIRY_S, correlation_data=self._correlation_data
                )
            except SessionDown:
                await asyncio.sleep(0)  # let the session see it too
                continue
            if answer.permanent:
                _LOG.error("reply on %s refused by the broker: %s", self._topic, answer)
            return


def _known_id(topics: Topics, node: str, received: ReceivedCommand) -> str | None:
    candidates: list[str] = []
    if isinstance(received.body, Command) and received.body.id is not None:
        candidates.append(received.body.id)
    if received.response_topic is not None and matches(topics.replies(node), received.response_topic):
        candidates.append(topics.parse(received.response_topic).name)
    if received.correlation_data is not None:
        candidates.append(received.correlation_data.decode("utf-8", errors="replace"))
    for candidate in candidates:
        try:
            return check_name(candidate, "reply id")
        except TopicError:
            continue
    return None
