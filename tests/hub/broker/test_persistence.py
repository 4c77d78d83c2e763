"""What a broker that stops or dies keeps."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tests.support.device import GRANTED_QOS_1, NO_SUBSCRIBERS, SUCCESS, Device
from tests.support.secured import AGENT_NODE, Secured
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

LOG_TOPIC = f"iot/v1/{AGENT_NODE}/log"


def test_messages_for_the_absent_hub_survive_a_restart_in_order(broker: Secured) -> None:
    with Device(broker.hub(), session_expiry_s=3600) as hub:
        assert hub.subscribe("iot/v1/#") == GRANTED_QOS_1
    with Device(broker.agent()) as agent:
        for i in range(1500):  # more than Mosquitto's own default of 1000 queued messages
            assert agent.publish(LOG_TOPIC, str(i)) == SUCCESS
    assert broker.stop() == 0
    broker.start()
    with Device(broker.hub(), session_expiry_s=3600) as hub:
        assert hub.session_present
        wait_until(lambda: len(hub.messages) >= 1500, what="all queued messages")
        assert [m.payload.decode() for m in hub.messages] == [str(i) for i in range(1500)]


def test_without_a_session_of_the_hub_a_node_is_told_that_nobody_listens(broker: Secured) -> None:
    with Device(broker.agent()) as agent:
        assert agent.publish(LOG_TOPIC) == NO_SUBSCRIBERS


def test_the_retained_status_of_a_node_is_shown_after_a_restart(broker: Secured) -> None:
    with Device(broker.agent()) as agent:
        agent.publish(f"iot/v1/{AGENT_NODE}/status", "born", retain=True)
    assert broker.stop() == 0
    broker.start()
    with Device(broker.operator()) as operator:
        assert operator.subscribe("iot/v1/+/status") == GRANTED_QOS_1
        wait_until(lambda: operator.messages, what="the retained status")
        assert operator.messages[0].payload == b"born"


def test_what_the_broker_writes_is_for_its_user_alone(broker: Secured) -> None:
    broker.add_node("dev1")
    assert broker.stop() == 0
    files = [broker.child.config, *broker.child.data.iterdir()]
    assert {path.name for path in files} == {"mosquitto.conf", "dynamic-security.json", "mosquitto.db"}
    assert {path.name: mode(path) for path in files} == {path.name: 0o600 for path in files}
    assert {mode(path) for path in (broker.paths.root, broker.paths.broker, broker.child.data)} == {0o700}
    if os.geteuid() == 0:
        assert {path.stat().st_uid == 0 for path in broker.child.data.iterdir()} == {False}
        assert broker.child.config.stat().st_uid == 0


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
