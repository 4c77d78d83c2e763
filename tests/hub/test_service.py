"""The whole hub in this process, against a real Mosquitto."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from hub.config import Settings
from hub.service import run_hub
from hub.store.base import StoreUnavailable
from hub.store.memory import MemoryStore
from tests.support.links import pub, run
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from hub.store.base import WriteResult
    from wire.point import Point

TOPIC = "iot/v1/n1/telemetry/room"


@pytest.fixture(autouse=True)
def _garbage() -> Iterator[None]:
    """The hub takes the garbage collector into its own hands."""
    yield
    gc.unfreeze()
    gc.enable()


@asynccontextmanager
async def hub(state: Path, broker: Mosquitto) -> AsyncIterator[None]:
    """A hub that runs while the body does, then stops in order."""
    settings = Settings.model_validate(
        {
            "state": state,
            "hub": {"id": "h1"},
            "mqtt": {"port": broker.port},
            "broker": {"mode": "external"},
            "store": {"kind": "memory"},
            "api": {"port": 0},
        }
    )
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run_hub(settings, stop=stop, on_ready=lambda _: ready.set()))
    try:
        await asyncio.wait({task, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
        yield
        stop.set()
        await asyncio.wait_for(task, 60)
    finally:
        task.cancel()
        await asyncio.wait({task})


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
                async with hub(tmp_path / "var", broker):
                    await eventually(lambda: any(e["event"].startswith("connected to") for e in logs))
                    await pub(broker.port, TOPIC, [b'{"a":1}'])
                    await eventually(lambda: tried)
            assert [e["why"] for e in logs if e["event"].startswith("what arrived last")] == ["the disk is full"]
            monkeypatch.setattr(MemoryStore, "write", working)
            async with hub(tmp_path / "var", broker):
                await eventually(lambda: stored)
            assert [point.fields for point in stored] == [{"a": 1.0}]

    run(test)
