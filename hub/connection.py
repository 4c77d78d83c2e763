"""One MQTT 5 connection as an ``asyncio`` protocol over the sans-I/O codec ``mqtt5``; the only file that knows it.

recv ──▶ buffer ──▶ mqtt5.read × n ─┬─ PUBLISH × n ──▶ take(connection, messages, bytes)
└─ CONNACK, SUBACK, UNSUBACK, PUBACK, DISCONNECT ──▶ futures
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import mqtt5

from hub.link_options import TAKEN_AT_ONCE, LinkDown, LinkError, LinkOptions, LinkRefused
from wire.packets import TOO_LARGE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hub.link_options import Filter

_READ_BYTES: Final = 1 << 20
#: After a read of less than this the socket is left alone for a moment, so that the next read finds more.
_FULL_READ_BYTES: Final = 1 << 17
_REST_S: Final = 0.002
#: The broker hangs up as soon as it reads our DISCONNECT, which stands behind our acknowledgements.
_END_LIMIT_S: Final = 3.0
#: Reason codes from here on say no.
_REFUSED: Final = 0x80
_PACKET_IDS: Final = 65_535
_HEADERS_BYTES: Final = 15  # of a PUBLISH at most: fixed header 5, length of the topic 2, identifier 2, expiry 6

#: A received PUBLISH: topic, payload, retain, packet_id (None at QoS 0), response_topic, correlation_data, …
Message = mqtt5.PublishPacket


class Connection(asyncio.BufferedProtocol):
    """One TCP connection: frames packets, answers control packets, hands PUBLISH packets to the link."""

    def __init__(self, take: Callable[[Connection, list[Message], int], None], keep_alive_s: int) -> None:
        loop = asyncio.get_running_loop()
        self._take = take
        self._keep_alive_s = keep_alive_s
        self._buffer = bytearray(_READ_BYTES)
        self._filled = 0
        self._heard = time.monotonic()
        self._suback: asyncio.Future[list[int]] = loop.create_future()
        self._puback: dict[int, asyncio.Future[int]] = {}
        self._next_id = 0
        self._window = asyncio.Semaphore(1)
        self._most_bytes: float = math.inf
        self.transport: asyncio.Transport
        self.connack: asyncio.Future[bool] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self._closed = asyncio.Event()
        self.paused = False
        self._resting = False

    # -- asyncio.BufferedProtocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  create_connection gives no other
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  the size is ours to choose
        if self._filled * 2 > len(self._buffer):
            self._buffer = self._buffer + bytearray(len(self._buffer))
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._heard = time.monotonic()
        end = self._filled + nbytes
        view, messages = memoryview(self._buffer)[:end], list[Message]()
        start, taken, read, publish = 0, 0, mqtt5.read, mqtt5.PublishPacket
        try:
            while start < end:
                packet, size = read(view[start:])
                start += size
                if type(packet) is publish:
                    messages.append(packet)
                    if len(messages) >= TAKEN_AT_ONCE:
                        self._take(self, messages, start - taken)
                        messages, taken = [], start
                else:
                    self._control(packet)
        except IndexError:
            pass  # the rest of the packet is still on its way
        except ValueError as error:
            self._fail(LinkDown(f"the broker sent a malformed packet: {error}"))
        self._filled = end - start
        if self._filled and start:
            self._buffer[: self._filled] = bytes(view[start:])
        if len(self._buffer) > _READ_BYTES and self._filled < _READ_BYTES // 2:
            self._buffer = self._buffer[:_READ_BYTES]
        if messages:
            self._take(self, messages, start - taken)
        if nbytes < _FULL_READ_BYTES:
            self._rest()

    def eof_received(self) -> None:
        self._fail(LinkDown("the broker closed the connection"))

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(LinkDown(f"connection lost: {error}" if error else "connection closed"))
        self._closed.set()

    # -- used by the link ---------------------------------------------------------------------------------------------

    def send(self, packets: bytes) -> None:
        if packets and not self.transport.is_closing():
            self.transport.write(packets)

    async def end(self) -> None:
        """Say DISCONNECT, which keeps the session and withholds the will, and wait until the broker hangs up."""
        # Read and drop what it still sends: closing with data unread resets the connection, our last PUBACKs with it.
        self._take = _drop
        try:
            if self.connack.done() and not self.connack.cancelled() and not self.transport.is_closing():
                self.send(mqtt5.DisconnectPacket().write())
                self.resume()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_END_LIMIT_S):
                        await self._closed.wait()
        finally:
            self.transport.abort()

    def pause(self) -> None:
        if not self.paused:
            self.paused = True
            if not self._resting:
                self.transport.pause_reading()

    def resume(self) -> None:
        if self.paused:
            self.paused = False
            self._heard = time.monotonic()
            if not self._resting:
                self.transport.resume_reading()

    def _rest(self) -> None:
        """Read again in a moment: a broker writes message by message, and a wake-up costs more than a message."""
        if not self._resting and not self.paused and not self.transport.is_closing():
            self._resting = True
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(_REST_S, self._rested)

    def _rested(self) -> None:
        self._resting = False
        if not self.paused and not self.transport.is_closing():
            self.transport.resume_reading()

    async def subscribe(self, filters: Sequence[Filter], *, snapshot: bool = False) -> None:
        """Subscribe at QoS 1; messages that arrive before the SUBACK are delivered like any other.

        Args:
            filters: at least one.
            snapshot: take the retained messages once more, and end the subscription at once: were it to stay, Mosquitto
                would deliver what matches two overlapping filters twice.

        Raises:
            LinkRefused, LinkDown: the broker refused a filter, or ended the connection; the connection broke.
        """
        self._check_alive()
        always, once = mqtt5.RetainHandling.SEND_ALWAYS, mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS
        wanted = [
            mqtt5.TopicFilter(
                topic_filter.topic,
                max_qos=mqtt5.QoS.AT_LEAST_ONCE,
                no_local=not topic_filter.topic.startswith("$"),
                # So that RETAIN marks what was stored before we came, and live messages never carry it.
                retain_as_published=False,
                retain_handling=always if snapshot or topic_filter.anew else once,
            )
            for topic_filter in filters
        ]
        self._suback = asyncio.get_running_loop().create_future()
        self.send(mqtt5.SubscribePacket(self._packet_id(), wanted).write())
        for topic_filter, code in zip(filters, await self._suback, strict=True):
            if code >= _REFUSED and not topic_filter.optional:
                why = _words(mqtt5.SubAckReasonCode(code))
                raise LinkRefused(f"the broker refused the subscription to {topic_filter.topic!r}: {why}")
        if snapshot:
            await self.unsubscribe([topic_filter.topic for topic_filter in filters])

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """End subscriptions, which may be none; raises as :meth:`subscribe` does."""
        self._check_alive()
        self._suback = asyncio.get_running_loop().create_future()
        self.send(mqtt5.UnsubscribePacket(self._packet_id(), list(topics)).write())
        await self._suback

    async def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None) -> int:
        """Publish one message; see :meth:`hub.link.Link.publish`. Raises as :meth:`subscribe` does."""
        self._check_alive()
        if len(topic.encode()) + len(payload) + _HEADERS_BYTES > self._most_bytes:
            return TOO_LARGE  # the broker would end the connection, and so again at each attempt
        make = partial(mqtt5.PublishPacket, topic, payload, retain=retain, message_expiry_interval=expiry_s)
        if qos == 0:
            self.send(make().write())
            return 0
        async with self._window:
            self._check_alive()
            packet_id = self._packet_id()
            self._puback[packet_id] = done = asyncio.get_running_loop().create_future()
            try:
                self.send(make(qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id).write())
                return int(await done)
            finally:
                self._puback.pop(packet_id, None)

    async def keep_alive(self) -> None:
        """Send PINGREQ often enough, and give up on a broker that has been silent too long."""
        while True:
            await asyncio.sleep(self._keep_alive_s / 2)
            self.send(mqtt5.PingReqPacket().write())
            silent_s = time.monotonic() - self._heard
            if not self.paused and silent_s > 1.5 * self._keep_alive_s:
                self._fail(LinkDown(f"nothing heard from the broker for {silent_s:.0f} s"))

    # -- control packets ----------------------------------------------------------------------------------------------

    def _control(self, packet: mqtt5.Packet) -> None:
        match packet:
            case mqtt5.PubAckPacket():
                waiting = self._puback.get(packet.packet_id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(int(packet.reason_code))
            case mqtt5.ConnAckPacket() if not self.connack.done():
                self._on_connack(packet)
            case mqtt5.SubAckPacket() | mqtt5.UnsubAckPacket() if not self._suback.done():
                self._suback.set_result([int(code) for code in packet.reason_codes])
            case mqtt5.DisconnectPacket():
                why = packet.reason_str or _words(packet.reason_code)
                self._fail(LinkRefused(f"the broker ended the connection: {why}"))
            case _:
                pass  # PINGRESP: having heard it is all that matters

    def _on_connack(self, packet: mqtt5.ConnAckPacket) -> None:
        if packet.reason_code != mqtt5.ConnAckReasonCode.SUCCESS:
            why = packet.reason_str or _words(packet.reason_code)
            self._fail(LinkRefused(f"the broker refused the connection: {why}"))
            return
        self._window = asyncio.Semaphore(packet.receive_max)
        self._most_bytes = packet.max_packet_size or math.inf
        # 0 switches it off for the broker, not for us: how else would we notice that it is gone?
        if packet.server_keep_alive:
            self._keep_alive_s = packet.server_keep_alive
        self.connack.set_result(packet.session_present)

    def _packet_id(self) -> int:
        for _ in range(_PACKET_IDS):
            self._next_id = self._next_id % _PACKET_IDS + 1
            if self._next_id not in self._puback:
                return self._next_id
        raise LinkDown("all packet identifiers are in use")

    def _check_alive(self) -> None:
        """Raise what broke the connection: nobody would tell those who begin to wait after that."""
        if self.lost.done():
            raise (None if self.lost.cancelled() else self.lost.exception()) or LinkDown("the link has ended")

    def _fail(self, error: LinkError) -> None:
        waiting: list[asyncio.Future[Any]] = [self.connack, self._suback, self.lost, *self._puback.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(error)
                future.exception()  # nobody may be waiting for this one: that is no error of its own
        if not self.transport.is_closing():
            self.transport.abort()


def _drop(_connection: Connection, _messages: list[Message], _size_bytes: int) -> None:
    """Takes what a connection brings that is ending."""


def _words(code: object) -> str:
    """``<SubAckReasonCode.NOT_AUTHORIZED: 135>`` as ``not authorized``; the enums of the codec have no ``name``."""
    return repr(code).rpartition(".")[2].partition(":")[0].lower().replace("_", " ")


def connect_packet(options: LinkOptions) -> bytes:
    """CONNECT for a persistent session."""
    will = options.will
    return mqtt5.ConnectPacket(
        options.client_id,
        username=options.username,
        password=options.password.encode() if options.password is not None else None,
        # Mosquitto saves no session that was opened with Clean Start 1.
        clean_start=False,
        will=None
        if will is None
        else mqtt5.Will(will.topic, payload=will.payload, qos=mqtt5.QoS.AT_LEAST_ONCE, retain=will.retain),
        keep_alive=options.keep_alive_s,
        session_expiry_interval=options.session_expiry_s,
        receive_max=options.receive_max,
    ).write()
