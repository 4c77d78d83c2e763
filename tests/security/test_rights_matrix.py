"""Who may publish and read what: every identity against every topic, on a real broker with our rights."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hub.broker.accounts import Accounts
from hub.broker.people import People
from hub.broker.rights import PersonRole
from tests.support.device import GRANTED_QOS_1, NOT_AUTHORISED, Device
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.opened import Opened
    from wire.settings import MqttSettings

#: Topics of three nodes: n1 and n2 have accounts, lamp is reached via gw.
NODES = ("n1", "n2", "gw", "lamp")
LEVELS = ("status", "telemetry/m", "log", "cmd/reboot", "reply/r1", "stored", "alert/a", "stats/m")
ELSEWHERE = (
    "iot/v1/$hub/h/status",
    "iot/v1/$hub/h/cmd/ack",
    "$SYS/broker/uptime",
    "$CONTROL/dynamic-security/v1",
    "zigbee2mqtt/lamp",
    "x",
)
TOPICS = tuple(f"iot/v1/{node}/{level}" for node in NODES for level in LEVELS) + ELSEWHERE
WILDCARDS = (
    "#",
    "+/#",
    "iot/v1/#",
    "iot/v1/+/cmd/+",
    "iot/v1/+/reply/+",
    "iot/v1/+/telemetry/+",
    "iot/v1/n2/#",
    "iot/v1/lamp/#",
    "$SYS/#",
    "$CONTROL/#",
    "$share/g/iot/v1/#",
    "$share/g/iot/v1/n1/cmd/+",
    "$share/g/iot/v1/+/telemetry/+",
)
WILLS = ("iot/v1/n1/status", "iot/v1/n2/status", "iot/v1/lamp/status", "iot/v1/n1/cmd/reboot", "iot/v1/n2/reply/r1")
OWN_SENDS = {"status", "telemetry/m", "log", "reply/r1"}
OWN_READS = {"cmd/reboot", "stored"}
#: Whom each identity speaks for.
SPEAKS_FOR = {"n1": ("n1",), "n2": ("n2",), "gw": ("gw", "lamp"), "maria": (), "anna": ()}
READABLE = {"status", "telemetry/m", "log", "alert/a", "stats/m"}


def may_send(who: str, topic: str) -> bool:
    if who == "maria":
        return topic.startswith("iot/v1/") and "/cmd/" in topic
    return any(topic == f"iot/v1/{node}/{level}" for node in SPEAKS_FOR[who] for level in OWN_SENDS)


def may_read(who: str, topic: str) -> bool:
    if who == "maria":
        return topic.startswith("iot/v1/")
    if who == "anna":
        ours = {f"iot/v1/{node}/{level}" for node in NODES for level in READABLE} | {"iot/v1/$hub/h/status"}
        return topic in ours | {"iot/v1/+/telemetry/+"}
    return any(topic == f"iot/v1/{node}/{level}" for node in SPEAKS_FOR[who] for level in OWN_READS)


@pytest.fixture(scope="module")
def identities(opened: Opened) -> dict[str, MqttSettings]:
    async def make() -> dict[str, MqttSettings]:
        accounts, people = Accounts(opened.admin()), People(opened.admin())
        made = {
            "n1": await accounts.add_node("n1"),
            "n2": await accounts.add_node("n2"),
            "gw": await accounts.add_gateway("gw"),
            "maria": await people.add("maria", PersonRole.OPERATOR),
            "anna": await people.add("anna", PersonRole.ANALYST),
        }
        await accounts.add_device("lamp", "gw")
        return {name: opened.by_tls(opened.node(credentials)) for name, credentials in made.items()}

    return asyncio.run(make())


@pytest.mark.parametrize("who", SPEAKS_FOR)
def test_everybody_publishes_what_is_theirs_and_nothing_else(who: str, identities: dict[str, MqttSettings]) -> None:
    wrong = []
    device = Device(identities[who])
    assert device.connect() == 0
    for topic in TOPICS:
        if device.ended is not None:  # some builds end the connection over a refused message
            device.disconnect()
            device = Device(identities[who])
            assert device.connect() == 0
        allowed = device.publish(topic, "forged") < 0x80
        if allowed != may_send(who, topic):
            wrong.append(topic)
    device.disconnect()
    assert wrong == []


@pytest.mark.parametrize("who", SPEAKS_FOR)
def test_everybody_reads_what_is_theirs_and_nothing_else(who: str, identities: dict[str, MqttSettings]) -> None:
    with Device(identities[who]) as device:
        answers = {topic: device.subscribe(topic) for topic in (*TOPICS, *WILDCARDS)}
    granted = {topic for topic, code in answers.items() if code == GRANTED_QOS_1}
    refused = {topic for topic, code in answers.items() if code == NOT_AUTHORISED}
    assert granted | refused == set(answers)
    own_wildcards = {topic for topic in WILDCARDS if who == "maria" and topic.startswith("iot/v1/")}
    assert granted == {topic for topic in answers if may_read(who, topic)} | own_wildcards


@pytest.mark.parametrize("who", SPEAKS_FOR)
def test_no_will_speaks_for_another(who: str, opened: Opened, identities: dict[str, MqttSettings]) -> None:
    strange = [topic for topic in WILLS if not may_send(who, topic)]
    assert strange
    with Device(opened.hub()) as hub:
        assert hub.subscribe("iot/v1/#") == GRANTED_QOS_1
        for topic in strange:
            device = Device(identities[who], will=(topic, b"forged"))
            if device.connect() == 0:
                device.vanish()
            else:
                device.disconnect()
        with Device(identities["n2"]) as other:
            other.publish("iot/v1/n2/log", f"after {who}")
        wait_until(lambda: f"after {who}".encode() in [m.payload for m in hub.messages], what="a message sent later")
        assert b"forged" not in [message.payload for message in hub.messages if not message.retain]


def test_a_device_taken_from_its_gateway_is_lost_to_it_at_once(
    opened: Opened, identities: dict[str, MqttSettings]
) -> None:
    async def change(*, add: bool) -> None:
        accounts = Accounts(opened.admin())
        await (accounts.add_device("plug", "gw") if add else accounts.remove_node("plug"))

    with Device(identities["gw"]) as gateway:
        assert gateway.publish("iot/v1/plug/log") >= 0x80
    with Device(identities["gw"]) as gateway:
        asyncio.run(change(add=True))
        assert gateway.publish("iot/v1/plug/log") < 0x80
        asyncio.run(change(add=False))
        assert gateway.publish("iot/v1/plug/log") >= 0x80
