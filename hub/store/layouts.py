"""Layouts: what the points of one key with the same fields in the same order share, the ids of their series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from hub.store.catalog import Ids, Times, room

if TYPE_CHECKING:
    from wire.point import SeriesKey

#: Layouts kept before all are forgotten and learnt anew: bounds memory where field names never repeat.
MAX_LAYOUTS: Final = 1 << 18
#: Layout of every log record.
LOG: Final = 0
#: Layout of a point of which nothing is stored.
NOTHING: Final = 1


class Layouts:
    """Known layouts, numbered; the ids of all of them lie in one array, one after the other."""

    def __init__(self) -> None:
        self.index: dict[tuple[SeriesKey, tuple[str, ...]], int] = {}
        self._key_numbers: dict[SeriesKey, int] = {}
        #: Many keys have the same fields: to compare one object that is near costs less than one of each key.
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._used = 0
        self._ids: Ids = np.empty(0, np.int32)
        self._next = NOTHING + 1
        self._start: Times = np.zeros(2, np.int64)
        self._count: Times = np.zeros(2, np.int64)
        self._key_number: Times = np.zeros(2, np.int64)

    def __len__(self) -> int:
        return len(self.index)

    def add_log(self, key: SeriesKey, names: tuple[str, ...]) -> int:
        self.index[key, self._shared(names)] = LOG
        return LOG

    def add(self, key: SeriesKey, names: tuple[str, ...], ids: list[int]) -> int:
        self._start, self._count = room(self._start, self._next + 1), room(self._count, self._next + 1)
        self._key_number = room(self._key_number, self._next + 1)
        self._ids = room(self._ids, self._used + len(ids))
        self._ids[self._used : self._used + len(ids)] = ids
        self._start[self._next], self._count[self._next] = self._used, len(ids)
        self._key_number[self._next] = self._key_numbers.setdefault(key, len(self._key_numbers))
        self._used += len(ids)
        self.index[key, self._shared(names)] = number = self._next
        self._next += 1
        return number

    def _shared(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return self._names.setdefault(names, names)

    def key_numbers(self, layout: npt.NDArray[np.int64]) -> Times:
        """A number for the key of each layout."""
        return self._key_number[layout]

    def expand(self, layout: npt.NDArray[np.int64]) -> tuple[Ids, Times]:
        """The ids of all values of points with these layouts, and how many each point has."""
        counts = self._count[layout]
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        return self._ids[np.repeat(self._start[layout] - (ends - counts), counts) + np.arange(total)], counts
