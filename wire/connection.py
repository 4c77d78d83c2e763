"""One MQTT 5 connection: the only file that knows the driver (aiomqtt, and paho below it).

Made anew for every attempt to connect, so nothing of a broken connection reaches the next one. All runs on one event
loop, but for name look-up and TCP/TLS connect: there the driver blocks, so a thread does them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Any, Final, Self

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from wire.credentials import read_password, tls_files
from wire.errors import SessionDown, SessionRefused
from wire.packets import FAILURE, SUCCESS, TAKEN_OVER, TOO_LARGE, Incoming, PubAck, Subscription, Will

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import paho.mqtt.client as paho
    from paho.mqtt.reasoncodes import ReasonCode

    from wire.settings import MqttSettings

_CLOSE_S: Final = 2.0
#: A PUBLISH beside its texts, at most: header 5, topic 2, packet id 2, properties 2, expiry 5, correlation 3.
_OVERHEAD_BYTES: Final = 19
_DRIVER_LOG: Final = logging.getLogger("wire.connection.driver")
#: What the driver has to say comes as an error of ours with a cause; its own lines would tell everything twice.
_DRIVER_LOG.addFilter(lambda _record: _DRIVER_LOG.isEnabledFor(logging.DEBUG))


class Connection:
    """A connected MQTT 5 client between ``async with`` and its end.

    Args:
        settings: Broker, credentials, TLS and keep-alive. The password file is read at each connection.
        client_id: Bound to the account by our broker settings, so not free to choose.
        clean_start: False keeps the session. Mosquitto saves none that was last opened with True.
        session_expiry_s: How long the broker keeps subscriptions and queued messages for us while we are away.
        window: Messages that may wait for their acknowledgement; the broker may lower it.

    Entering raises:
        SessionRefused: the broker answered and refused.
        SessionDown: anything else; the text says what happened.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        client_id: str,
        clean_start: bool,
        session_expiry_s: int = 0,
        will: Will | None = None,
        window: int = 100,
        timeout_s: float = 10.0,
    ) -> None:
        self._driver = _Driver(
            settings.host,
            settings.port,
            username=settings.username,
            password=read_password(settings),
            identifier=client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=clean_start,
            properties=_properties(PacketTypes.CONNECT, SessionExpiryInterval=session_expiry_s),
            keepalive=settings.keep_alive_s,
            will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True) if will else None,
            timeout=timeout_s,
            tls_params=aiomqtt.TLSParameters(*tls_files(settings)) if settings.tls else None,
            max_inflight_messages=window,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # a reply should not wait for an ACK
            logger=_DRIVER_LOG,
        )
        self._window = window
        self._slots = asyncio.Semaphore(window)

    @property
    def session_present(self) -> bool:
        """Whether the broker still had our subscriptions and queued messages."""
        return self._driver.session_present

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
        """Publish, and wait for the broker's acknowledgement (QoS 0: until it is handed to the socket).

        Many calls may wait at once, up to the window; one that finds it full waits for its turn. A message larger than
        the broker takes is answered with 0x95 here, because Mosquitto would close the connection over it.

        Raises:
            SessionDown: the connection ended first; whether the broker has the message is unknown.
        """
        properties = None
        if expiry_s is not None or correlation_data is not None:
            properties = _properties(
                PacketTypes.PUBLISH, MessageExpiryInterval=expiry_s, CorrelationData=correlation_data
            )
        limit_bytes = self._driver.maximum_packet_bytes
        if _OVERHEAD_BYTES + len(topic.encode()) + len(correlation_data or b"") + len(payload) > limit_bytes:
            return PubAck(TOO_LARGE, f"Packet too large: the broker takes {limit_bytes} bytes")
        async with self._slots:
            return await self._driver.send(topic, payload, qos, retain=retain, properties=properties)

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> list[PubAck]:
        """Subscribe; the broker's answer to each, in order (0x87: not authorised).

        Raises:
            SessionDown: the connection ended or the broker did not answer in time.
        """
        wanted = [
            (each.topic_filter, SubscribeOptions(qos=each.qos, retainAsPublished=each.retain_as_published))
            for each in subscriptions
        ]
        try:
            codes = await self._driver.subscribe(wanted)
        except aiomqtt.MqttError as error:
            raise SessionDown(f"subscribing failed: {self._driver.why_closed or error}") from error
        return [_answer(code) for code in codes]

    async def messages(self) -> AsyncIterator[Incoming]:
        """Messages as they arrive; one consumer.

        Raises:
            SessionDown: the connection ended; this is how its owner learns of it.
            SessionRefused: another client took our id; coming back at once would start a fight.
        """
        try:
            async for message in self._driver.messages:
                yield _incoming(message)
        except aiomqtt.MqttError as error:
            raise self._end() from error

    async def __aenter__(self) -> Self:
        try:
            await self._driver.__aenter__()
        except MqttConnectError as error:
            answer = _answer(error.rc)
            raise SessionRefused(str(answer), answer.code) from error
        except (aiomqtt.MqttError, ValueError) as error:  # ValueError: a broken certificate file
            self._driver.give_up()
            raise SessionDown(str(error)) from error
        if self._driver.why_closed:  # right after CONNACK; aiomqtt forgets that it saw it
            raise self._end()
        self._driver.watch()
        self._slots = asyncio.Semaphore(min(self._window, self._driver.receive_maximum))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._driver.timeout = _CLOSE_S
        with contextlib.suppress(aiomqtt.MqttError):  # the broker does not hear our goodbye: it is gone either way
            await self._driver.__aexit__(None, None, None)
        self._driver.fail_waiting("the connection was closed")

    def _end(self) -> SessionDown:
        text = self._driver.why_closed or "the connection ended"
        return SessionRefused(text, TAKEN_OVER) if self._driver.closed_by == TAKEN_OVER else SessionDown(text)


class _Driver(aiomqtt.Client):
    """aiomqtt with what it leaves out.

    aiomqtt 2.5 connects paho to the event loop, which is what we want of it, but its ``publish`` wakes up on any PUBACK
    and drops the reason code, and its CONNACK handler drops session present and the broker's limits. Three callbacks
    are extended to keep them, and ``send`` goes to paho directly, so that each message gets a future of its own.
    """

    session_present = False
    receive_maximum = 65_535
    maximum_packet_bytes = 268_435_460
    #: Why the connection ended, in the broker's words where it gave any, and its reason code.
    why_closed = ""
    closed_by: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: By packet id, in the order they were sent.
        self._unacknowledged: dict[int, asyncio.Future[PubAck]] = {}

    async def send(
        self, topic: str, payload: bytes, qos: int, *, retain: bool, properties: Properties | None
    ) -> PubAck:
        if self._disconnected.done() or not self._connected.done():
            raise SessionDown(self.why_closed or "not connected")
        info = self._client.publish(topic, payload, qos, retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise SessionDown(f"not sent: {info.rc.name}")
        if qos == 0:
            return PubAck(SUCCESS, "Success")
        # No race: this event loop reads the acknowledgements, and it is busy here.
        acknowledged: asyncio.Future[PubAck] = self._loop.create_future()
        self._unacknowledged[info.mid] = acknowledged
        return await acknowledged

    def watch(self) -> None:
        """From now on the end of the connection fails those who wait."""
        self._disconnected.add_done_callback(self._ended)

    def give_up(self) -> None:
        """End an attempt without answer, whose socket aiomqtt leaves open and registered."""
        self._client.disconnect()

    def fail_waiting(self, reason: str) -> None:
        for acknowledged in self._unacknowledged.values():
            if not acknowledged.done():
                acknowledged.set_exception(SessionDown(f"{reason} before the message was acknowledged"))
        for subscribed in self._pending_subscribes.values():  # aiomqtt would wait for its time limit
            if not subscribed.done():
                subscribed.set_exception(aiomqtt.MqttError(reason))

    def _ended(self, disconnected: asyncio.Future[None]) -> None:
        error = None if disconnected.cancelled() else disconnected.exception()
        self.fail_waiting(self.why_closed or str(error or "the connection ended"))

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        self.session_present = flags.session_present
        self.receive_maximum = getattr(properties, "ReceiveMaximum", self.receive_maximum)
        self.maximum_packet_bytes = getattr(properties, "MaximumPacketSize", self.maximum_packet_bytes)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            answer = _answer(reason_code)
            self.why_closed, self.closed_by = f"the broker ended the connection: {answer}", answer.code
            if answer.permanent:
                # Brokers may end the connection over a message they refuse (MQTT 5 §4.13). They work in order, so the
                # oldest without an answer is the one; sending it again would end the next connection too.
                oldest = next(iter(self._unacknowledged.values()), None)
                if oldest is not None and not oldest.done():
                    oldest.set_result(answer)
        elif not self.why_closed:
            self.why_closed = "the connection broke"
        if not self._connected.done():  # aiomqtt would wait for its time limit
            self._connected.set_exception(aiomqtt.MqttError("closed before it answered; is it an MQTT 5 broker?"))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()  # seen: asyncio complains about errors that nobody looks at

    def _on_publish(
        self, client: paho.Client, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        acknowledged = self._unacknowledged.pop(mid, None)
        if acknowledged is not None and not acknowledged.done():
            acknowledged.set_result(_answer(reason_code))
        super()._on_publish(client, userdata, mid, reason_code, properties)


def _answer(code: ReasonCode | int | None) -> PubAck:
    if code is None or isinstance(code, int):
        return PubAck(FAILURE if code is None else code, "Refused")
    return PubAck(code.value, str(code))


def _incoming(message: aiomqtt.Message) -> Incoming:
    return Incoming(
        topic=str(message.topic),
        payload=bytes(message.payload),
        retained=bool(message.retain),
        response_topic=getattr(message.properties, "ResponseTopic", None),
        correlation_data=getattr(message.properties, "CorrelationData", None),
    )


def _properties(packet: int, **values: int | bytes | str | None) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call]  # paho has no annotations there
    for name, value in values.items():
        if value is not None:
            setattr(properties, name, value)
    return properties
