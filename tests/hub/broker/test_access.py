"""What each account may do on a real Mosquitto. The node under test is ``n1``; ``n2`` is another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.device import GRANTED_QOS_1, NOT_AUTHORISED, SUCCESS, Device
from tests.support.secured import Secured
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from wire.settings import MqttSettings


@pytest.fixture(scope="module")
def n1(shared_broker: Secured) -> MqttSettings:
    return shared_broker.node(shared_broker.add_node("n1"))


@pytest.fixture(scope="module")
def n2(shared_broker: Secured) -> MqttSettings:
    return shared_broker.node(shared_broker.add_node("n2"))


def test_nobody_gets_in_without_an_account(shared_broker: Secured) -> None:
    stranger = shared_broker.settings.mqtt.model_copy(update={"port": shared_broker.port, "client_id": "n1"})
    device = Device(stranger)
    assert device.connect() == NOT_AUTHORISED
    device.disconnect()


def test_a_wrong_password_is_refused(shared_broker: Secured, n1: MqttSettings) -> None:
    device = Device(n1.model_copy(update={"password_file": shared_broker.operator().password_file}))
    assert device.connect() == NOT_AUTHORISED
    device.disconnect()


@pytest.mark.parametrize("client_id", ["n2", "hub", "n1x", "N1", "agent-host", ""])
def test_the_credentials_of_a_node_are_worth_nothing_under_another_client_id(n1: MqttSettings, client_id: str) -> None:
    device = Device(n1.model_copy(update={"client_id": client_id}))
    assert device.connect() == NOT_AUTHORISED
    device.disconnect()


def test_a_node_cannot_take_over_the_session_of_the_hub(shared_broker: Secured, n1: MqttSettings) -> None:
    with Device(shared_broker.hub(), session_expiry_s=60) as hub:
        assert hub.subscribe("iot/v1/n1/#") == GRANTED_QOS_1
        thief = Device(n1, client_id="hub")
        assert thief.connect() == NOT_AUTHORISED
        thief.disconnect()
        with Device(n1) as node:
            assert node.publish("iot/v1/n1/log", "still here") == SUCCESS
        wait_until(lambda: "iot/v1/n1/log" in hub.topics(), what="the hub still receives")
        assert hub.ended is None


@pytest.mark.parametrize("topic", ["status", "telemetry/room", "telemetry/a b", "log", "reply/42"])
def test_a_node_publishes_its_own_topics(shared_broker: Secured, n1: MqttSettings, topic: str) -> None:
    with Device(shared_broker.hub()) as hub, Device(n1) as node:
        assert hub.subscribe("iot/v1/#") == GRANTED_QOS_1
        assert node.publish(f"iot/v1/n1/{topic}") == SUCCESS
        wait_until(lambda: f"iot/v1/n1/{topic}" in hub.topics(), what="the hub has it")


@pytest.mark.parametrize(
    "topic",
    [
        "iot/v1/n2/telemetry/room",
        "iot/v1/n2/status",
        "iot/v1/n2/cmd/reboot",
        "iot/v1/n1/cmd/reboot",
        "iot/v1/n1/stored",
        "iot/v1/n1/alert/hot",
        "iot/v1/n1/stats/cpu",
        "iot/v1/n1",
        "iot/v1/n1/telemetry",
        "iot/v1/n1/telemetry/a/b",
        "iot/v1/n1/reply/1/2",
        "iot/v1/$hub/h/status",
        "iot/v1",
        "zigbee2mqtt/lamp",
        "$SYS/broker/uptime",
        "$CONTROL/dynamic-security/v1",
        "$share/hub/iot/v1/n1/telemetry/room",
        "/",
        "x",
    ],
)
def test_a_node_publishes_nothing_else(shared_broker: Secured, n1: MqttSettings, topic: str) -> None:
    with Device(shared_broker.hub()) as hub:
        assert hub.subscribe("iot/v1/#") == GRANTED_QOS_1
        device = Device(n1)
        assert device.connect() == SUCCESS
        assert device.publish(topic, "forged", retain=True) >= 0x80
        device.disconnect()
        with Device(n1) as node:
            node.publish("iot/v1/n1/log", "after it")
        wait_until(lambda: "iot/v1/n1/log" in hub.topics(), what="a message sent later")
        assert "forged" not in [message.payload.decode() for message in hub.messages]


@pytest.mark.parametrize("topic_filter", ["cmd/+", "cmd/reboot", "stored"])
def test_a_node_subscribes_to_its_own_commands_and_receipts(n1: MqttSettings, topic_filter: str) -> None:
    with Device(n1) as node:
        assert node.subscribe(f"iot/v1/n1/{topic_filter}") == GRANTED_QOS_1


@pytest.mark.parametrize(
    "topic_filter",
    [
        "#",
        "+/#",
        "iot/#",
        "iot/v1/#",
        "iot/v1/+/cmd/+",
        "iot/v1/+/stored",
        "iot/v1/n1/#",
        "iot/v1/n1/+",
        "iot/v1/n1/+/+",
        "iot/v1/n1/cmd/#",
        "iot/v1/n1/telemetry/room",
        "iot/v1/n1/status",
        "iot/v1/n2/telemetry/room",
        "iot/v1/n2/cmd/+",
        "iot/v1/n2/cmd/reboot",
        "iot/v1/n2/stored",
        "$SYS/#",
        "$SYS/broker/uptime",
        "$CONTROL/#",
        "$CONTROL/dynamic-security/v1/response",
        "$share/hub/iot/v1/#",
        "$share/hub/iot/v1/n2/telemetry/room",
        "$share/hub/#",
    ],
)
def test_a_node_subscribes_to_nothing_else(n1: MqttSettings, topic_filter: str) -> None:
    with Device(n1) as node:
        assert node.subscribe(topic_filter) == NOT_AUTHORISED


def test_a_node_cannot_share_its_own_commands_with_a_group(n1: MqttSettings) -> None:
    with Device(n1) as node:
        assert node.subscribe("$share/thieves/iot/v1/n1/cmd/+") == NOT_AUTHORISED


def test_a_node_receives_its_commands(shared_broker: Secured, n1: MqttSettings, n2: MqttSettings) -> None:
    with Device(n1) as node, Device(n2) as other, Device(shared_broker.operator()) as operator:
        assert node.subscribe("iot/v1/n1/cmd/+") == GRANTED_QOS_1
        assert other.subscribe("iot/v1/n2/cmd/+") == GRANTED_QOS_1
        assert operator.publish("iot/v1/n1/cmd/blink") == SUCCESS
        assert operator.publish("iot/v1/n2/cmd/beep") == SUCCESS
        wait_until(lambda: node.messages and other.messages, what="both commands")
        assert node.topics() == ["iot/v1/n1/cmd/blink"]
        assert other.topics() == ["iot/v1/n2/cmd/beep"]


def test_a_will_on_the_own_status_is_published(shared_broker: Secured, n1: MqttSettings) -> None:
    with Device(shared_broker.hub()) as hub:
        assert hub.subscribe("iot/v1/n1/status") == GRANTED_QOS_1
        device = Device(n1, will=("iot/v1/n1/status", b"the will"))
        assert device.connect() == SUCCESS
        device.vanish()
        wait_until(lambda: b"the will" in [m.payload for m in hub.messages], what="the will")


def test_a_will_on_the_status_of_another_node_is_never_published(
    shared_broker: Secured, n1: MqttSettings, n2: MqttSettings
) -> None:
    with Device(shared_broker.hub()) as hub:
        assert hub.subscribe("iot/v1/n2/#") == GRANTED_QOS_1
        device = Device(n1, will=("iot/v1/n2/status", b"forged"))
        if device.connect() == SUCCESS:
            device.vanish()
        with Device(n1):  # the broker has dealt with the end of the connection before it
            pass
        with Device(n2) as other:
            other.publish("iot/v1/n2/log", "after it")
        wait_until(lambda: "iot/v1/n2/log" in hub.topics(), what="a message sent later")
        assert b"forged" not in [message.payload for message in hub.messages]


def test_the_hub_sees_the_figures_of_the_broker(shared_broker: Secured) -> None:
    with Device(shared_broker.hub()) as hub:
        assert hub.subscribe("$SYS/broker/publish/messages/dropped") == GRANTED_QOS_1
        wait_until(lambda: hub.messages, what="a figure")


def test_the_hub_subscribes_where_it_must_and_nowhere_else(shared_broker: Secured) -> None:
    with Device(shared_broker.hub()) as hub:
        assert hub.subscribe("iot/v1/#") == GRANTED_QOS_1
        assert hub.subscribe("#") == NOT_AUTHORISED
        assert hub.subscribe("$CONTROL/dynamic-security/v1/response") == NOT_AUTHORISED
        assert hub.subscribe("$share/g/iot/v1/#") == NOT_AUTHORISED


def test_an_operator_sees_all_and_commands_but_plays_neither_hub_nor_status(shared_broker: Secured) -> None:
    with Device(shared_broker.operator()) as operator:
        assert operator.subscribe("iot/v1/#") == GRANTED_QOS_1
        assert operator.subscribe("$SYS/#") == NOT_AUTHORISED
        assert operator.publish("iot/v1/n1/cmd/blink") == SUCCESS
        assert operator.publish("iot/v1/n1/telemetry/room") == SUCCESS
    for forbidden in ("iot/v1/n1/stored", "iot/v1/n1/status", "iot/v1/n1/reply/1", "$CONTROL/dynamic-security/v1"):
        with Device(shared_broker.operator()) as operator:
            assert operator.publish(forbidden) >= 0x80


def test_admin_manages_accounts_and_sees_no_data(shared_broker: Secured) -> None:
    with Device(shared_broker.admin()) as admin:
        assert admin.subscribe("$CONTROL/dynamic-security/v1/response") == GRANTED_QOS_1
        assert admin.subscribe("iot/v1/#") == NOT_AUTHORISED
        assert admin.publish("iot/v1/n1/cmd/blink") >= 0x80


def test_the_hub_reads_the_sources_of_the_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    source = {"filter": "zigbee2mqtt/#", "format": "json", "node": "{2}"}
    with Secured(tmp_path_factory.mktemp("sources"), {"sources": [source]}) as broker, Device(broker.hub()) as hub:
        assert hub.subscribe("zigbee2mqtt/#") == GRANTED_QOS_1
        assert hub.subscribe("tele/+/SENSOR") == NOT_AUTHORISED
