"""A node's standing with the broker: birth and will, reconnecting, commands in, messages out.

  birth() ──▶ will ─▶ CONNECT (Clean Start 0) ─▶ SUBSCRIBE cmd/+, stored ─▶ birth, retained ─▶ connected
                 ▲                                                                               │
                 └──────────── back-off, said once an outage ◀── connection lost ◀───────────────┤
                                                                                                 ▼
  agent, gateways ◀── commands(), on_receipt ◀── messages            announced end ─▶ DISCONNECT on leaving

``publish_once`` and ``listen`` are for people's one-off use (CLI); they keep no session.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, Self

from wire.backoff import STABLE_S, Backoff, Outage
from wire.connection import Connection
from wire.errors import PayloadError, SessionDown, SessionRefused, TopicError
from wire.messages import NodeState, Receipt, Status, decode, encode
from wire.oneshot import listen, publish_once
from wire.packets import NOT_AUTHORISED, TAKEN_OVER, Incoming, PubAck, Subscription, Will
from wire.received import ReceivedCommand
from wire.topics import Kind, Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType

    from wire.settings import MqttSettings

__all__ = ["Incoming", "NodeSession", "PubAck", "ReceivedCommand", "SessionOptions", "listen", "publish_once"]

_LOG: Final = logging.getLogger(__name__)
_END_S: Final = 3.0
#: So many connections in a row that broke soon after they were made smell of a second client with our id.
_SHORT_LIVED: Final = 3
#: Commands held for a busy node; more than that is a storm.
_COMMANDS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How a node stands with the broker."""

    mqtt: MqttSettings
    node: str
    #: Messages that may wait for their acknowledgement.
    window: int = 100
    #: How long the broker keeps commands for a node that is away.
    session_expiry_s: int = 7 * 86_400
    #: Back-off between attempts to connect.
    first_retry_s: float = 0.5
    longest_retry_s: float = 30.0
    #: The same when the broker refuses us: that takes a person to mend.
    first_refused_s: float = 5.0
    longest_refused_s: float = 60.0

    @property
    def client_id(self) -> str:
        """The node id, unless ``mqtt.client_id`` says otherwise."""
        return self.mqtt.client_id or self.node

    @property
    def broker(self) -> str:
        """For texts: ``host:port``."""
        return f"{self.mqtt.host}:{self.mqtt.port}"


class NodeSession:
    """The connection of one node, kept up for as long as the ``async with`` lasts.

    Entering does not wait for the broker; ``connected`` tells. Leaving publishes the announced end, then disconnects.

    Args:
        birth: Gives the birth message; called once an attempt, so keep it quick. The will is made from it.
        on_receipt: Called in the event loop for every receipt, and told whether the broker kept it from before.
    """

    def __init__(
        self,
        options: SessionOptions,
        birth: Callable[[], Status],
        on_receipt: Callable[[Receipt, bool], None] | None = None,
    ) -> None:
        self.options = options
        #: Set while messages can be published: birth sent, commands subscribed.
        self.connected = asyncio.Event()
        #: Connections made so far.
        self.connections = 0
        #: Called in the event loop at each connection, once messages can be published.
        self.on_connected: Callable[[], None] = lambda: None
        #: Called in the event loop with each command that finds 1,000 others waiting, and must answer it: it is not
        #: among ``commands()``.
        self.on_overflow: Callable[[ReceivedCommand], None] = _log_overflow
        self._birth = birth
        self._on_receipt = on_receipt
        self._topics = Topics(options.mqtt.root)
        self._connection: Connection | None = None
        self._commands: asyncio.Queue[ReceivedCommand] = asyncio.Queue(_COMMANDS)
        self._outage = Outage()
        self._tasks = asyncio.TaskGroup()
        self._runner: asyncio.Task[None] | None = None

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry_s: int | None = None,
        correlation_data: bytes | None = None,
    ) -> PubAck:
        """Publish and wait for the broker's answer, of which up to ``window`` calls may do at once.

        Raises:
            SessionDown: not connected, or the connection ended first: wait for ``connected`` and publish it again.
        """
        if self._connection is None:
            raise SessionDown(f"no connection to the broker at {self.options.broker}")
        return await self._connection.publish(
            topic, payload, qos=qos, retain=retain, expiry_s=expiry_s, correlation_data=correlation_data
        )

    async def commands(self) -> AsyncIterator[ReceivedCommand]:
        """Commands as they arrive, over all connections; one consumer."""
        while True:
            yield await self._commands.get()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._runner = self._tasks.create_task(self._run(), name="node session")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None and not self._runner.done():
            wanted = error is None or isinstance(error, asyncio.CancelledError)
            await self._announce_end("shutdown" if wanted else "failure")
            self._runner.cancel()
        if isinstance(error, asyncio.CancelledError):
            await self._tasks.__aexit__(kind, error, trace)
        else:  # the body's own error leaves as it is, not in a group
            await self._tasks.__aexit__(None, None, None)

    async def _announce_end(self, reason: str) -> None:
        if not self.connected.is_set():
            return
        born = self._birth()
        end = Status(NodeState.OFFLINE, ts=_now_ms(), session=born.session, reason=reason)
        try:
            async with asyncio.timeout(_END_S):
                await self.publish(self._topics.status(self.options.node), encode(end), retain=True)
        except (SessionDown, TimeoutError) as problem:
            _LOG.warning("the end of node %s was not announced: %s", self.options.node, str(problem) or "no answer")

    async def _run(self) -> None:
        options = self.options
        lost = Backoff(options.first_retry_s, options.longest_retry_s)
        refused = Backoff(options.first_refused_s, options.longest_refused_s)
        short_lived = 0
        while True:
            before, started_s = self.connections, time.monotonic()
            try:
                await self._serve()
            except SessionRefused as error:
                delay_s = refused.next_s()
                self._say(f"refused {options.client_id}: {error}. {self._advice(error.code)}")
            except SessionDown as error:
                if self.connections > before and time.monotonic() - started_s >= STABLE_S:
                    short_lived = 0
                    lost.reset()
                    refused.reset()
                short_lived += self.connections > before
                delay_s = lost.next_s()
                # Mosquitto 2.0.11 closes a connection whose id is taken over without a word (no DISCONNECT 0x8E).
                hint = f". {self._advice(TAKEN_OVER)}?" if short_lived >= _SHORT_LIVED else ""
                self._say(f"is out of reach: {error}{hint}")
            await asyncio.sleep(delay_s)

    async def _serve(self) -> NoReturn:
        """One connection, from CONNECT until it ends with :class:`SessionDown`."""
        options, topics = self.options, self._topics
        born = self._birth()
        will = Status(NodeState.OFFLINE, ts=born.ts, session=born.session, reason="connection lost")
        status = topics.status(options.node)
        async with Connection(
            options.mqtt,
            client_id=options.client_id,
            clean_start=False,
            session_expiry_s=options.session_expiry_s,
            will=Will(status, encode(will)),
            window=options.window,
        ) as connection:
            await self._subscribe(connection)
            answer = await connection.publish(status, encode(born), retain=True)
            if answer.permanent:
                raise SessionRefused(f"may not publish {status}: {answer}", answer.code)
            self._connection = connection
            self.connections += 1
            self.connected.set()
            self.on_connected()
            self._say_connected(resumed=connection.session_present)
            try:
                async for message in connection.messages():
                    self._receive(message)
            finally:
                self._connection = None
                self.connected.clear()
        raise SessionDown("the connection ended")

    async def _subscribe(self, connection: Connection) -> None:
        """Subscribe at every connection: the broker may have lost the session, and subscribing again is harmless."""
        wanted = [
            Subscription(self._topics.commands(self.options.node), retain_as_published=True),
            Subscription(self._topics.stored(self.options.node)),
        ]
        for subscription, answer in zip(wanted, await connection.subscribe(wanted), strict=True):
            if not answer.delivered:
                _LOG.error(
                    "broker %s: %s may not subscribe to %s: %s. Telemetry goes on without it",
                    self.options.broker,
                    self.options.client_id,
                    subscription.topic_filter,
                    answer,
                )

    def _receive(self, message: Incoming) -> None:
        try:
            address = self._topics.parse(message.topic)
        except TopicError as error:
            _LOG.warning("message on a topic never subscribed to: %s", error)
            return
        if address.kind is Kind.STORED:
            self._receive_receipt(message)
        elif address.kind is Kind.COMMAND:
            received = ReceivedCommand.read(address.name, message)
            try:
                self._commands.put_nowait(received)
            except asyncio.QueueFull:
                self.on_overflow(received)

    def _receive_receipt(self, message: Incoming) -> None:
        if self._on_receipt is None or not message.payload:  # empty: the retained receipt was deleted
            return
        try:
            self._on_receipt(decode(message.payload, Receipt), message.retained)
        except PayloadError as error:
            _LOG.warning("receipt on %s ignored: %s", message.topic, error)

    def _say(self, what: str) -> None:
        now_s = time.monotonic()
        if self._outage.lost(now_s, what):
            down_s = self._outage.down_s(now_s)
            since = f" (for {down_s:.0f} s now)" if down_s >= 1 else ""
            _LOG.warning("broker %s %s%s; trying again until it answers", self.options.broker, what, since)

    def _say_connected(self, *, resumed: bool) -> None:
        down_s = self._outage.back(time.monotonic())
        after = "" if down_s is None else f" again after {down_s:.0f} s"
        if self.connections == 1 or down_s is not None:
            session = "session resumed" if resumed else "new session"
            _LOG.info("connected%s to broker %s as %s, %s", after, self.options.broker, self.options.client_id, session)

    def _advice(self, code: int) -> str:
        if code == TAKEN_OVER:
            return f"Another client uses the id {self.options.client_id}"
        if code in (0x84, 0x85, 0x86, NOT_AUTHORISED):
            return (
                "Check mqtt.username, mqtt.password_file and that the account belongs to this node id "
                f"(`iothub nodes add {self.options.node}` makes one)"
            )
        return "Look into the broker's log"


def _log_overflow(received: ReceivedCommand) -> None:
    _LOG.error("command %s dropped: %d others wait", received.name, _COMMANDS)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
