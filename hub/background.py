"""Tasks that run beside the hot path: the hub's own status on MQTT, the ticker, maintenance."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import time
from typing import TYPE_CHECKING, Final, Never

import structlog

from hub.link import Link, LinkDown, Will
from hub.nodes.database import RegistryError
from hub.statefile import StateUnavailable
from hub.store.base import StoreUnavailable
from wire.messages import NodeState, Status, encode
from wire.point import NS_PER_MS, NS_PER_S
from wire.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.control import Controls
    from hub.ledger import Ledger
    from hub.nodes.registry import Registry
    from hub.store.base import Store
    from wire.topics import Topics

_TICK_S: Final = 1.0
#: Smaller steps of the wall clock are corrections that nobody notices.
_STEP_NS: Final = 2 * NS_PER_S
#: A tick that comes so late means that the process stood still.
_STOOD_STILL_NS: Final = 5 * NS_PER_S
_GARBAGE_EVERY_S: Final = 20.0
#: Every so often all objects are looked at, and not only those of the last seconds: half a second with 500,000 series.
_THOROUGHLY_EVERY: Final = 45

_log = structlog.get_logger("hub.background")


class HubStatus:
    """The hub's own retained birth, announced end and will."""

    def __init__(self, hub: str, topics: Topics) -> None:
        self._topic = topics.hub_status(hub)
        #: Set at every connect.
        self.online = asyncio.Event()

    def will(self) -> Will:
        return Will(self._topic, self._status(NodeState.OFFLINE, "connection lost"))

    async def keep_said(self, link: Link) -> Never:
        """Publish the birth after every connect."""
        while True:
            await self.online.wait()
            self.online.clear()
            with contextlib.suppress(LinkDown):
                await link.publish(self._topic, self._status(NodeState.ONLINE, None), retain=True)

    async def say_offline(self, link: Link) -> None:
        with contextlib.suppress(LinkDown):
            await link.publish(self._topic, self._status(NodeState.OFFLINE, "shutdown"), qos=0, retain=True)

    @staticmethod
    def _status(state: NodeState, reason: str | None) -> bytes:
        return encode(Status(state, ts=time.time_ns() // NS_PER_MS, version=__version__, reason=reason))


async def tick(
    controls: Controls,
    link: Link,
    clock_moved: Callable[[int], None] = lambda _by_ns: None,
    *,
    clock_ns: Callable[[], int] = time.time_ns,
    steady_ns: Callable[[], int] = time.monotonic_ns,
) -> Never:
    """Once a second: silence of nodes, last-seen times, and whether the clock was set.

    Args:
        controls: told what goes on.
        link: silence is looked for while it is up.
        clock_moved: called with by how much the wall clock was set forward, ns.
        clock_ns: wall clock.
        steady_ns: one that nobody sets.
    """
    now_ns, steady = clock_ns(), steady_ns()
    while True:
        await asyncio.sleep(_TICK_S)
        before_ns, steady_before, now_ns, steady = now_ns, steady, clock_ns(), steady_ns()
        by_ns = (now_ns - before_ns) - (steady - steady_before)
        if abs(by_ns) > _STEP_NS:
            _log.warning("the clock of this machine was set", by_s=round(by_ns / NS_PER_S, 1))
            clock_moved(by_ns)
        if max(abs(by_ns), steady - steady_before) > _STOOD_STILL_NS:
            controls.resume(now_ns)
        try:
            await controls.tick(now_ns, connected=link.connected.is_set())
        except RegistryError as error:
            _log.error("the registry cannot be written, trying again", why=str(error))


async def collect_garbage() -> Never:
    """Look for cycles now and then, instead of after every so many new objects: a group makes tens of thousands.

    What exists by now lives as long as the process and is not looked at again; what has survived once is looked at
    every quarter of an hour.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    for turn in itertools.count(1):
        await asyncio.sleep(_GARBAGE_EVERY_S)
        gc.collect(2 if turn % _THOROUGHLY_EVERY == 0 else 1)
    raise AssertionError("counting never ends")


async def maintain(store: Store, registry: Registry, ledger: Ledger, every_s: float) -> Never:
    """Roll-ups and retention of all that is kept."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await store.maintain(time.time_ns())
            await registry.maintain(time.time_ns())
            await ledger.maintain(time.time_ns())
        except (StoreUnavailable, RegistryError, StateUnavailable) as error:
            _log.error("maintenance failed, trying again", why=str(error))
