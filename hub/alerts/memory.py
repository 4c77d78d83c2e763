"""The rule engine over restarts: what it goes on from, and when that is saved.

state file ─▶ restore ─▶ newest samples that the store has beyond it ─▶ adopt what the registry has open ─▶ events
   ▲
   └── half a second after each change, else every ``rules.save_every``, and at the end
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final, Never

import structlog

from hub.rules.engine import OpenAlert
from hub.rules.events import EventKind
from hub.rules.statefile import NAME, RuleStateFile
from hub.store.base import SeriesFilter, StoreUnavailable
from wire.point import Point

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hub.alerts.model import Alert
    from hub.rules.engine import Engine
    from hub.rules.events import RuleEvent, Subject
    from hub.store.base import Store

#: What changes together is saved together.
_SAVE_AFTER_S: Final = 0.5
#: Taking the engine's state stops everything else: at most this share of the time.
_SAVE_SHARE: Final = 0.02

_OUTCOMES: Final = (EventKind.FIRING, EventKind.RESOLVED, EventKind.CANCELLED)

_log = structlog.get_logger("hub.alerts")


class RuleMemory:
    """Keeps the state of ``engine`` in ``folder``.

    Args:
        engine: the rules at work.
        store: knows the newest samples.
        folder: the state directory.
        every_s: saved at least so often.
    """

    def __init__(self, engine: Engine, store: Store, folder: Path, every_s: float) -> None:
        self._engine = engine
        self._store = store
        self._path = folder / NAME
        self._file = RuleStateFile(self._path)
        self._every_s = every_s
        #: Set when something changed that a crash must not undo.
        self.changed = asyncio.Event()

    async def resume(self, opened: Iterable[Alert], now_ns: int) -> list[RuleEvent]:
        """Go on where the hub stopped; ``opened`` is what the registry holds to be open."""
        saved_ns = self._saved_ns()
        events = self._engine.restore(await asyncio.to_thread(self._file.read), now_ns)
        if saved_ns is not None:
            events += self._engine.observe(await self._stored_since(saved_ns), now_ns)
        known = [OpenAlert(a.rule, a.subject, a.severity, a.fired_ns or a.started_ns) for a in opened]
        over = _over(events)
        return events + self._engine.adopt([each for each in known if (each.rule, each.subject) not in over], now_ns)

    async def run(self) -> Never:
        """Save it, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self.changed.wait()
            await asyncio.sleep(_SAVE_AFTER_S)
            self.changed.clear()
            began = time.perf_counter()
            await self.save()
            await asyncio.sleep((time.perf_counter() - began) / _SAVE_SHARE)

    async def save(self) -> None:
        """Save it now; a disk that fails is said in the log."""
        await self._file.write(self._engine)

    def _saved_ns(self) -> int | None:
        """When it was last saved; None: never."""
        try:
            return self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    async def _stored_since(self, ns: int) -> list[Point]:
        """The newest sample of each series that the store has beyond ``ns``."""
        try:
            newest = await self._store.last(SeriesFilter())
        except StoreUnavailable as error:
            _log.warning("rules go on without what was stored last", why=str(error))
            return []
        return [
            Point(last.series.key, last.ts_ns, {last.series.field: last.value}) for last in newest if last.ts_ns > ns
        ]


def _over(events: Iterable[RuleEvent]) -> set[tuple[str, Subject]]:
    """What these events end: the registry will know of it only once it is told."""
    last = {(event.rule, event.subject): event.kind for event in events if event.kind in _OUTCOMES}
    return {place for place, kind in last.items() if kind is not EventKind.FIRING}
