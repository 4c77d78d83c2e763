"""The whole hub in this process, against a real Mosquitto."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from structlog.testing import capture_logs

from hub.store.base import StoreUnavailable
from hub.store.memory import MemoryStore
from tests.support.links import pub, run
from tests.support.mosquitto import Mosquitto
from tests.support.service import in_memory, running_hub
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from hub.store.base import WriteResult
    from wire.point import Point

TOPIC = "iot/v1/n1/telemetry/room"


def test_a_store_that_cannot_be_written_to_holds_up_the_end_only_so_long_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.service._STOP_LIMIT_S", 0.2)
    tried: list[Any] = []
    stored: list[Any] = []
    write = MemoryStore.write

    async def failing(_: MemoryStore, batch: Sequence[Point]) -> WriteResult:
        tried.extend(batch)
        raise StoreUnavailable("the disk is full")

    async def working(self: MemoryStore, batch: Sequence[Point]) -> WriteResult:
        stored.extend(batch)
        return await write(self, batch)

    async def test() -> None:
        with Mosquitto(tmp_path / "mosquitto") as broker:
            monkeypatch.setattr(MemoryStore, "write", failing)
            with capture_logs() as logs:
                async with running_hub(in_memory(tmp_path / "var", broker)):
                    await eventually(lambda: any(e["event"].startswith("connected to") for e in logs))
                    await pub(broker.port, TOPIC, [b'{"a":1}'])
                    await eventually(lambda: tried)
            assert [e["why"] for e in logs if e["event"].startswith("what arrived last")] == ["the disk is full"]
            monkeypatch.setattr(MemoryStore, "write", working)
            async with running_hub(in_memory(tmp_path / "var", broker)):
                await eventually(lambda: stored)
            assert [point.fields for point in stored] == [{"a": 1.0}]

    run(test)
