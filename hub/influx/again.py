"""``iothub influx rollup``: windows of roll-ups made again from samples that came too late for the server's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.influx.rollups import Windows, policies
from hub.influx.steps import SetupFailed
from hub.influx.wanted import wanted
from hub.store.influx_http import Http
from hub.store.influx_query import Asker
from hub.store.influx_server import Generation, find_server
from hub.store.influx_settings import target_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.config import Settings


async def roll_up_again(
    settings: Settings, start_ns: int, stop_ns: int | None, progress: Callable[[int, int, str], None]
) -> list[str]:
    """Make the windows of a span; the names of the roll-ups.

    Raises:
        SetupFailed: this server has no roll-ups.
        StoreUnavailable: no answer, or no right to write.
    """
    target = target_of(settings.store.influx)
    async with Http(target.access) as http:
        server = await find_server(http, target.generation, target.database)
        if not server.can_query:
            raise SetupFailed(f"{server} has no roll-ups")
        if server.generation is Generation.V3:
            raise SetupFailed(f"{server}: the hub makes its roll-ups, of what comes late, too; nothing is left to make")
        asker = Asker(http, target.database, server.generation)
        there = await policies(asker, server, target.database)
        windows = Windows(http, asker, server, target, there, wanted(settings.store))
        if not windows.rollups:
            raise SetupFailed(f"{server} has no roll-ups of {target.database!r}: `iothub influx setup` makes them")
        async for rollup, done, total in windows.make(start_ns, stop_ns):
            progress(done, total, rollup.name)
        return [rollup.name for rollup in windows.rollups]
