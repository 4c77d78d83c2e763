"""What an account may not do, once it is in: refused by the broker, and recorded (``broker.record_denied``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.device import GRANTED_QOS_1, NOT_AUTHORISED, SUCCESS, Device
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.opened import Opened, Witness
    from wire.settings import MqttSettings

FORBIDDEN = {
    "as another node": "iot/v1/n2/telemetry/m",
    "a reply of another node": "iot/v1/n2/reply/42",
    "a command to another node": "iot/v1/n2/cmd/reboot",
    "a command to itself": "iot/v1/n1/cmd/reboot",
    "a receipt": "iot/v1/n1/stored",
    "accounts": "$CONTROL/dynamic-security/v1",
    "figures of the broker": "$SYS/broker/uptime",
    "a line of the log": "Client hub disconnected, not authorised.",
}
UNREADABLE = {
    "commands of another node": "iot/v1/n2/cmd/+",
    "replies of another node": "iot/v1/n2/reply/+",
    "everything": "#",
    "all nodes": "iot/v1/+/telemetry/+",
    "figures of the broker": "$SYS/#",
    "accounts": "$CONTROL/#",
    "a share of all": "$share/g/iot/v1/#",
    "a share of its own": "$share/g/iot/v1/n1/cmd/+",
}


@pytest.fixture(scope="module")
def n1(opened: Opened) -> MqttSettings:
    opened.add_node("n2")
    return opened.by_tls(opened.node(opened.add_node("n1")))


@pytest.mark.parametrize("topic", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_refused_publish_is_recorded_with_client_and_topic(n1: MqttSettings, witness: Witness, topic: str) -> None:
    with Device(n1) as device:
        assert device.publish(topic, "forged", retain=True) == NOT_AUTHORISED
        assert witness.refused("publish", ("n1", topic))


@pytest.mark.parametrize("topic_filter", UNREADABLE.values(), ids=UNREADABLE)
def test_a_refused_subscription_is_recorded_with_client_and_filter(
    n1: MqttSettings, witness: Witness, topic_filter: str
) -> None:
    with Device(n1) as device:
        assert device.subscribe(topic_filter) == NOT_AUTHORISED
        assert device.subscribe("iot/v1/n1/cmd/+") == GRANTED_QOS_1
        assert witness.refused("subscribe", ("n1", topic_filter))


@pytest.mark.parametrize("topic", ["iot/v1/n2/status", "iot/v1/n1/cmd/reboot", "$CONTROL/dynamic-security/v1"])
def test_a_will_on_a_topic_of_another_is_never_published_and_is_recorded(
    opened: Opened, n1: MqttSettings, witness: Witness, topic: str
) -> None:
    with Device(opened.operator()) as reader:
        assert reader.subscribe("iot/v1/#") == GRANTED_QOS_1
        device = Device(n1, will=(topic, b"forged"))
        assert device.connect() == SUCCESS
        device.vanish()
        with Device(n1) as again:
            again.publish("iot/v1/n1/log", f"after {topic}")
        wait_until(lambda: f"after {topic}".encode() in [m.payload for m in reader.messages], what="a later message")
        assert b"forged" not in [message.payload for message in reader.messages]
    assert witness.refused("will", ("n1", topic))


def test_what_a_node_may_do_is_recorded_as_nothing(n1: MqttSettings, witness: Witness) -> None:
    with Device(n1, will=("iot/v1/n1/status", b"{}")) as device:
        assert device.subscribe("iot/v1/n1/cmd/+") == GRANTED_QOS_1
        assert device.publish("iot/v1/n1/telemetry/m", '{"x": 1}') < NOT_AUTHORISED
        assert device.publish("x") == NOT_AUTHORISED
        assert witness.refused("publish", ("n1", "x"))
    assert set(witness.kinds) == {"publish"}
