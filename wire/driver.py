"""aiomqtt, and paho below it, with what they leave out; :mod:`wire.connection` is the one that uses it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties

from wire.errors import SessionDown
from wire.packets import FAILURE, SUCCESS, PubAck

if TYPE_CHECKING:
    from collections.abc import Iterator

    import paho.mqtt.client as paho
    from paho.mqtt.reasoncodes import ReasonCode

DRIVER_LOG: Final = logging.getLogger("wire.connection.driver")
#: What the driver has to say comes as an error of ours with a cause; its own lines would tell everything twice.
DRIVER_LOG.addFilter(lambda _record: DRIVER_LOG.isEnabledFor(logging.DEBUG))


class Driver(aiomqtt.Client):
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
        """End an attempt whose socket aiomqtt leaves open and registered: without an answer, or cancelled."""
        if self._client.socket() is not None:
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
            answer = answer_of(reason_code)
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
            acknowledged.set_result(answer_of(reason_code))
        super()._on_publish(client, userdata, mid, reason_code, properties)


@contextlib.contextmanager
def cancelling_counts() -> Iterator[None]:
    """A task that is cancelled inside ends.

    aiomqtt waits by ``asyncio.wait_for``, which before Python 3.12 forgets a cancellation that comes in the same turn
    of the event loop as what it waits for (bpo-37658): whoever waits for the end of the task would wait for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError


def answer_of(code: ReasonCode | int | None) -> PubAck:
    """What the broker said; FAILURE where it gave no reason."""
    if code is None or isinstance(code, int):
        return PubAck(FAILURE if code is None else code, "Refused")
    return PubAck(code.value, str(code))


def properties_of(packet: int, **values: int | bytes | str | None) -> Properties:
    """Those of a packet that are not None, by their names in paho."""
    properties = Properties(packet)  # type: ignore[no-untyped-call]  # paho has no annotations there
    for name, value in values.items():
        if value is not None:
            setattr(properties, name, value)
    return properties
