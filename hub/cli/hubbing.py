"""``iothub hub``: logging, signals and errors around :func:`hub.service.run_hub`."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from typing import TYPE_CHECKING, Final

import structlog

from hub import log
from hub.api.server import ServeError
from hub.cli.base import FAILED, CliError
from hub.cli.summary import print_hub
from hub.nodes.database import RegistryError
from hub.runfile import Announcement, announce
from hub.service import run_hub
from hub.statefile import StateError
from hub.store.base import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hub.config import Settings

#: What a person can mend; its text says how.
_MENDABLE: Final = (ServeError, StoreError, RegistryError, StateError, OSError)

_log = structlog.get_logger("hub")


def run(settings: Settings, config: Path | None, *, as_json: bool) -> None:
    """Run the hub until SIGINT or SIGTERM; a second signal ends it at once.

    Raises:
        CliError: it cannot start or go on; the text says what to do.
    """
    log.configure(settings.log)

    def on_ready(announcement: Announcement) -> None:
        if as_json:
            print(announce(announcement), flush=True)
        else:
            print_hub(settings, config, announcement)

    try:
        asyncio.run(_until_signalled(settings, on_ready))
    except BaseExceptionGroup as group:
        mendable, others = group.split(_MENDABLE)
        if others is not None:
            raise others from None
        raise CliError("; ".join(_texts(mendable))) from group
    except _MENDABLE as error:
        raise CliError(str(error)) from error
    finally:
        # What the service froze for speed is never collected: drivers would report it as leaked, line by line.
        gc.unfreeze()
        gc.collect()


async def _until_signalled(settings: Settings, on_ready: Callable[[Announcement], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        if stop.is_set():
            _log.error("ended at once by a second signal; the broker sends again what was not acknowledged")
            os._exit(FAILED)
        _log.info("stopping; a second signal ends it at once", signal=number.name)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, received, number)
    await run_hub(settings, stop=stop, on_ready=on_ready)


def _texts(group: BaseExceptionGroup[BaseException] | None) -> list[str]:
    if group is None:
        return []
    texts: list[str] = []
    for error in group.exceptions:
        texts += _texts(error) if isinstance(error, BaseExceptionGroup) else [str(error)]
    return texts
