"""All rows of an embedded store that no hub runs on, in the order in which they came.

The file belongs to one process: while it is open here, no hub can open it, and the other way round. Rows are only ever
appended to tables of samples and logs, so a place in such a table, ``rowid``, stays good for as long as the table
exists. Roll-ups are made anew now and then; of them a table is read whole.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from hub.store import duck_state
from hub.store.base import LogRecord
from hub.store.catalog import NUMBER, Catalog, Ids, Times
from hub.store.duck_file import DuckFile, get_meta, partitions
from hub.store.duck_rollup import roll_up
from hub.store.logs import fields_from_json
from hub.store.partition import DAY_NS, NUMBERS, Kind

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    import numpy as np
    import numpy.typing as npt

    from hub.store.partition import Partition

_SAMPLES: Final = (*NUMBERS, Kind.TEXTS)


class Samples(NamedTuple):
    """Rows of one table: float64 or texts, as the table has them."""

    ids: Ids
    ts_ns: Times
    values: npt.NDArray[Any]
    #: Where the next rows begin.
    next_row: int


class Logs(NamedTuple):
    """Rows of one table of log records."""

    records: list[LogRecord]
    next_row: int


class RollUps(NamedTuple):
    """Rows of one table of minutes or hours; every array has one entry a row."""

    ids: Ids
    ts_ns: Times
    columns: dict[str, npt.NDArray[np.float64]]


class DuckExport:
    """Reads one file. ``with exporting(path) as export:`` opens it; every call blocks."""

    def __init__(self, file: DuckFile) -> None:
        self._file = file
        self.catalog = Catalog()
        with file.lease() as connection:
            self.rows: Final = duck_state.load(connection, self.catalog).rows
            self.parts: Final = partitions(connection)
            #: Up to when there are minutes and hours, ns.
            self.rolled_up_ns: Final = get_meta(connection, "rolled_up_ns")

    def samples(self, part: Partition, first_row: int, most: int) -> Generator[Samples, None, None]:
        """The rows of a table from ``first_row`` on, at most so many at a time."""
        query = f"SELECT rowid, series, ts, value FROM {part.table} WHERE rowid >="
        for rowid, ids, ts_ns, values in self._batches(query, first_row, most):
            yield Samples(ids, ts_ns, values, int(rowid[-1]) + 1)

    def logs(self, part: Partition, first_row: int, most: int) -> Generator[Logs, None, None]:
        """The records of a table from ``first_row`` on, at most so many at a time."""
        query = f"SELECT rowid, ts, node, level, source, message, fields FROM {part.table} WHERE rowid >="
        for rowid, *columns in self._batches(query, first_row, most):
            records = [
                LogRecord(ts_ns, node, level, source, message, fields_from_json(fields))
                for ts_ns, node, level, source, message, fields in zip(*(c.tolist() for c in columns), strict=True)
            ]
            yield Logs(records, int(rowid[-1]) + 1)

    def rollups(self, part: Partition, most: int) -> Generator[RollUps, None, None]:
        """All rows of a table of minutes or hours, at most so many at a time."""
        names = ("count", "sum", "min", "max", "first", "last", "mean")
        query = (
            "SELECT rowid, series, ts, n::DOUBLE, total, low, high, first, last, total / n "
            f"FROM {part.table} WHERE rowid >="
        )
        for _, ids, ts_ns, *columns in self._batches(query, 0, most):
            yield RollUps(ids, ts_ns, dict(zip(names, columns, strict=True)))

    def numbers(self, ids: Iterable[int]) -> list[int]:
        """Those of these series that are numbers, each as often as it is there: what has roll-ups elsewhere."""
        return [number for number in map(int, ids) if self.catalog.kind[number] == NUMBER]

    def fingerprint(self, part: Partition) -> list[int]:
        """Differs between two states of a table of minutes or hours: its rows, and the samples in them."""
        with self._file.lease() as connection:
            row = connection.execute(f"SELECT count(*), coalesce(sum(n), 0)::BIGINT FROM {part.table}").fetchall()[0]
        return [int(each) for each in row]

    def counts(self, parts: Sequence[Partition]) -> dict[int, int]:
        """How many rows each series has in these tables."""
        with self._file.lease() as connection:
            union = " UNION ALL ".join(f"SELECT series FROM {part.table}" for part in parts)
            rows = connection.execute(f"SELECT series, count(*) FROM ({union}) GROUP BY series").fetchall()
        return {int(series): int(count) for series, count in rows}

    def log_counts(self) -> dict[tuple[str, str, str], int]:
        """How many records each node, level and source has."""
        tables = [part.table for part in self.parts if part.kind is Kind.LOGS]
        if not tables:
            return {}
        union = " UNION ALL ".join(f"SELECT node, level, source FROM {table}" for table in tables)
        with self._file.lease() as connection:
            rows = connection.execute(f"SELECT node, level, source, count(*) FROM ({union}) GROUP BY ALL").fetchall()
        return {(node, level, source): int(count) for node, level, source, count in rows}

    def rollup_counts(self, part: Partition) -> dict[int, dict[int, int]]:
        """How many rows of a table of minutes or hours each series has on each day, by the start of the day, ns."""
        query = f"SELECT ts // {DAY_NS} * {DAY_NS}, series, count(*) FROM {part.table} GROUP BY ALL"
        found: dict[int, dict[int, int]] = {}
        with self._file.lease() as connection:
            for day_ns, series, count in connection.execute(query).fetchall():
                found.setdefault(int(day_ns), {})[int(series)] = int(count)
        return dict(sorted(found.items()))

    def days(self) -> dict[int, list[Partition]]:
        """The tables of samples by the start of their day, ns."""
        found: dict[int, list[Partition]] = {}
        for part in self.parts:
            if part.kind in _SAMPLES:
                found.setdefault(part.start_ns, []).append(part)
        return dict(sorted(found.items()))

    def _batches(self, query: str, first_row: int, most: int) -> Generator[list[Any], None, None]:
        """Columns of rows as they lie in the table, which is their order of ``rowid``."""
        with self._file.lease() as connection:
            # A relation, unlike an executed statement, gives rows as they are read.
            reader: Any = connection.sql(f"{query} {first_row:d}").to_arrow_reader(most)
            for batch in reader:
                if batch.num_rows:
                    yield [column.to_numpy(zero_copy_only=False) for column in batch.columns]


@contextmanager
def exporting(path: Path, *, memory_bytes: int, threads: int) -> Iterator[DuckExport]:
    """Open the file of a store; minutes that late samples made stale are rolled up again first.

    Raises:
        StoreBroken: there is none, a hub runs on it, or it is damaged; the message says what to do.
    """
    file = DuckFile(path, memory_bytes=memory_bytes, threads=threads)
    file.open()
    try:
        roll_up(file, 0)
        yield DuckExport(file)
    finally:
        file.close()
