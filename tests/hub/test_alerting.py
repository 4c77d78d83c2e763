"""Rules and alerts of a whole hub in this process: what it says of itself, and other rules after a restart."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from hub.store.base import StoreUnavailable
from hub.store.memory import MemoryStore
from tests.support.device import GRANTED_QOS_1, NO_SUBSCRIBERS, Device
from tests.support.mosquitto import Mosquitto
from tests.support.service import in_memory, running_hub
from tests.support.waiting import eventually
from wire.settings import MqttSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    import pytest

    from hub.store.base import WriteResult
    from wire.point import Point

TOPIC = "iot/v1/n1/telemetry/room"


def hub(folder: Path, broker: Mosquitto, rules: str) -> AbstractAsyncContextManager[object]:
    """A hub with these rules and no others, while the body runs."""
    file = folder / "rules.toml"
    file.write_text(rules, encoding="utf-8")
    return running_hub(in_memory(folder / "var", broker, rules={"file": file, "shipped": False}))


def said(device: Device, rule: str) -> list[tuple[str, int]]:
    """State and number of the alert of each message about a rule, without what only says them again."""
    found: list[tuple[str, int]] = []
    for message in device.messages:
        if message.topic.endswith(f"/alert/{rule}"):
            body: dict[str, Any] = json.loads(message.payload)
            state = (body["state"], body["alerts"][0]["id"])
            found += [state] if found[-1:] != [state] else []
    return found


async def send(device: Device, temperature: float) -> None:
    """Publish once somebody has it: the hub may not listen yet."""
    content = json.dumps({"temperature": temperature}).encode()
    await eventually(lambda: device.publish(TOPIC, content) != NO_SUBSCRIBERS, what="the hub listens")


def test_a_hub_that_cannot_store_is_an_alert_until_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.alerting._STORING_S", 0.2)
    write, full = MemoryStore.write, [True]

    async def writing(self: MemoryStore, batch: Sequence[Point]) -> WriteResult:
        if full[0]:
            raise StoreUnavailable("the disk is full", retry_after_s=0.1)
        return await write(self, batch)

    monkeypatch.setattr(MemoryStore, "write", writing)
    rule = '[rules.stuck]\nmetric = "$hub.storing"\nequals = false\nfor = "500ms"\n'

    async def life(broker: Mosquitto, device: Device) -> None:
        async with hub(tmp_path, broker, rule):
            await send(device, 20)
            await eventually(lambda: said(device, "stuck"), what="the alert")
            full[0] = False
            await eventually(lambda: len(said(device, "stuck")) > 1, what="its end")

    with Mosquitto(tmp_path / "mosquitto") as broker, Device(MqttSettings(port=broker.port), client_id="n1") as device:
        assert device.subscribe("iot/v1/h1/alert/+") == GRANTED_QOS_1
        asyncio.run(life(broker, device))
        assert said(device, "stuck") == [("firing", 1), ("resolved", 1)]


def test_other_rules_after_a_restart_end_what_those_before_had_firing_and_begin_anew(tmp_path: Path) -> None:
    ask = 'metric = "room.temperature"\nabove = 30\n'
    before = f"[rules.same]\n{ask}[rules.higher]\n{ask}[rules.old]\n{ask}[rules.off]\n{ask}"
    after = (
        f'[rules.same]\n{ask}message = "other words"\n[rules.higher]\n{ask.replace("30", "33")}'
        f"[rules.new]\n{ask}[rules.off]\n{ask}enabled = false\n"
    )

    async def life(broker: Mosquitto, device: Device) -> None:
        async with hub(tmp_path, broker, before):
            await send(device, 35)
            await eventually(lambda: all(said(device, each) for each in ("same", "higher", "old", "off")))
        async with hub(tmp_path, broker, after):
            await eventually(lambda: all(len(said(device, each)) > 1 for each in ("higher", "old", "off")))
            await send(device, 36)
            await eventually(lambda: said(device, "new") and len(said(device, "higher")) > 2)
            await send(device, 20)
            await eventually(lambda: [each[-1][0] for each in map_said(device)] == ["resolved"] * 5)

    def map_said(device: Device) -> list[list[tuple[str, int]]]:
        return [said(device, each) or [("", 0)] for each in ("same", "higher", "old", "off", "new")]

    with Mosquitto(tmp_path / "mosquitto") as broker, Device(MqttSettings(port=broker.port), client_id="n1") as device:
        assert device.subscribe("iot/v1/n1/alert/+") == GRANTED_QOS_1
        asyncio.run(life(broker, device))
        same, higher, old, off, new = ([state for state, _ in each] for each in map_said(device))
        assert (same, old, off, new) == (["firing", "resolved"],) * 4
        assert higher == ["firing", "resolved", "firing", "resolved"]
        numbers = [number for each in map_said(device) for _, number in each]
        assert len(set(numbers)) == 6, "an alert that fires on keeps its number, those after it have new ones"
