"""What the tests of stores share: a clock that stands still, points in few words, and answers made comparable."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hub.store.base import LogQuery, Query, SeriesFilter
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from hub.store.base import Fn, Frame, Store
    from wire.point import Value

_T = TypeVar("_T")

MINUTE_NS = 60 * NS_PER_S
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS

#: 2025-11-22 00:00 UTC, a Saturday.
MIDNIGHT = 1_763_769_600 * NS_PER_S
#: What the stores' clocks say: 2025-11-22 12:00 UTC.
NOON = MIDNIGHT + 12 * HOUR_NS
EVER = {"start_ns": 0, "stop_ns": 2**62}
ALL = SeriesFilter()
EVER_LOGS = LogQuery(0, 2**62)

ROOM = SeriesKey("dev1", "room")

#: Values that no series can hold, and the words for why.
UNFIT: list[tuple[Any, str]] = [
    (float("nan"), "nan is not a finite number"),
    (float("-inf"), "-inf is not a finite number"),
    (10**400, "an integer this large does not fit a 64-bit float"),
    ("\ud800", "text with a lone surrogate is not valid UTF-8"),
    (None, "NoneType is none of number, boolean, text"),
    (b"x", "bytes is none of number, boolean, text"),
]


def at(second: float, key: SeriesKey = ROOM, /, **fields: Value) -> Point:
    """A point ``second`` seconds after noon."""
    return Point(key, NOON + round(second * NS_PER_S), fields)


def line(
    second: float, message: str, *, node: str = "dev1", level: str = "info", source: str = "app", **fields: Value
) -> Point:
    """A log record ``second`` seconds after noon."""
    key = SeriesKey(node, "log", (("level", level), ("source", source)))
    return Point(key, NOON + round(second * NS_PER_S), {"message": message, **fields})


def run(opened: Store, body: Callable[[Any], Coroutine[Any, Any, _T]]) -> _T:
    """Open a store, let ``body`` use it, close it."""

    async def main() -> _T:
        async with opened as store:
            return await body(store)

    return asyncio.run(main())


async def samples(store: Store, chosen: SeriesFilter = ALL) -> dict[str, dict[float, Any]]:
    """All raw samples: by field, by seconds after noon."""
    frames = await store.query(Query(chosen, 0, 2**62))
    return {frame.series.field: _rows(frame) for frame in frames}


async def windows(store: Store, every_s: float, fn: Fn, **chosen: Any) -> dict[str, dict[float, Any]]:
    """Aggregates: by field, by seconds after noon of the start of the window."""
    spans = {name: chosen.pop(name, value) for name, value in EVER.items()}
    query = Query(SeriesFilter(**chosen), **spans, every_ns=round(every_s * NS_PER_S), fn=fn)
    return {frame.series.field: _rows(frame) for frame in await store.query(query)}


async def messages(store: Store, **query: Any) -> list[str]:
    """The messages of the chosen log records."""
    return [record.message for record in await store.logs(LogQuery(**(EVER | query)))]


def _rows(frame: Frame) -> dict[float, Any]:
    values = frame.values if isinstance(frame.values, list) else frame.values.tolist()
    seconds = ((frame.ts_ns - NOON) / NS_PER_S).tolist()
    return dict(zip(seconds, values, strict=True))


def assert_same_frames(found: list[Frame], expected: list[Frame], scale: float = 1.0) -> None:
    """The same series and times, and values equal to 1e-9 of themselves, or of ``scale`` where they nearly cancel."""
    assert [frame.series for frame in found] == [frame.series for frame in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.ts_ns.dtype == np.int64
        np.testing.assert_array_equal(one.ts_ns, other.ts_ns, str(one.series))
        if isinstance(one.values, list) or isinstance(other.values, list):
            assert one.values == other.values
        else:
            np.testing.assert_allclose(one.values, other.values, rtol=1e-9, atol=1e-9 * scale, err_msg=str(one.series))
