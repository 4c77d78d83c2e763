"""Few points that look like all: for charts, which cannot show more points than a screen has columns.

count a window ─▶ few enough: the samples as they are
              └─▶ else: least and greatest of each window, so that no peak is lost; one point where both are the same
text series   ─▶ the last of each window
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from hub.store.base import FieldKind, Fn, Frame, Query, Series, SeriesFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.store.base import Store

_MS: Final = 1_000_000
_S: Final = 1_000 * _MS
_MINUTE: Final = 60 * _S
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
#: Widths that people read easily, and that roll-ups divide.
_WIDTHS: Final = (
    *(n * _MS for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(n * _S for n in (1, 2, 5, 10, 15, 30)),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14, 28)),
)


def window_ns(range_ns: int, points: int) -> int:
    """Width of the windows whose least and greatest make at most ``points`` points."""
    least = range_ns / max(points // 2 - 1, 1)  # the first window and the last may be cut
    return next((width for width in _WIDTHS if width >= least), -(-int(least) // _DAY) * _DAY)


async def reduced(store: Store, query: Query, points: int) -> list[Frame]:
    """At most ``points`` points a series, by time; windows are labelled by their start, greatest by their middle.

    Raises:
        QueryError, StoreUnavailable: as ``store.query``.
    """
    every_ns = window_ns(query.stop_ns - query.start_ns, points)
    chosen = await store.series(query.series)
    texts = [series for series in chosen if series.kind is FieldKind.TEXT]
    numbers = [series for series in chosen if series.kind is not FieldKind.TEXT]
    frames: list[Frame] = []
    if texts and not numbers:
        frames = await _windows(store, query, every_ns, Fn.LAST)
    elif texts:
        for one in chosen:
            of_one = msgspec.structs.replace(query, series=exactly(one))
            if one.kind is FieldKind.TEXT:
                found = await _windows(store, of_one, every_ns, Fn.LAST)
            else:
                found = await _numbers(store, of_one, every_ns, points)
            frames += [frame for frame in found if _name(frame.series) == _name(one)]
    elif numbers:
        frames = await _numbers(store, query, every_ns, points)
    return sorted(frames, key=lambda frame: (frame.series.key, frame.series.field))


async def _numbers(store: Store, query: Query, every_ns: int, points: int) -> list[Frame]:
    counts = await _windows(store, query, every_ns, Fn.COUNT)
    if all(float(np.sum(np.asarray(frame.values))) <= points for frame in counts):
        return await store.query(msgspec.structs.replace(query, every_ns=None))
    least, greatest = await asyncio.gather(
        _windows(store, query, every_ns, Fn.MIN), _windows(store, query, every_ns, Fn.MAX)
    )
    return [_interleaved(low, high, every_ns) for low, high in _pairs(least, greatest)]


async def _windows(store: Store, query: Query, every_ns: int, fn: Fn) -> list[Frame]:
    return await store.query(msgspec.structs.replace(query, every_ns=every_ns, fn=fn))


def _pairs(least: Sequence[Frame], greatest: Sequence[Frame]) -> list[tuple[Frame, Frame]]:
    """Frames of the same series; what was written between the two queries may be in one of them only."""
    found = {_name(frame.series): frame for frame in greatest}
    return [(frame, found[_name(frame.series)]) for frame in least if _name(frame.series) in found]


def _name(series: Series) -> tuple[object, str]:
    return series.key, series.field


def _interleaved(low: Frame, high: Frame, every_ns: int) -> Frame:
    times, at, of = np.intersect1d(low.ts_ns, high.ts_ns, assume_unique=True, return_indices=True)
    least = np.asarray(low.values, np.float64)[at]
    greatest = np.asarray(high.values, np.float64)[of]
    ts = np.column_stack((times, times + every_ns // 2)).ravel()
    values = np.column_stack((least, greatest)).ravel()
    kept = np.ones(len(ts), bool)
    kept[1::2] = least != greatest
    return Frame(low.series, ts[kept], values[kept])


def exactly(series: Series) -> SeriesFilter:
    """Selects this series, and those that have its tags and more."""
    key = series.key
    return SeriesFilter(
        node=_literal(key.node),
        measurement=_literal(key.measurement),
        field=_literal(series.field),
        tags=dict(key.tags),
    )


def _literal(text: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)
