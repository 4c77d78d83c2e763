"""Takes requests and replies out of what the pipeline decoded, and has them recorded before they are acknowledged."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.commands.model import Answer, Seen, Who
from wire.messages import Command, Reply
from wire.point import NS_PER_MS
from wire.received import known
from wire.topics import Kind, is_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hub.commands.book import Book
    from hub.commands.keys import OperatorKeys
    from hub.commands.model import Progress
    from hub.messages import Control, Incoming
    from wire.topics import Topics

#: Longest JSON text that is kept of arguments and of a result.
LONGEST_JSON: Final = 64 << 10
_LONGEST_TEXT: Final = 256
_LONGEST_ERROR: Final = 2000
#: User property in which a client may say who it is.
_USER: Final = "user"
_MS_PER_S: Final = 1000
_HUB: Final = "$hub/"


class Recorder:
    """What the pipeline is given: ``observe`` a group's control messages, then ``flush`` until it succeeds.

    Args:
        book: where they are recorded.
        topics: tells whether a response topic is one of the node's own.
        keys: tell whose signature a command carries.
        tell: called with the progress once it is durable.
    """

    def __init__(
        self, book: Book, topics: Topics, keys: OperatorKeys, tell: Callable[[Sequence[Progress]], None]
    ) -> None:
        self._book = book
        self._topics = topics
        self._keys = keys
        self._tell = tell
        self._unwritten: list[Seen | Answer] = []
        self._writing = asyncio.Lock()

    def observe(self, controls: Iterable[Control]) -> None:
        """Take the requests and replies among them; ``flush`` makes them durable."""
        for control in controls:
            body, address = control.body, control.route.address
            if address is None:
                continue
            if isinstance(body, Command) and address.kind is Kind.COMMAND:
                self._unwritten.append(self._seen(address.node, address.name, body, control))
            elif isinstance(body, Command) and address.kind is Kind.HUB_COMMAND:
                self._unwritten.append(self._seen(hub_name(address.node), address.name, body, control))
            elif isinstance(body, Reply) and address.kind is Kind.REPLY and not control.message.retain:
                self._unwritten.append(answer_of(address.node, address.name, body, control.arrival_ns))

    async def answered(self, hub: str, reply: Reply, at_ns: int) -> None:
        """Record what the hub itself answers to a command of its own.

        Raises:
            StateUnavailable: it is not durable; it is kept for the next ``flush``.
        """
        self._unwritten.append(answer_of(hub_name(hub), reply.id, reply, at_ns))
        await self.flush()

    async def flush(self) -> None:
        """Record what was observed.

        Raises:
            StateUnavailable: nothing of it is durable; it is kept for the next call.
        """
        async with self._writing:
            if events := tuple(self._unwritten):
                progress = await self._book.observe(events)
                del self._unwritten[: len(events)]
                self._tell(progress)

    def _seen(self, node: str, name: str, body: Command, control: Control) -> Seen:
        message = control.message
        return Seen(
            node=node,
            command=name,
            id=self._id_of(node, body, message),
            at_ns=control.arrival_ns,
            who=self._who(node, name, body, message),
            args=cut_json(body.args),
            timeout_s=body.timeout,
            expires_ms=_expires_ms(body, message, control.arrival_ns),
            retained=message.retain,
            again=bool(_property(message, "duplicate")),
            response_topic=_bounded(_property(message, "response_topic")),
            digest=hashlib.sha256(message.payload).hexdigest(),
        )

    def _id_of(self, node: str, body: Command, message: Incoming) -> str | None:
        """As nodes find it; hubs take that of the body alone."""
        if node.startswith(_HUB):
            return body.id if body.id is not None and is_name(body.id) else None
        response, correlation = _property(message, "response_topic"), _property(message, "correlation_data")
        return known(self._topics, node, body.id, response, correlation).id

    def _who(self, node: str, name: str, body: Command, message: Incoming) -> Who:
        claimed = next((value for key, value in _property(message, "user_properties") or () if key == _USER), None)
        verified = self._keys.check(body, node, name) if body.signature is not None else None
        return Who(
            signer=_bounded(body.operator) if body.signature is not None else None,
            verified=verified,
            claimed=_bounded(claimed),
        )


def hub_name(hub: str) -> str:
    """What stands for a node where a hub is commanded; no node can be called so."""
    return _HUB + hub


def answer_of(node: str, name: str, body: Reply, at_ns: int) -> Answer:
    """A reply as it is recorded; ``name``: the last level of its topic."""
    result = body.result or {}
    error = result.get("error")
    return Answer(
        node=node,
        id=body.id if is_name(body.id) else name,
        at_ns=at_ns,
        n=body.n,
        state=body.state,
        stream=_bounded(body.stream) or "stdout",
        data=body.data or "",
        code=body.code,
        result=cut_json(result) if body.result is not None else "",
        error=error[:_LONGEST_ERROR] if isinstance(error, str) else None,
        duplicate=result.get("duplicate") is True,
    )


def cut_json(value: dict[str, Any]) -> str:
    """JSON text of ``value``, cut at a bound; what is cut is no JSON any more and ends in an ellipsis."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST_JSON else text[:LONGEST_JSON] + "…"


# -- private -----------------------------------------------------------------------------------------------------------


def _property(message: Incoming, name: str) -> Any:
    """A property of MQTT 5; None where the message comes from elsewhere than the link."""
    return getattr(message, name, None)


def _expires_ms(body: Command, message: Incoming, arrival_ns: int) -> int | None:
    interval_s = _property(message, "message_expiry_interval")
    dropped_ms = arrival_ns // NS_PER_MS + interval_s * _MS_PER_S if interval_s is not None else None
    found = [moment for moment in (body.expires, dropped_ms) if moment is not None]
    return min(found, default=None)


def _bounded(text: str | None) -> str | None:
    return text[:_LONGEST_TEXT] if text is not None else None
