"""``iothub influx setup`` in the process of a test: settings for a server, and the report as lines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hub.config import InfluxSettings, Settings, StoreSettings
from hub.influx.setup import Asked, set_up
from hub.paths import StatePaths

if TYPE_CHECKING:
    from pathlib import Path

    from hub.influx.steps import Step


def settings_for(state: Path, url: str, database: str, *, retention: Any = None, **influx: Any) -> Settings:
    """Settings of a hub that stores there; its state directory is made."""
    StatePaths(state).make()
    store = StoreSettings(
        kind="influx",
        influx=InfluxSettings(url=url, database=database, **influx),
        **({"retention": retention} if retention is not None else {}),
    )
    return Settings(state=state, store=store)


def provision(settings: Settings, asked: Asked | None = None) -> list[Step]:
    """Set up, and return the report."""

    async def main() -> list[Step]:
        return [step async for step in set_up(settings, StatePaths(settings.state), asked or Asked())]

    return asyncio.run(main())


def outcomes(steps: list[Step]) -> dict[str, str]:
    """What became of each thing, without the figures behind a colon; the first line, the server, left out."""
    return {step.what.partition(":")[0]: step.outcome.value for step in steps[1:]}
