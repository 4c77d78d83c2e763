from __future__ import annotations

import asyncio
import json
from typing import Any

from agent.collectors.base import Sample
from agent.reporter import Reporter
from wire.formats.base import Limits, context
from wire.formats.json import decode_json
from wire.formats.logs import decode_logs
from wire.outgoing import MemoryOutbox
from wire.topics import Topics

TS = 1_763_750_000_000


def reported(*samples: Sample) -> list[tuple[str, Any]]:
    async def test() -> list[tuple[str, Any]]:
        outbox = MemoryOutbox()
        Reporter(outbox, Topics(), "n1", lambda: TS).samples(samples, TS)
        return [(entry.topic, json.loads(entry.payload)) for entry in await outbox.pending(1000)]

    return asyncio.run(test())


def test_one_sample_is_one_object_with_time_and_number() -> None:
    assert reported(Sample("system", {"uptime_s": 5.0})) == [
        ("iot/v1/n1/telemetry/system", {"ts": TS, "values": {"uptime_s": 5.0}, "seq": 1})
    ]


def test_samples_of_one_measurement_go_together_each_with_a_number() -> None:
    messages = reported(
        Sample("cpu", {"usage": 1.0}), Sample("net", {"up": True}), Sample("cpu", {"usage": 2.0}, {"core": "0"})
    )
    assert [topic for topic, _ in messages] == ["iot/v1/n1/telemetry/cpu", "iot/v1/n1/telemetry/net"]
    assert [element["seq"] for element in messages[0][1]] == [1, 2]
    assert messages[0][1][1]["tags"] == {"core": "0"}
    assert messages[1][1]["seq"] == 3


def test_a_host_with_many_cores_stays_below_the_limit_of_values_a_message() -> None:
    messages = reported(*(Sample("cpu", {f"f{i}": 1.0 for i in range(10)}, {"core": str(core)}) for core in range(120)))
    assert len(messages) == 3
    for topic, message in messages:
        decoded = decode_json(json.dumps(message).encode(), context("n1", topic, Limits()), 0)
        assert not decoded.refused
    assert [element["seq"] for _, message in messages for element in message] == list(range(1, 121))


def test_numbers_are_rounded_and_large_ones_stay_exact() -> None:
    ((_, message),) = reported(Sample("disk", {"used_bytes": 2**52 + 1, "used_percent": 100 / 3}))
    assert message["values"] == {"used_bytes": 2**52 + 1, "used_percent": 33.3333}


def test_a_sample_without_values_is_no_message() -> None:
    assert reported(Sample("cpu", {})) == []


def test_a_log_record_is_one_of_the_contract_and_numbered() -> None:
    async def test() -> None:
        outbox = MemoryOutbox()
        Reporter(outbox, Topics(), "n1", lambda: TS).log("error", "it broke", collector="disk")
        (entry,) = await outbox.pending(10)
        assert entry.topic == "iot/v1/n1/log"
        (point,) = decode_logs(entry.payload, context("n1", "log", Limits()), 0).points
        assert point.fields == {"message": "it broke", "collector": "disk"}
        assert point.key.tags == (("level", "error"), ("source", "iothub-agent"))
        assert point.seq == 1

    asyncio.run(test())


def test_what_was_given_up_is_told_by_its_numbers_once() -> None:
    async def test() -> None:
        outbox = MemoryOutbox(max_messages=3)
        reporter = Reporter(outbox, Topics(), "n1", lambda: TS)
        for i in range(5):
            reporter.samples([Sample("cpu", {"usage": float(i)})], TS)
        outbox.settled(await outbox.pending(3), [], [])
        reporter.tell_dropped()
        reporter.tell_dropped()
        told, logged = await outbox.pending(10)
        assert told.topic == "iot/v1/n1/telemetry/outbox"
        assert json.loads(told.payload)["values"] == {"dropped_from": 1, "dropped_to": 2}
        assert "numbers 1 to 2 will not come" in json.loads(logged.payload)["message"]

    asyncio.run(test())
