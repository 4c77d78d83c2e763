"""An MQTT 5 client for tests, on paho: every answer of the broker is kept with its reason code.

``with Device(mqtt) as device`` connects (AssertionError when refused); ``device.publish`` and ``device.subscribe``
return the reason code, ``device.messages`` holds what came, ``device.ended`` why the broker cut the connection.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hub.broker.credentials import password_of
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from paho.mqtt.reasoncodes import ReasonCode

    from wire.settings import MqttSettings

#: Reason codes (MQTT 5 §2.4) that tests name.
SUCCESS = 0x00
GRANTED_QOS_1 = 0x01
NO_SUBSCRIBERS = 0x10
NOT_AUTHORISED = 0x87
ADMINISTRATIVE = 0x98


class Device:
    """One connection. ``session_expiry_s`` > 0 asks for a session that outlives it."""

    def __init__(
        self,
        mqtt: MqttSettings,
        *,
        client_id: str | None = None,
        session_expiry_s: int = 0,
        will: tuple[str, bytes] | None = None,
    ) -> None:
        self._mqtt = mqtt
        self._expiry_s = session_expiry_s
        self._changed = threading.Condition()
        self._codes: dict[int, list[int]] = {}
        #: CONNACK reason code; None before it.
        self.connack: int | None = None
        self.session_present = False
        #: Reason code with which the connection ended; None while it lasts.
        self.ended: int | None = None
        self.messages: list[MQTTMessage] = []
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or mqtt.client_id or "",
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        if mqtt.username is not None:
            self._client.username_pw_set(mqtt.username, password_of(mqtt))
        if mqtt.tls:
            files = (str(file) if file is not None else None for file in (mqtt.ca_file, mqtt.cert_file, mqtt.key_file))
            ca_file, cert_file, key_file = files
            self._client.tls_set(ca_file, cert_file, key_file)
        if will is not None:
            self._client.will_set(*will, qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def connect(self) -> int:
        """CONNECT with Clean Start 0 and wait for the CONNACK; its reason code."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho annotates no constructor here
        properties.SessionExpiryInterval = self._expiry_s
        self._client.connect(self._mqtt.host, self._mqtt.port, clean_start=False, properties=properties)
        self._client.loop_start()
        wait_until(lambda: self.connack is not None or self.ended is not None, what="CONNACK")
        assert self.connack is not None, "the connection ended without a CONNACK"
        return self.connack

    def publish(self, topic: str, payload: bytes | str = b"x", *, retain: bool = False) -> int:
        """Publish at QoS 1; the PUBACK's reason code, or that of the DISCONNECT which came instead."""
        return self._answer(self._client.publish(topic, payload, qos=1, retain=retain).mid)

    def subscribe(self, topic_filter: str) -> int:
        """Subscribe at QoS 1; the SUBACK's reason code."""
        _, mid = self._client.subscribe(topic_filter, qos=1)
        assert mid is not None, "not connected"
        return self._answer(mid)

    def topics(self) -> list[str]:
        """Topics of the messages so far."""
        return [message.topic for message in self.messages]

    def disconnect(self) -> None:
        """Say goodbye: no will."""
        self._client.disconnect()
        self._close()

    def vanish(self) -> None:
        """Close the socket without DISCONNECT: the broker publishes the will."""
        self._close()

    def __enter__(self) -> Self:
        code = self.connect()
        if code != SUCCESS:
            self.disconnect()
        assert code == SUCCESS, f"CONNACK {code:#04x}"
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    def _close(self) -> None:
        self._client.loop_stop()
        self._client._reset_sockets()  # paho leaves this to the garbage collector, which warns

    def _answer(self, mid: int) -> int:
        with self._changed:
            came = self._changed.wait_for(lambda: mid in self._codes or self.ended is not None, timeout=60)
            assert came, "the broker did not answer within 10 s"
            codes = self._codes.pop(mid, None)
        if codes is not None:
            return codes[0]
        assert self.ended is not None
        return self.ended

    def _keep(self, mid: int, codes: list[ReasonCode]) -> None:
        with self._changed:
            self._codes[mid] = [code.value for code in codes]
            self._changed.notify_all()

    def _on_connect(self, _c: Client, _u: Any, flags: Any, code: ReasonCode, _p: Properties | None) -> None:
        self.session_present = flags.session_present
        self.connack = code.value

    def _on_disconnect(self, _c: Client, _u: Any, _f: Any, code: ReasonCode, _p: Properties | None) -> None:
        with self._changed:
            self.ended = code.value
            self._changed.notify_all()

    def _on_publish(self, _c: Client, _u: Any, mid: int, code: ReasonCode, _p: Properties) -> None:
        self._keep(mid, [code])

    def _on_subscribe(self, _c: Client, _u: Any, mid: int, codes: list[ReasonCode], _p: Properties | None) -> None:
        self._keep(mid, codes)

    def _on_message(self, _c: Client, _u: Any, message: MQTTMessage) -> None:
        self.messages.append(message)
