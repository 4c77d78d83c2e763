"""A link that only publishes, and nodes that answer as they are told: for tests of what the hub sends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from hub.commands.recorder import answer_of
from hub.link import LinkDown
from wire.messages import Command, Reply, ReplyState
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.commanding import Commanding
    from hub.commands.model import Answer

_TOPICS = Topics()


@dataclass
class PlayedLink:
    """Takes what is published; ``down`` has no connection, ``code`` is what the broker answers."""

    down: bool = False
    code: int = 0
    subscribed: bool = True
    #: Node, command, body, expiry in seconds.
    published: list[tuple[str, str, Command, int | None]] = field(default_factory=list)

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: int | None = None
    ) -> int:
        if self.down:
            raise LinkDown("not connected")
        assert (qos, retain) == (1, False)
        address = _TOPICS.parse(topic)
        self.published.append((address.node, address.name, msgspec.json.decode(payload, type=Command), expiry_s))
        return self.code

    @property
    def nodes(self) -> list[str]:
        return [node for node, *_ in self.published]


def final(node: str, command_id: str, state: str = "done", n: int = 0, at_ns: int = 0, **more: Any) -> Answer:
    """A node's last word."""
    return answer_of(node, command_id, Reply(id=command_id, n=n, state=ReplyState(state), **more), at_ns)


class Nodes:
    """Answers what was published and not answered before."""

    def __init__(self, commanding: Commanding, link: PlayedLink, clock_ns: Callable[[], int]) -> None:
        self._commanding = commanding
        self._link = link
        self._clock_ns = clock_ns
        self._answered = 0

    async def answer(self, state: Callable[[str], str] = lambda _: "done") -> None:
        """``state``: node → its final state."""
        new = self._link.published[self._answered :]
        self._answered += len(new)
        answers = [final(node, body.id or "", state(node), at_ns=self._clock_ns()) for node, _, body, _ in new]
        self._commanding.recorder._unwritten += answers
        await self._commanding.recorder.flush()
