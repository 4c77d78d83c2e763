"""The whole hub in the process of a test."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from hub.config import Settings
from hub.service import run_hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.mosquitto import Mosquitto


def in_memory(state: Path, broker: Mosquitto, **sections: Any) -> Settings:
    """Settings of hub ``h1`` before ``broker`` that keeps nothing on disk but its state."""
    tree = {
        "state": state,
        "hub": {"id": "h1"},
        "mqtt": {"port": broker.port},
        "broker": {"mode": "external"},
        "store": {"kind": "memory"},
        "api": {"port": 0},
    }
    return Settings.model_validate(tree | sections)


@asynccontextmanager
async def running_hub(settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    """A hub that runs while the body does, then stops in order; its task."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run_hub(settings, stop=stop, on_ready=lambda _: ready.set()))
    try:
        await asyncio.wait({task, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
        yield task
        stop.set()
        await asyncio.wait_for(task, 60)
    finally:
        task.cancel()
        await asyncio.wait({task})
        # The hub had taken the garbage collector into its own hands.
        gc.unfreeze()
        gc.enable()
