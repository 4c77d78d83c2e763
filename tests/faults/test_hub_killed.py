"""The hub is killed -9 while messages flow: each is stored exactly once, and each is accounted for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.load import Load, payload, topic
from tests.support.faults import FAULTY, Rig, recent_ms
from tests.support.faulty_hub import STEPS

if TYPE_CHECKING:
    from pathlib import Path


def test_a_hub_killed_while_20_000_messages_flow_has_stored_each_once_when_it_is_back(tmp_path: Path) -> None:
    load = Load(messages=20_000, topics=50, rate=8_000, first_ms=recent_ms())
    with Rig(tmp_path) as rig:
        with rig.publishing(load):
            time.sleep(1.0)  # somewhere in the middle: no event tells where it hurts most
            rig.hub.kill()
            rig.hub.start()
            rig.hub.wait_linked()
        rig.settle()
        books = rig.check(load)
    assert books.total("stored") + books.total("duplicate") >= load.messages


def test_a_hub_killed_after_each_step_of_its_pipeline_in_turn_loses_and_repeats_nothing(tmp_path: Path) -> None:
    load = Load(messages=20_000, topics=10, first_ms=recent_ms())
    messages = [(topic(i % load.topics), payload(load, i)) for i in range(load.messages)]
    for i in range(0, len(messages), 50):
        messages.insert(i, (topic(i % load.topics), f"no JSON {i}".encode()))
        messages.insert(i, (f"iot/v1/node-0000{i % load.topics}/status", b'{"state":"online"}'))
    deaths = " ".join(f"kill:{step}:2" for step in STEPS)
    small = {"IOTHUB_INGEST__BATCH_MESSAGES": "1000", "IOTHUB_INGEST__RECEIVE_MAX": "1500"}
    with Rig(tmp_path) as rig:
        rig.hub.kill()
        rig.send(messages)
        faulty = rig.another_hub({"FAULT": deaths, **small}, FAULTY)
        faulty.launch()
        assert faulty.wait() == -9, faulty.said()
        rig.hub.start()
        rig.settle()
        books = rig.check(load)
        refused = {reject.detail for reject in rig.rejects()}
    assert len(refused) == load.messages / 50
    assert books.total("duplicate") > 0, "the deaths after the write make the broker send again"
    assert books.total("stored") + books.total("duplicate") >= load.messages
