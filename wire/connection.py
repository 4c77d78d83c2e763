"""One MQTT 5 connection; with :mod:`wire.driver` all that knows the driver (aiomqtt, and paho below it).

Made anew for every attempt to connect, so nothing of a broken connection reaches the next one. All runs on one event
loop, but for name look-up and TCP/TLS connect: there the driver blocks, so a thread does them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final, Self

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.subscribeoptions import SubscribeOptions

from wire.credentials import read_password, tls_files
from wire.driver import DRIVER_LOG, Driver, answer_of, cancelling_counts, properties_of
from wire.errors import SessionDown, SessionRefused
from wire.packets import TAKEN_OVER, TOO_LARGE, Incoming, PubAck, Subscription, Will

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from wire.settings import MqttSettings

_CLOSE_S: Final = 2.0
#: A PUBLISH beside its texts, at most: header 5, topic 2, packet id 2, properties 2, expiry 5, correlation 3.
_OVERHEAD_BYTES: Final = 19


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
        self._driver = Driver(
            settings.host,
            settings.port,
            username=settings.username,
            password=read_password(settings),
            identifier=client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=clean_start,
            properties=properties_of(PacketTypes.CONNECT, SessionExpiryInterval=session_expiry_s),
            keepalive=settings.keep_alive_s,
            will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True) if will else None,
            timeout=timeout_s,
            tls_params=aiomqtt.TLSParameters(*tls_files(settings)) if settings.tls else None,
            max_inflight_messages=window,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # a reply should not wait for an ACK
            logger=DRIVER_LOG,
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
            properties = properties_of(
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
            with cancelling_counts():
                codes = await self._driver.subscribe(wanted)
        except aiomqtt.MqttError as error:
            raise SessionDown(f"subscribing failed: {self._driver.why_closed or error}") from error
        return [answer_of(code) for code in codes]

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
            with cancelling_counts():
                await self._driver.__aenter__()
        except asyncio.CancelledError:
            self._driver.give_up()
            raise
        except MqttConnectError as error:
            answer = answer_of(error.rc)
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
        # The broker may not hear our goodbye: it is gone either way.
        with cancelling_counts(), contextlib.suppress(aiomqtt.MqttError):
            await self._driver.__aexit__(None, None, None)
        self._driver.fail_waiting("the connection was closed")

    def _end(self) -> SessionDown:
        text = self._driver.why_closed or "the connection ended"
        return SessionRefused(text, TAKEN_OVER) if self._driver.closed_by == TAKEN_OVER else SessionDown(text)


def _incoming(message: aiomqtt.Message) -> Incoming:
    return Incoming(
        topic=str(message.topic),
        payload=bytes(message.payload),
        retained=bool(message.retain),
        response_topic=getattr(message.properties, "ResponseTopic", None),
        correlation_data=getattr(message.properties, "CorrelationData", None),
    )
