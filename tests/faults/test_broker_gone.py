"""The broker restarts with a backlog, is killed -9, or does not answer: the hub finds back by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.load import Load
from tests.support.faults import SCALE, Rig, message, recent_ms
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_a_backlog_for_an_absent_hub_outlives_a_restart_of_the_broker(tmp_path: Path) -> None:
    load = Load(messages=50_000 * SCALE, topics=100, values=1, first_ms=recent_ms())
    with Rig(tmp_path) as rig:
        rig.hub.kill()
        rig.publish(load)
        rig.broker.stop()
        rig.broker.start()
        rig.hub.start()
        rig.settle(60 * SCALE)
        books = rig.check(load)
    assert books.total("stored") == load.messages + 1


def test_a_queue_that_overflows_while_the_hub_is_away_is_said_when_it_is_back(tmp_path: Path) -> None:
    start = recent_ms()
    with Rig(tmp_path, lines=["max_queued_messages 1000"]) as rig:
        rig.hub.wait_heard_broker()
        rig.hub.stop()
        rig.send(("iot/v1/dev/telemetry/room", message(start + seq, 1.0, seq=seq)) for seq in range(1, 5001))
        rig.hub.start()
        wait_until(lambda: rig.hub.health()["broken"] == ["broker"], what="health names the broker")
        (said,) = (link["detail"] for link in rig.hub.health()["links"] if link["name"] == "broker")
        assert "dropped 4" in said
        assert "broker.max_queued_messages" in said
        rig.send([("iot/v1/dev/telemetry/room", message(start + 5001, 1.0, seq=5001))])
        rig.settle()
        row = rig.row("dev")
        assert 900 < row["stored"] < 1010
        assert row["missing"] == 5001 - row["stored"], "and the ledger says how many"


def test_a_hub_whose_broker_was_killed_subscribes_anew_when_the_session_is_lost(tmp_path: Path) -> None:
    first_ms = recent_ms()
    before = Load(messages=2000, topics=10, first_ms=first_ms)
    after = Load(messages=2000, topics=10, first_ms=first_ms, first_topic=10)
    with Rig(tmp_path) as rig:
        rig.publish(before)
        rig.settle()
        rig.broker.kill()  # it has saved nothing yet: session, queue and retained messages are gone
        wait_until(lambda: rig.hub.health()["broken"] == ["broker"], what="health names the broker")
        rig.broker.start()
        rig.hub.wait_linked()
        rig.publish(after)
        rig.settle()
        rig.check(before, after)


def test_a_broker_that_stands_still_is_noticed_and_messages_flow_when_it_goes_on(tmp_path: Path) -> None:
    load = Load(messages=2000, topics=10, first_ms=recent_ms())
    with Rig(tmp_path, settings={"IOTHUB_MQTT__KEEP_ALIVE_S": "5"}) as rig:
        rig.broker.process.suspend()
        try:
            wait_until(lambda: rig.hub.health()["broken"] == ["broker"], 60, "the hub hears nothing any more")
        finally:
            rig.broker.process.resume()
        rig.hub.wait_linked()
        rig.publish(load)
        rig.settle()
        rig.check(load)
