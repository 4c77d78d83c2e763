"""What the tests of spools share: batches, a store whose answers a test decides, and everything a spool holds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from hub.store.base import Rejected, StoreUnavailable, WriteResult
from hub.store.memory import MemoryStore
from hub.store.passing import PassingStore
from hub.store.spool import Spool
from hub.store.spooled import SpooledStore
from tests.support.stores import NOON
from tests.support.waiting import eventually
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from hub.store.base import Store, StoreBroken

KEY = SeriesKey("dev1", "room", (("floor", "2"),))


def batch(number: int, size: int = 3) -> list[Point]:
    """Points ``number``, ``number + 1``, … seconds after noon; a number, a boolean and a text each."""
    return [
        Point(KEY, NOON + i * NS_PER_S, {"n": float(i), "on": i % 2 == 0, "s": f"text {i}"}, seq=i)
        for i in range(number, number + size)
    ]


def numbers(points: Sequence[Point]) -> list[int]:
    """Which points of :func:`batch` these are."""
    return [(point.ts_ns - NOON) // NS_PER_S for point in points]


async def drained(spool: Spool, most_points: int = 2) -> list[Point]:
    """Everything it holds, oldest first; it is empty afterwards."""
    found: list[Point] = []
    while (chunk := await spool.read(most_points)) is not None:
        found += chunk.points
        await spool.advance(chunk)
    return found


def files(folder: Path, ending: str) -> list[Path]:
    """Files of a spool: ``seg`` or ``damaged``."""
    return sorted(folder.glob(f"*.{ending}"))


class ScriptedStore(PassingStore):
    """Keeps what it is given, in ``written``, unless a test says otherwise."""

    def __init__(self) -> None:
        self.written: list[list[int]] = []
        #: Raised by every write while it is set.
        self.error: StoreUnavailable | StoreBroken | None = None
        #: Raised when it is entered.
        self.closed_for: StoreUnavailable | StoreBroken | None = None
        #: A write waits for it.
        self.gate = asyncio.Event()
        self.gate.set()
        #: Points it refuses for good, by number.
        self.bad: set[int] = set()
        self.attempts = 0
        self.entered = 0
        self.left = 0
        self.busy = 0
        self._memory = MemoryStore(clock_ns=lambda: NOON)

    async def __aenter__(self) -> Self:
        if self.closed_for is not None:
            raise self.closed_for
        self.entered += 1
        await self._memory.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.left += 1
        await self._memory.__aexit__(None, None, None)

    async def write(self, points: Sequence[Point]) -> WriteResult:
        assert self.busy == 0, "one write at a time"
        self.attempts += 1
        self.busy += 1
        try:
            await self.gate.wait()
        finally:
            self.busy -= 1
        if self.error is not None:
            raise self.error
        self.written.append(numbers(points))
        good = [point for point in points if numbers([point])[0] not in self.bad]
        result = await self._memory.write(good)
        refused = tuple(Rejected(i, "bad point") for i, n in enumerate(numbers(points)) if n in self.bad)
        return WriteResult(result.accepted, rejected=refused)

    def all_written(self) -> list[int]:
        """Numbers of all points, in order of writing."""
        return [number for numbers_ in self.written for number in numbers_]

    def _reading(self) -> Store:
        return self._memory


def away(text: str = "connection refused") -> StoreUnavailable:
    """What a store says that is not there."""
    return StoreUnavailable(text)


class Rejecting:
    """Keeps what was refused at replay; fails as often as a test wants."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, str]] = []
        self.failures: list[Exception] = []

    async def __call__(self, refused: Sequence[tuple[Point, Rejected]]) -> None:
        if self.failures:
            raise self.failures.pop()
        self.kept += [(numbers([point])[0], rejected.reason) for point, rejected in refused]


class SpooledRig:
    """A scripted store behind a spool in ``folder``."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.store = ScriptedStore()
        self.spool = Spool(folder, max_bytes=more.pop("max_bytes", 1 << 20), segment_bytes=2000)
        self.rejects = Rejecting()
        self.spooled = SpooledStore(
            self.store, self.spool, name="influx", on_refused=self.rejects, **{"retry_s": 0.01, **more}
        )

    async def empty(self) -> None:
        """Wait until everything is replayed."""
        await eventually(lambda: self.spool.is_empty, what="the spool is empty")


def running(folder: Path, body: Callable[[SpooledRig], Coroutine[Any, Any, None]], **more: Any) -> SpooledRig:
    """Let ``body`` use a rig that is open; the rig, closed."""
    rig = SpooledRig(folder, **more)

    async def main() -> None:
        async with rig.spooled:
            await body(rig)

    asyncio.run(main())
    return rig
