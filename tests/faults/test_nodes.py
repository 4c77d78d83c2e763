"""Nodes that flap, that share an id, and retained messages of many nodes at the start of the hub."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

import mqtt5

from bench.load import connect
from tests.support.faults import SCALE, Rig, message, recent_ms
from tests.support.node import mqtt
from wire.errors import SessionDown
from wire.messages import NodeState, Status
from wire.session import NodeSession, SessionOptions

if TYPE_CHECKING:
    import socket
    from pathlib import Path

NODES, TURNS = 20, 25 * SCALE
#: Births and data of everybody, retained.
RETAINED = 5_000 * SCALE


def test_nodes_that_flap_end_in_the_right_state_with_one_row_a_connection(rig: Rig) -> None:
    first_ms = recent_ms()
    last: list[socket.socket] = []
    for turn in range(TURNS):
        for link in last:
            link.close()  # without DISCONNECT: the broker publishes the will
        last = [connect_and_publish(rig.broker.port, f"flap-{n}", turn, first_ms) for n in range(NODES)]
    for n, link in enumerate(last):
        with contextlib.closing(link):
            if n % 2:
                link.sendall(mqtt5.DisconnectPacket().write())  # stays online: no will, and no announced end either
    rig.settle()

    contacts = {node["node"]: node["contact"] for node in rig.hub.get("nodes", limit=1000)["items"]}
    assert {contacts[f"flap-{n}"] for n in range(0, NODES, 2)} == {"offline"}
    assert {contacts[f"flap-{n}"] for n in range(1, NODES, 2)} == {"online"}
    for n in range(NODES):
        rows = rig.hub.get(f"nodes/flap-{n}/connections", limit=1000)["items"]
        assert len(rows) == min(TURNS, 1000)
        assert [row["disconnected_at"] is None for row in rows] == [n % 2 == 1] + [False] * (len(rows) - 1)
        assert len(rig.samples(f"flap-{n}")) == TURNS
        births_and_wills = 2 * TURNS - n % 2
        row = rig.row(f"flap-{n}")
        assert (row["stored"], row["handled"], row["received"]) == (TURNS, births_and_wills, TURNS + births_and_wills)


def connect_and_publish(port: int, node: str, turn: int, first_ms: int) -> socket.socket:
    topic = f"iot/v1/{node}/status"
    session = {"session": f"{node}-{turn}", "ts": first_ms + turn}
    will = mqtt5.Will(topic, payload=json.dumps({"state": "offline", **session}).encode(), qos=mqtt5.QoS.AT_LEAST_ONCE)
    link = connect(port, node, will=will)
    birth = json.dumps({"state": "online", **session}).encode()
    for packet_id, (name, payload) in enumerate(
        [(topic, birth), (f"iot/v1/{node}/telemetry/room", message(first_ms + turn, float(turn)))], 1
    ):
        link.sendall(mqtt5.PublishPacket(name, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id).write())
    acknowledged = b""
    while len(acknowledged) < 8:
        acknowledged += link.recv(4096)
    return link


def test_two_nodes_with_one_id_fight_over_it_and_lose_nothing(rig: Rig) -> None:
    first_ms, each = recent_ms(), 200
    port = rig.broker.port

    async def twin(name: str, offset: int) -> int:
        """Publish ``each`` messages, every one until it is acknowledged; how many connections that took."""
        options = SessionOptions(
            mqtt=mqtt(port), node="twin", first_retry_s=0.05, longest_retry_s=0.1, first_refused_s=0.05
        )
        async with NodeSession(options, lambda: Status(NodeState.ONLINE, ts=first_ms, session=name)) as session:
            for seq in range(1, each + 1):
                payload = message(first_ms + 2 * seq + offset, float(seq), seq=seq)
                while True:
                    await session.connected.wait()
                    with contextlib.suppress(SessionDown):
                        await session.publish("iot/v1/twin/telemetry/room", payload)
                        break
                    await asyncio.sleep(0)
                await asyncio.sleep(0.01)
            return session.connections

    async def both() -> tuple[int, int]:
        async with asyncio.timeout(180):
            return await asyncio.gather(twin("a", 0), twin("b", 1))

    connections = asyncio.run(both())
    assert min(connections) > 1, "they did not meet"
    rig.settle()
    assert [ts for ts, _ in rig.samples("twin")] == [first_ms + 2 + i for i in range(2 * each)]
    row = rig.row("twin")
    assert (row["stored"], row["refused"], row["missing"]) == (2 * each, {}, 0)
    reasons = {row["reason_disconnected"] for row in rig.hub.get("nodes/twin/connections", limit=1000)["items"]}
    assert len(reasons) > 1, f"the history shows what goes on: {reasons}"


def test_a_hub_that_starts_to_many_retained_messages_takes_them_as_what_they_are(tmp_path: Path) -> None:
    ts = recent_ms()
    timed = [(f"iot/v1/kept-{i}/telemetry/room", message(ts, float(i))) for i in range(0, RETAINED, 2)]
    untimed = [(f"iot/v1/kept-{i}/telemetry/room", b'{"temperature":1}') for i in range(1, RETAINED, 2)]
    births = [(f"iot/v1/kept-{i}/status", b'{"state":"online","ts":%d}' % ts) for i in range(RETAINED)]
    with Rig(tmp_path, start=False) as rig:
        rig.broker.start()
        rig.send([*timed, *untimed, *births], retain=True)
        rig.hub.start()
        rig.hub.wait_linked()
        rig.settle(60 + 15 * SCALE)
        assert rig.hub.get("nodes", limit=1)["total"] == RETAINED + 1
        assert len(rig.hub.get("nodes/kept-0/connections")["items"]) == 1, "each birth came twice, by two subscriptions"
        assert rig.samples("kept-0") == [(ts, 0.0)]
        assert rig.reasons("kept-1") == {"retained-snapshot": 1}

        rig.hub.stop()
        rig.hub.start()
        rig.send([("iot/v1/kept-0/telemetry/room", message(ts + 1, "warm"))])
        rig.settle(60 + 15 * SCALE)
        assert rig.samples("kept-0", "room.temperature_text") == [(ts + 1, "warm")], "types outlive a restart"
        assert len(rig.hub.get("nodes/kept-0/connections")["items"]) == 1
        rig.hub.stop()
        books = rig.balance()
    assert books.total("stored") == len(timed) + 3, "the markers and the last one, and nothing again after the restart"
    assert books.refused() == {"retained-snapshot": len(untimed)}
