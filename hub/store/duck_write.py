"""Writing samples and log records: one thread, one transaction a batch, nothing twice.

    points ─▶ Gatherer ─▶ columns ─▶ drop what repeats in the batch ─▶ drop what is stored ─▶ INSERT, COMMIT
                                                                        │
        newer than the newest sample of its series, or older than the ──┤  known from memory to be new: nearly
        oldest                                                          │  every row
        else: looked up in its partition, within the span of time of ───┘
        its neighbours, so that one late row does not widen the scan

A crash leaves whole batches only. All of this runs in the writer's thread.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hub.store import duck_logs, duck_state
from hub.store.base import WriteResult
from hub.store.catalog import NO_LAST, Catalog, Mask, Numbers, Objects
from hub.store.columns import Floors, Gatherer, Rows, first_of_each
from hub.store.duck_file import get_meta, make_partition, partitions
from hub.store.duck_state import insert
from hub.store.partition import MINUTE_NS, NUMBERS, Kind, Partition, by_partition, floor_ns, spans
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hub.store.base import LogRecord
    from hub.store.columns import Columns
    from hub.store.duck_file import DuckFile
    from hub.store.partition import Keep
    from wire.point import Point

#: Rows of samples after which the state of the series is saved: what opening may have to read (about 20 ms a million).
_SAVE_AFTER_ROWS: Final = 2_000_000

#: Numbers older than the newest of all by more than this go to the table of late ones.
_LATE_NS: Final = 10 * NS_PER_S

#: Partition, its new rows (Arrow table, or arrays by column), how many.
_Table = tuple[Partition, object, int]
_Values = TypeVar("_Values", Numbers, Objects)


class Writer:
    """Writes into an open file; knows from its catalogue what cannot be stored yet."""

    def __init__(self, file: DuckFile, keep: Keep, clock_ns: Callable[[], int]) -> None:
        self._file = file
        self._keep = keep
        self._clock_ns = clock_ns
        self._con = file.writer
        self.catalog = Catalog()
        self._gatherer = Gatherer(self.catalog)
        self._stored = duck_state.load(self._con, self.catalog)
        #: Numbers older than this may be in roll-ups already: writing them makes their minutes stale.
        self._rolled_up_ns = get_meta(self._con, "rolled_up_ns")
        #: Samples older than this were dropped; their roll-ups are final.
        self._dropped_ns = get_meta(self._con, "dropped_ns")
        self._newest_ns = self.catalog.newest_number_ns()
        duck_state.forget_lost(self._con, self.catalog)

    def write(self, points: Sequence[Point]) -> WriteResult:
        """Store a batch; committed on return.

        Raises:
            duckdb.Error: nothing is known to be stored, and this object with its file must be made anew.
        """
        now = self._clock_ns()
        floors = Floors(
            max(self._dropped_ns, floor_ns(self._keep, Kind.NUMBERS, now)), floor_ns(self._keep, Kind.LOGS, now)
        )
        first_new = self.catalog.next_id
        columns = self._gatherer.gather(points, floors)
        numbers = self._new(NUMBERS, columns, columns.numbers)
        texts = self._new((Kind.TEXTS,), columns, columns.texts)
        logs = self._new_logs(columns.logs)
        accepted = len(numbers) + len(texts) + len(logs)
        if accepted:
            self._commit(first_new, numbers, texts, [record for _, record in logs])
        duplicates = _duplicates(len(points), columns, numbers, texts, logs)
        return WriteResult(accepted, duplicates, columns.rejected(points))

    def set_bounds(self, rolled_up_ns: int, samples_from_ns: int) -> None:
        """From now on, older than the first makes roll-ups stale, than the second is refused."""
        self._rolled_up_ns = max(self._rolled_up_ns, rolled_up_ns)
        self._dropped_ns = max(self._dropped_ns, samples_from_ns)

    def settle(self) -> None:
        """After roll-up and retention: forget series without samples; save the state when much was written since."""
        present = set(partitions(self._con))
        dropped = [part for part in self._stored.rows if part not in present]
        for part in dropped:
            del self._stored.rows[part]
        if duck_state.forget_lost(self._con, self.catalog):
            self._gatherer.forget()
        if dropped or self._stored.unsaved > _SAVE_AFTER_ROWS:
            self.save()

    def save(self) -> None:
        """Save the state of the series, so that the next opening is quick."""
        if self._stored.unsaved:
            duck_state.save(self._con, self.catalog, self._stored)

    # ── private ──

    def _new(self, kinds: Sequence[Kind], columns: Columns, rows: Rows[_Values]) -> Rows[_Values]:
        """The rows that neither repeat an earlier one of the batch nor are stored."""
        old = (rows.ts <= self.catalog.last_ns[rows.ids]) & (rows.ts >= self.catalog.first_ns[rows.ids])
        keep: Mask | None = None
        if columns.may_repeat:
            keep = first_of_each(rows)
            old &= keep
        if old.any():
            keep = np.ones(len(rows), np.bool_) if keep is None else keep
            where = np.flatnonzero(old)
            keep[where[self._is_stored(kinds, rows.take(where))]] = False
        return rows if keep is None else rows.take(keep)

    def _is_stored(self, kinds: Sequence[Kind], rows: Rows[_Values]) -> Mask:
        found = np.zeros(len(rows), np.bool_)
        for kind in kinds:
            for part, inside in by_partition(kind, rows.ts):
                if part in self._stored.rows:
                    row = np.arange(len(rows))[inside]
                    for span in spans(rows.ts[row]):
                        found[self._look_up(part, rows, row[span])] = True
        return found

    def _look_up(self, part: Partition, rows: Rows[_Values], at: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
        """Which of the rows at these positions are in a partition."""
        ts = rows.ts[at]
        self._con.register("wanted", {"series": rows.ids[at], "ts": ts, "position": at})
        found = self._con.execute(
            f"SELECT position FROM wanted JOIN {part.table} AS t USING (series, ts) WHERE t.ts BETWEEN ? AND ?",
            [int(ts.min()), int(ts.max())],
        ).fetchnumpy()["position"]
        self._con.unregister("wanted")
        return found

    def _new_logs(self, logs: Sequence[tuple[int, LogRecord]]) -> list[tuple[int, LogRecord]]:
        first: dict[tuple[object, ...], tuple[int, LogRecord]] = {}
        for at, record in logs:
            first.setdefault(duck_logs.identity(record), (at, record))
        new = list(first.values())
        old = np.fromiter((record.ts_ns <= self._stored.newest_log_ns for _, record in new), np.bool_, len(new))
        if not old.any():
            return new
        keep = np.ones(len(new), np.bool_)
        where = np.flatnonzero(old)
        known = [part for part in self._stored.rows if part.kind is Kind.LOGS]
        keep[where[duck_logs.is_stored(self._con, [new[i][1] for i in where.tolist()], known)]] = False
        return list(compress(new, keep))

    def _commit(self, first_new: int, numbers: Rows[Numbers], texts: Rows[Objects], logs: Sequence[LogRecord]) -> None:
        tables = [*_number_tables(numbers, self._newest_ns - _LATE_NS), *_text_tables(texts), *_log_tables(logs)]
        for part, _, _ in tables:
            if part not in self._stored.rows:
                make_partition(self._con, part)
                self._stored.rows[part] = 0
        self._con.begin()
        if self.catalog.next_id > first_new:
            duck_state.insert_series(self._con, self.catalog, first_new)
        for part, columns, _ in tables:
            insert(self._con, part.table, columns)
        self._mark_stale(numbers)
        self._con.commit()
        for part, _, size in tables:
            self._stored.rows[part] += size
        self._stored.unsaved += len(numbers) + len(texts)
        self._stored.newest_log_ns = max((self._stored.newest_log_ns, *(record.ts_ns for record in logs)))
        self._newest_ns = max(self._newest_ns, int(numbers.ts.max(initial=NO_LAST)))
        self.catalog.observe(numbers.ids, numbers.ts, numbers.values)
        self.catalog.observe(texts.ids, texts.ts, texts.values)

    def _mark_stale(self, numbers: Rows[Numbers]) -> None:
        """Note the minutes that have been rolled up without these rows."""
        behind = numbers.ts < self._rolled_up_ns
        if behind.any():
            minutes = numbers.ts[behind] // MINUTE_NS * MINUTE_NS
            pairs = np.unique(np.stack((numbers.ids[behind], minutes)), axis=1)
            insert(self._con, "stale", {"series": pairs[0].astype(np.int32), "minute": pairs[1]})


def _number_tables(rows: Rows[Numbers], late_before_ns: int) -> Iterator[_Table]:
    late = rows.ts < late_before_ns
    apart = (
        ((Kind.NUMBERS, rows.take(~late)), (Kind.LATE_NUMBERS, rows.take(late)))
        if late.any()
        else ((Kind.NUMBERS, rows),)
    )
    for kind, of_kind in apart:
        for part, inside in by_partition(kind, of_kind.ts):
            ids = of_kind.ids[inside]
            yield part, {"series": ids, "ts": of_kind.ts[inside], "value": of_kind.values[inside]}, len(ids)


def _text_tables(rows: Rows[Objects]) -> Iterator[_Table]:
    for part, inside in by_partition(Kind.TEXTS, rows.ts):
        ids = rows.ids[inside]
        values = pa.array(rows.values[inside].tolist(), pa.string())
        yield part, pa.table({"series": ids, "ts": rows.ts[inside], "value": values}), len(ids)


def _log_tables(records: Sequence[LogRecord]) -> Iterator[_Table]:
    ts = np.fromiter((record.ts_ns for record in records), np.int64, len(records))
    for part, inside in by_partition(Kind.LOGS, ts):
        chosen = [records[i] for i in np.arange(len(records))[inside].tolist()]
        yield part, duck_logs.table(chosen), len(chosen)


def _duplicates(
    size: int, columns: Columns, numbers: Rows[Numbers], texts: Rows[Objects], logs: Sequence[tuple[int, LogRecord]]
) -> tuple[int, ...]:
    """Positions of the points that brought values, none of them new, and none refused."""
    brought = len(columns.numbers) + len(columns.texts) + len(columns.logs)
    if brought == len(numbers) + len(texts) + len(logs):
        return ()
    old = np.zeros(size, np.bool_)
    old[columns.numbers.point] = True
    old[columns.texts.point] = True
    old[[at for at, _ in columns.logs]] = True
    old[numbers.point] = False
    old[texts.point] = False
    old[[at for at, _ in logs]] = False
    old[list(columns.refusals.parts)] = False
    return tuple(np.flatnonzero(old).tolist())
