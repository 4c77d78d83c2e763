"""What no device should send, among what it should: good values are stored, bad ones kept with their reason."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from bench.broker import Broker
from bench.load import connect, encoded
from tests.support.faults import SCALE, message, recent_ms
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.faults import Rig

GOOD = 10_000 * min(SCALE, 10)

#: Topic below the node, payload and the reason of its refusal.
MALFORMED = (
    ("telemetry/room", b"no JSON", "not-json"),
    ("telemetry/room", b'{"temperature":21.5', "not-json"),
    ("telemetry/room", b"", "not-json"),
    ("telemetry/room", b'{"temperature":"\xff\xfe"}', "not-utf8"),
    ("telemetry/room", b"\x00\x01\x02", "not-json"),
    ("telemetry/room", b"21.5", "wrong-shape"),
    ("telemetry/room", b'{"ts":1,"values":[1]}', "wrong-shape"),
    ("telemetry/room", b"{}", "no-values"),
    ("telemetry/room", b'{"temperature":null}', "no-values"),
    ("telemetry/room", b'{"temperature":NaN}', "not-finite"),
    ("telemetry/room", b'{"temperature":1e999}', "not-finite"),
    ("telemetry/room", b'{"ts":"yesterday","values":{"temperature":1}}', "bad-timestamp"),
    ("telemetry/room", b'{"ts":1,"values":{"temperature":1}}', "too-old"),
    ("telemetry/room", b'{"values":{"temperature":1},"tags":[1]}', "bad-tag"),
    ("telemetry/room", b'{"a":' * 100 + b"1" + b"}" * 100, "too-deep"),
    ("telemetry/room", b'{"%s":1}' % (b"k" * 200), "key-too-long"),
    ("telemetry/room", b'{"t":"%s"}' % (b"t" * 70_000), "text-too-long"),
    ("telemetry/room", json.dumps(dict.fromkeys(map(str, range(1001)), 1)).encode(), "too-many-values"),
    ("telemetry/room", b'{"temperature":1}' + b" " * (1 << 20), "too-large"),
    ("status", b"neither on nor off", "not-json"),
    ("status", b'{"state":"asleep"}', "wrong-shape"),
    ("stored", b'{"seq":1,"session":"s"}', "unknown-topic"),
)
#: Topics that name no node of the contract.
LOST = (
    ("iot/v1/no node/telemetry/room", "bad-node-id"),
    ("iot/v1/" + "n" * 65 + "/telemetry/room", "bad-node-id"),
    ("iot/v1/mixed/telemetrie/room", "unknown-topic"),
    ("iot/v1/mixed/telemetry", "unknown-topic"),
    ("iot/v1/mixed/telemetry/room/more", "unknown-topic"),
    ("iot/v1/" + "a/" * 190 + "b", "unknown-topic"),
)


def test_malformed_messages_are_kept_with_their_reason_and_harm_none_of_the_good_ones(rig: Rig) -> None:
    start = recent_ms()
    bad = cycle([(f"iot/v1/mixed/{topic}", payload, reason) for topic, payload, reason in MALFORMED])
    lost = cycle([(topic, message(start, 1.0), reason) for topic, reason in LOST])
    messages, of_node, of_nobody = [], Counter[str](), Counter[str]()
    for i in range(GOOD):
        messages.append(("iot/v1/mixed/telemetry/room", message(start + i, i / 8)))
        if i % 10 == 0:
            from_nobody = i % 100 == 0
            topic, payload, reason = next(lost if from_nobody else bad)
            messages.append((topic, payload))
            (of_nobody if from_nobody else of_node)[reason] += 1
    rig.send(messages)
    rig.settle()

    assert rig.samples("mixed") == [(start + i, i / 8) for i in range(GOOD)]
    row = rig.row("mixed")
    assert (row["stored"], row["refused"]) == (GOOD, of_node)
    nobody = next(row for row in rig.hub.get("ledger")["items"] if not row["node"])
    assert nobody["refused"] == of_nobody
    kept = rig.hub.get("rejects", node="mixed", limit=1000)["items"]
    assert {reject["reason"] for reject in kept} == of_node.keys()
    newest = rig.hub.get(f"rejects/{kept[0]['id']}")
    assert (newest["topic"], newest["reason"]) == (kept[0]["topic"], kept[0]["reason"])
    assert rig.hub.health()["status"] == "ok"


def test_one_poisoned_value_leaves_its_neighbours_in_the_message_alone(rig: Rig) -> None:
    ts = recent_ms()
    rig.send(
        [("iot/v1/poisoned/telemetry/room", b'{"ts":%d,"values":{"temperature":21.5,"humidity":NaN,"door":true}}' % ts)]
    )
    rig.settle()
    assert rig.samples("poisoned") == [(ts, 21.5)]
    assert rig.samples("poisoned", "room.door") == [(ts, 1.0)]
    assert rig.samples("poisoned", "room.humidity") == []
    assert rig.row("poisoned")["stored"] == 1
    (kept,) = rig.hub.get("rejects", node="poisoned")["items"]
    assert kept["reason"] == "not-finite"
    assert "humidity" in kept["detail"]


def test_a_refused_message_is_covered_by_the_receipt_and_so_never_holds_up_an_outbox(rig: Rig) -> None:
    ts = recent_ms()
    rig.send([("iot/v1/outbox/status", b'{"state":"online","session":"s1","outbox":true}')])
    rig.send(
        [
            ("iot/v1/outbox/telemetry/room", message(ts, 1.0, seq=1)),
            ("iot/v1/outbox/telemetry/room", b'{"ts":%d,"values":{"temperature":null},"seq":2}' % ts),
            ("iot/v1/outbox/telemetry/room", b'{"ts":"?","values":{"temperature":1},"seq":3}'),
            ("iot/v1/outbox/telemetry/room", b'[{"values":{"t":1},"tags":1,"seq":4},{"values":{"t":1},"seq":5}]'),
            ("iot/v1/outbox/telemetry/room", b'{"values":{"temperature":21.5},"seq":6'),
            ("iot/v1/outbox/log", b'{"ts":"?","message":"hello","seq":7}'),
            ("iot/v1/outbox/telemetry/room", message(ts + 10**9, 1.0, seq=8)),
        ]
    )
    rig.settle()
    topic = "iot/v1/outbox/stored"
    wait_until(lambda: rig.retained(topic) == b'{"seq":8,"session":"s1"}', what=f"receipt: {rig.retained(topic)!r}")
    assert rig.row("outbox")["missing"] == 0


def test_a_series_that_changes_its_type_loses_no_value(rig: Rig) -> None:
    ts = recent_ms()
    values: list[float | bool | str] = [21.5, "22.5", True, "warm", "nan", 23.0]
    rig.send(("iot/v1/changing/telemetry/room", message(ts + i, value)) for i, value in enumerate(values))
    rig.settle()
    assert rig.samples("changing") == [(ts, 21.5), (ts + 1, 22.5), (ts + 2, 1.0), (ts + 5, 23.0)]
    assert rig.samples("changing", "room.temperature_text") == [(ts + 3, "warm"), (ts + 4, "nan")]
    assert (rig.row("changing")["stored"], rig.row("changing")["refused"]) == (len(values), {})
    said = [line for line in rig.hub.said().splitlines() if "another type" in line and '"changing"' in line]
    assert len(said) == 1, "one event a series, not one a message"
    assert all(word in said[0] for word in ("room", "temperature", "22.5"))


def test_a_cardinality_bomb_ends_at_the_limit_and_harms_no_other_node(rig: Rig) -> None:
    ts = recent_ms()
    bomb = [
        ("iot/v1/bomb/telemetry/room", message(ts + i, float(i), tags={"request": str(i)})) for i in range(2000 * SCALE)
    ]
    harmless = [("iot/v1/harmless/telemetry/room", message(ts + i, float(i))) for i in range(2000)]
    rig.send(one for pair in zip(bomb, harmless, strict=False) for one in pair)
    rig.send(bomb[2000:])
    rig.settle()
    row = rig.row("bomb")
    assert (row["stored"], row["refused"]) == (50, {"series-limit": len(bomb) - 50})
    assert len(rig.hub.get("series", node="bomb", limit=1000)["items"]) == 50
    assert len(rig.samples("harmless")) == 2000
    rig.send([("iot/v1/bomb/telemetry/room", message(ts + 10**4, 1.0, tags={"request": "0"}))])
    rig.settle()
    assert rig.row("bomb")["stored"] == 51, "series that exist go on"


def test_a_payload_of_64_mb_is_refused_and_kept_and_the_hub_goes_on(rig: Rig) -> None:
    ts = recent_ms()
    huge = b'{"temperature":"%s"}' % (b"x" * (64 << 20))
    rig.send([("iot/v1/huge/telemetry/room", huge)])
    rig.send([("iot/v1/huge/telemetry/room", message(ts, 21.5))])
    rig.settle()
    assert rig.samples("huge") == [(ts, 21.5)]
    assert rig.row("huge")["refused"] == {"too-large": 1}
    (kept,) = rig.hub.get("rejects", node="huge")["items"]
    assert kept["size_bytes"] == len(huge)


def test_a_broker_with_the_limit_of_ours_refuses_a_payload_of_64_mb_at_its_publisher(tmp_path: Path) -> None:
    with (
        Broker(tmp_path / "broker", lines=["max_packet_size 2097152"]) as broker,
        contextlib.closing(connect(broker.port, "publisher")) as link,
    ):
        (packet,) = encoded([("iot/v1/huge/telemetry/room", bytes(64 << 20))])
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            link.sendall(packet)
        wait_until(lambda: "oversize packet" in broker.said(), what="the broker says so")
        connect(broker.port, "another").close()
