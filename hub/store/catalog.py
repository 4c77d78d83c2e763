"""The series in memory: their ids, kinds, time ranges and last values, in arrays indexed by id.

One thread at a time changes it (the store's writer); any thread may read it through ``select`` and ``last``.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from hub.store.base import FieldKind, Last, Series, SeriesFilter
from hub.store.select import SeriesMatcher
from hub.store.values import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wire.point import SeriesKey, Value

Ids = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Objects = npt.NDArray[np.object_]
Mask = npt.NDArray[np.bool_]

_Scalar = TypeVar("_Scalar", bound=np.generic)

#: ``last_ns`` and ``first_ns`` of a series without samples.
NO_LAST: Final = -(2**63)
NO_FIRST: Final = 2**63 - 1
#: Codes of the kinds: indices into :data:`hub.store.values.KINDS`.
NUMBER, BOOLEAN, TEXT = range(len(KINDS))


class Chosen(NamedTuple):
    """A selected series."""

    id: int
    series: Series


class Catalog:
    """Every series of a store. Ids are dense, from 0, and not used again while the process runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: dict[SeriesKey, dict[str, int]] = {}
        #: By id; None where the series was forgotten.
        self._names: list[tuple[SeriesKey, str] | None] = []
        self._last_text: dict[int, str] = {}
        self._winner: Times = np.empty(0, np.int64)
        #: By id, longer than there are series. The writer reads them; it alone changes them.
        self.kind: npt.NDArray[np.int8] = np.empty(0, np.int8)
        self.first_ns: Times = np.empty(0, np.int64)
        self.last_ns: Times = np.empty(0, np.int64)
        self.last_number: Numbers = np.empty(0, np.float64)

    # ── for any thread ──

    def select(self, chosen: SeriesFilter) -> list[Chosen]:
        """The selected series that have samples, sorted by node, measurement, tags, field."""
        return [each for each, _ in self._described(chosen)]

    def last(self, chosen: SeriesFilter) -> list[Last]:
        """The newest sample of each selected series."""
        return [Last(each.series, each.series.last_ns, value) for each, value in self._described(chosen)]

    def count(self) -> int:
        """How many series have samples."""
        return int(np.count_nonzero(self.last_ns[: len(self._names)] != NO_LAST))

    def oldest_ns(self) -> int | None:
        """Time of the oldest sample; None without any."""
        first = self.first_ns[: len(self._names)]
        oldest = int(first.min()) if len(first) else NO_FIRST
        return None if oldest == NO_FIRST else oldest

    # ── for the writer ──

    def newest_number_ns(self) -> int:
        """Time of the newest number or boolean; :data:`NO_LAST` without any."""
        times = self.last_ns[: self.next_id][self.kind[: self.next_id] != TEXT]
        return int(times.max()) if len(times) else NO_LAST

    @property
    def next_id(self) -> int:
        return len(self._names)

    def id_of(self, key: SeriesKey, field: str, code: int) -> int:
        """The id of a series, made of kind ``code`` when it is new."""
        fields = self._ids.get(key)
        if fields is None:
            fields = self._ids[key] = {}
        known = fields.get(field)
        if known is not None:
            return known
        self._grow(self.next_id + 1)
        self.kind[self.next_id] = code
        self._names.append((key, field))
        fields[field] = new = self.next_id - 1
        return new

    def restore(self, ids: Ids, names: Sequence[tuple[SeriesKey, str]], codes: Iterable[int]) -> None:
        """Take series over from the database, into an empty catalogue."""
        size = int(ids.max()) + 1 if len(ids) else 0
        self._grow(size)
        self._names = [None] * size
        for number, name, code in zip(ids.tolist(), names, codes, strict=True):
            self._names[number] = name
            self._ids.setdefault(name[0], {})[name[1]] = number
            self.kind[number] = code

    def name(self, series: int) -> tuple[SeriesKey, str]:
        """Key and field of a series that exists."""
        name = self._names[series]
        if name is None:
            raise KeyError(series)
        return name

    def forget(self, ids: Iterable[int]) -> None:
        """Remove series."""
        with self._lock:
            for number in ids:
                key, field = self.name(number)
                self._names[number] = None
                self._last_text.pop(number, None)
                self.first_ns[number], self.last_ns[number] = NO_FIRST, NO_LAST
                fields = self._ids[key]
                del fields[field]
                if not fields:
                    del self._ids[key]

    def observe(self, ids: Ids, ts: Times, values: Numbers | Objects) -> None:
        """Move first and last of the series to take in new samples, in any order, none twice."""
        if not len(ids):
            return
        won = self._newest(ids, ts)
        won = won[ts[won] > self.last_ns[ids[won]]]
        with self._lock:
            self.last_ns[ids[won]] = ts[won]
            if values.dtype == np.float64:
                self.last_number[ids[won]] = values[won]
            else:
                self._last_text.update(zip(ids[won].tolist(), values[won].tolist(), strict=True))
            self._lower_first(ids, ts)

    def lower_first(self, ids: Ids, ts: Times) -> None:
        """Move the first times back to samples at these times."""
        with self._lock:
            self._lower_first(ids, ts)

    def adopt(self, ids: Ids, first_ns: Times, last_ns: Times, numbers: Numbers, texts: Sequence[str | None]) -> None:
        """Set time ranges and last values, read from the database."""
        with self._lock:
            self.first_ns[ids], self.last_ns[ids], self.last_number[ids] = first_ns, last_ns, numbers
            self._last_text.update((n, text) for n, text in zip(ids.tolist(), texts, strict=True) if text is not None)

    def set_first(self, ids: Ids, first_ns: Times) -> None:
        """Correct the first times, after old samples were dropped."""
        with self._lock:
            self.first_ns[ids] = first_ns

    def with_samples(self) -> Ids:
        """Ids of all series that have samples."""
        return np.flatnonzero(self.last_ns[: self.next_id] != NO_LAST).astype(np.int32)

    def last_texts(self, ids: Ids) -> list[str | None]:
        """The last texts, None for other kinds."""
        return [self._last_text.get(number) for number in ids.tolist()]

    # ── private ──

    def _described(self, chosen: SeriesFilter) -> list[tuple[Chosen, Value]]:
        matcher = SeriesMatcher(chosen)
        # list() copies a dict in one step of the interpreter: the writer may add to it meanwhile.
        found = sorted(
            (key, field, number)
            for key, fields in list(self._ids.items())
            if matcher.key(key)
            for field, number in list(fields.items())
            if matcher.field(field)
        )
        ids = np.fromiter((number for _, _, number in found), np.int32, len(found))
        with self._lock:
            kinds, firsts, lasts = self.kind[ids].tolist(), self.first_ns[ids].tolist(), self.last_ns[ids].tolist()
            numbers, texts = self.last_number[ids].tolist(), self.last_texts(ids)
        rows: list[tuple[Chosen, Value]] = []
        for (key, field, number), code, first, last, value, text in zip(
            found, kinds, firsts, lasts, numbers, texts, strict=True
        ):
            if last != NO_LAST:
                kind = KINDS[code]
                rows.append((Chosen(number, Series(key, field, kind, first, last)), _as_value(kind, value, text)))
        return rows

    def _lower_first(self, ids: Ids, ts: Times) -> None:
        earlier = ts < self.first_ns[ids]
        if earlier.any():
            np.minimum.at(self.first_ns, ids[earlier], ts[earlier])

    def _newest(self, ids: Ids, ts: Times) -> npt.NDArray[np.intp]:
        """Row of the newest sample of each id among the samples given."""
        position: npt.NDArray[np.intp] = np.arange(len(ts))
        order: npt.NDArray[np.intp] = position if (ts[1:] >= ts[:-1]).all() else np.argsort(ts)
        ordered = ids[order]
        # Of several writes to one place the last stays: numpy does so but does not promise it, hence the check.
        self._winner[ordered] = position
        winner = self._winner[ordered]
        if (winner < position).any():
            order = np.lexsort((ts, ids))
            ordered = ids[order]
            won: npt.NDArray[np.intp] = order[np.append(ordered[1:] != ordered[:-1], True)]
        else:
            won = order[winner == position]
        return won

    def _grow(self, size: int) -> None:
        old = len(self.kind)
        if size <= old:
            return
        with self._lock:
            self.kind, self._winner = room(self.kind, size), room(self._winner, size)
            self.first_ns, self.last_ns = room(self.first_ns, size), room(self.last_ns, size)
            self.last_number = room(self.last_number, size)
            self.first_ns[old:], self.last_ns[old:] = NO_FIRST, NO_LAST


def room(array: npt.NDArray[_Scalar], size: int) -> npt.NDArray[_Scalar]:
    """``array``, or a copy at least twice as long when ``size`` does not fit."""
    if size <= len(array):
        return array
    grown = np.empty(max(size, 2 * len(array), 1024), array.dtype)
    grown[: len(array)] = array
    return grown


def _as_value(kind: FieldKind, number: float, text: str | None) -> Value:
    match kind:
        case FieldKind.NUMBER:
            return number
        case FieldKind.BOOLEAN:
            return bool(number)
        case FieldKind.TEXT:
            return text or ""
