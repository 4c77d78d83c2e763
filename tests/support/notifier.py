"""A notifier that runs over a registry and real receivers, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

from hub.alerts.notify import Notifier
from hub.alerts.notify_records import NotificationFilter
from hub.config_notify import ChannelSettings, NotifySettings, RouteSettings
from hub.nodes.database import Database, sqlite_url
from tests.support.notifying import change_to
from wire.settings import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from hub.alerts.model import Alert
    from hub.alerts.notify_queue import Outcome

ROUTE = {"name": "all", "channels": ("hook",), "group_wait": 0.05, "group_interval": 0.05, "repeat_every": 0}
QUICK = {"retry_first": 0.02, "retry_most": 0.05, "timeout": 5}


@dataclasses.dataclass
class Running:
    notifier: Notifier
    alerts: dict[int, Alert]

    def say(self, *alerts: Alert) -> None:
        for alert in alerts:
            self.alerts[alert.id] = alert
            self.notifier.changed(change_to(alert))


@contextlib.asynccontextmanager
async def notifying(
    folder: Path,
    channels: dict[str, str],
    *routes: dict[str, Any],
    alerts: dict[int, Alert] | None = None,
    **more: Any,
) -> AsyncIterator[Running]:
    """A notifier that runs over a registry in ``folder``, restored with the alerts that are open."""
    known = alerts if alerts is not None else {}
    settings = NotifySettings(
        channels=tuple(ChannelSettings(name=name, url=Secret(url)) for name, url in channels.items()),
        routes=tuple(RouteSettings(**(ROUTE | route)) for route in routes or ({},)),
        **(QUICK | more),
    )

    async def find(number: int) -> Alert | None:
        return known.get(number)

    async with Database(sqlite_url(folder / "hub.db")) as database:
        notifier = Notifier(settings, database, find=find)
        await notifier.restore([alert for alert in known.values() if alert.state.open])
        running = asyncio.create_task(notifier.run())
        try:
            yield Running(notifier, known)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


def told(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 60))


async def outcomes(running: Running) -> list[Outcome]:
    return [message.outcome for message in await running.notifier.book.page(NotificationFilter())]
