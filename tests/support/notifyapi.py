"""The HTTP API with a notifier that has one channel, for tests of the API and of the commands over it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import TYPE_CHECKING

from hub.alerts.notify import Notifier
from hub.config_notify import ChannelSettings, NotifySettings, RouteSettings
from tests.support.api import Api, running_api
from wire.settings import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from hub.alerts.model import Alert
    from tests.support.notifying import Webhook


@contextlib.asynccontextmanager
async def telling(folder: Path, hook: Webhook) -> AsyncIterator[tuple[Api, Notifier]]:
    """The API with a notifier that has one channel, ``hook``."""
    settings = NotifySettings(
        channels=(ChannelSettings(name="hook", url=Secret(hook.url)),),
        routes=(RouteSettings(name="all", channels=("hook",), group_wait=0, group_interval=0),),
    )

    async def find(_number: int) -> Alert | None:
        return None

    async with running_api(folder) as api:
        notifier = Notifier(settings, api.parts.registry.database, find=find)
        await notifier.restore([])
        api.app.state.parts = dataclasses.replace(api.parts, notifier=notifier)
        running = asyncio.create_task(notifier.run())
        try:
            yield api, notifier
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
