"""MQTT 5 link for the hot path: yields batches of messages, takes batches of acknowledgements.

    socket ──▶ Connection ──▶ batches waiting ──▶ Link.batch() ──▶ pipeline
                  ▲  pause/resume reading                              │
                  └────── in flight ≥ limit ◀── Link.acknowledge(batch)┘ PUBACK × n

One ``recv`` gives hundreds of PUBLISH packets; nothing is awaited per message. A batch stays *in flight* until it is
acknowledged. When too much is in flight the socket is not read, TCP pushes back and the broker queues: memory is flat.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Never

import numpy as np
import structlog

from hub.connection import Connection, Message, connect_packet
from hub.link_options import TAKEN_AT_ONCE, Filter, LinkDown, LinkError, LinkOptions, LinkRefused, Will
from hub.subscriptions import Subscriptions
from wire.packets import TOO_LARGE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Batch", "Filter", "Link", "LinkDown", "LinkError", "LinkOptions", "LinkRefused", "Message", "Will"]

_CONNECT_LIMIT_S: Final = 10.0
_BACKOFF_FIRST_S: Final = 0.2
_BACKOFF_LAST_S: Final = 30.0
#: A connection that lasted this long counts as stable and resets the back-off.
_STABLE_S: Final = 10.0
#: A lasting outage is said again this often.
_REMIND_S: Final = 60.0

_log = structlog.get_logger("hub.link")


class Batch:
    """Messages in order of arrival, of one connection."""

    __slots__ = ("connection", "messages", "size_bytes")

    def __init__(self, connection: object) -> None:
        self.connection = connection
        self.messages: list[Message] = []
        #: Bytes on the wire.
        self.size_bytes = 0


class Link:
    """A client that keeps a persistent session alive over any number of connections.

    ``run`` is one task; ``batch``, ``acknowledge`` and ``publish`` are called from other tasks of the same loop.

    Args:
        filters: what it subscribes to.
        on_connect: called at every connection, once subscribed.
        subscriptions: what the session subscribed to before; the first connection ends what ``filters`` lacks.
    """

    def __init__(
        self,
        options: LinkOptions,
        filters: Sequence[Filter] = (),
        *,
        on_connect: Callable[[], None] | None = None,
        subscriptions: Subscriptions | None = None,
    ) -> None:
        self._options = options
        self._filters = tuple(filters)
        self._subscriptions = subscriptions or Subscriptions()
        self._on_connect = on_connect
        self._connection: Connection | None = None
        self._waiting: deque[Batch] = deque()
        self._arrived = asyncio.Event()
        self._in_flight_messages = 0
        self._in_flight_bytes = 0
        self._stopped = False
        #: Set while the session is up.
        self.connected = asyncio.Event()
        #: Whether the broker has confirmed the subscriptions of this connection: from then on nothing passes us by.
        self.subscribed = False
        #: Why the link is down; empty while it is up.
        self.trouble = "not yet connected"
        self.received = 0
        self.connects = 0

    @property
    def in_flight_messages(self) -> int:
        """Messages read and not yet acknowledged."""
        return self._in_flight_messages

    # -- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> Never:
        """Connect, serve and reconnect until cancelled; an outage is said once, then every minute."""
        delay_s, said_at = _BACKOFF_FIRST_S, float("-inf")
        while True:
            began, connects = time.monotonic(), self.connects
            try:
                await self._serve()
            except TimeoutError:
                self.trouble = f"no answer within {_CONNECT_LIMIT_S:.0f} s"
            except (OSError, LinkError) as error:
                self.trouble = str(error)
            finally:
                await self._drop()
            now = time.monotonic()
            if self.connects > connects and now - began > _STABLE_S:
                delay_s, said_at = _BACKOFF_FIRST_S, float("-inf")
            if now - said_at >= _REMIND_S:
                said_at = now
                where = f"{self._options.host}:{self._options.port}"
                _log.warning("no connection to the broker, trying again", broker=where, why=self.trouble)
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311  jitter, not a secret
            delay_s = min(delay_s * 2, _BACKOFF_LAST_S)

    async def _serve(self) -> None:
        options = self._options
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_LIMIT_S):
            _, connection = await loop.create_connection(
                lambda: Connection(self._take, options.keep_alive_s), options.host, options.port, ssl=options.tls
            )
            self._connection = connection
            connection.send(connect_packet(options))
            session_present = await connection.connack
        self.connects += 1
        self.trouble = ""
        self.connected.set()
        _log.info("connected to the broker", host=options.host, port=options.port, session_present=session_present)
        ping = asyncio.create_task(connection.keep_alive(), name="link keep-alive")
        try:
            # No limit here: the SUBACK may stand behind a backlog that we read only as fast as we store it.
            await self._subscribe(connection)
            self.subscribed = True
            if self._on_connect is not None:
                self._on_connect()
            await connection.lost
        finally:
            ping.cancel()

    async def _subscribe(self, connection: Connection) -> None:
        lasting = [each for each in self._filters if not each.snapshot]
        topics = [each.topic for each in lasting]
        gone = self._subscriptions.begin(topics)
        if lasting:
            await connection.subscribe(lasting)
        if gone:  # after the others, so that what a wider one replaces is never without any
            await connection.unsubscribe(gone)
            _log.info("unsubscribed from what is wanted no more", filters=gone)
        self._subscriptions.done(topics)
        if snapshots := [each for each in self._filters if each.snapshot]:
            await connection.subscribe(snapshots, snapshot=True)

    async def _drop(self) -> None:
        self.connected.clear()
        self.subscribed = False
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.end()

    # -- messages in --------------------------------------------------------------------------------------------------

    async def batch(self) -> Batch:
        """Wait for messages and take all that have arrived; they stay in flight until acknowledged."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    def batch_nowait(self) -> Batch | None:
        """A batch that has arrived; None when there is none."""
        return self._waiting.popleft() if self._waiting else None

    def stop_reading(self) -> None:
        """Read nothing more, for good: what the broker still has stays there."""
        self._stopped = True
        if self._connection is not None:
            self._connection.pause()

    def acknowledge(self, batch: Batch) -> None:
        """Send the PUBACKs of a batch.

        Nothing is sent for a connection that is gone: the broker delivers those messages again.
        """
        self._in_flight_messages -= len(batch.messages)
        self._in_flight_bytes -= batch.size_bytes
        connection = self._connection
        if connection is None:
            return
        if batch.connection is connection:
            connection.send(encode_pubacks([m.packet_id for m in batch.messages if m.packet_id is not None]))
        if connection.paused and not self._stopped and not self._too_much(share=0.5):
            connection.resume()

    def _too_much(self, share: float) -> bool:
        return (
            self._in_flight_messages >= share * self._options.max_in_flight_messages
            or self._in_flight_bytes >= share * self._options.max_in_flight_bytes
        )

    def _take(self, connection: Connection, messages: list[Message], size_bytes: int) -> None:
        batch = self._waiting[-1] if self._waiting else None
        if batch is None or batch.connection is not connection or len(batch.messages) >= TAKEN_AT_ONCE:
            batch = Batch(connection)
            self._waiting.append(batch)
        batch.messages += messages
        batch.size_bytes += size_bytes
        self.received += len(messages)
        self._in_flight_messages += len(messages)
        self._in_flight_bytes += size_bytes
        self._arrived.set()
        if self._too_much(share=1.0):
            connection.pause()

    # -- messages out -------------------------------------------------------------------------------------------------

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: int | None = None
    ) -> int:
        """Publish one message and return the broker's PUBACK reason code (0 at once for QoS 0).

        What is larger than the broker takes is not sent: 0x95.

        Raises:
            LinkDown: no connection, or it broke before the PUBACK; whether the broker has the message is unknown.
        """
        connection = self._connection
        if connection is None or not self.connected.is_set():
            raise LinkDown(self.trouble or "not connected")
        try:
            code = await connection.publish(topic, payload, qos=qos, retain=retain, expiry_s=expiry_s)
        except LinkRefused as error:
            raise LinkDown(str(error)) from error
        if code == TOO_LARGE:
            _log.error("a message is larger than the broker takes: not sent", topic=topic, size_bytes=len(payload))
        return code


def encode_pubacks(packet_ids: Sequence[int]) -> bytes:
    """PUBACK packets with reason code 0, which MQTT 5 §3.4 lets end after the packet identifier.

    40 02 MSB LSB  40 02 MSB LSB  …
    """
    packets = np.empty((len(packet_ids), 2), dtype=">u2")
    packets[:, 0] = 0x4002
    packets[:, 1] = packet_ids
    return packets.tobytes()
