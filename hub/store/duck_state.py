"""The catalogue on disk: series, and where their samples begin and end; right after any crash, without reading all.

Now and then the time range and last value of every series are saved, with the number of rows each partition then had.
Rows are only ever appended, so opening adds what lies beyond those numbers: DuckDB's ``rowid`` counts rows in order of
arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import pyarrow as pa

from hub.store.base import FieldKind
from hub.store.catalog import NO_FIRST, TEXT
from hub.store.duck_file import partitions
from hub.store.partition import NUMBERS, Kind, Partition
from hub.store.values import KINDS
from wire.point import SeriesKey

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from hub.store.catalog import Catalog, Ids

_SAMPLES: Final = (*NUMBERS, Kind.TEXTS)
_OF_NUMBERS: Final = (*NUMBERS, Kind.MINUTES, Kind.HOURS)
_tags = msgspec.json.Decoder(tuple[tuple[str, str], ...])


@dataclass(slots=True)
class Stored:
    """What the file holds besides the catalogue."""

    #: Rows in each partition of samples or logs.
    rows: dict[Partition, int]
    #: Time of the newest log record; -1 without any.
    newest_log_ns: int
    #: Rows of samples that the saved state does not cover.
    unsaved: int


def load(connection: DuckDBPyConnection, catalog: Catalog) -> Stored:
    """Fill an empty catalogue from the file."""
    _load_series(connection, catalog)
    state = connection.execute("SELECT series, first_ns, last_ns, last_number, last_text FROM state").fetchnumpy()
    texts = np.ma.filled(state["last_text"], None).tolist()
    catalog.adopt(state["series"], state["first_ns"], state["last_ns"], state["last_number"], texts)
    saved = dict(connection.execute("SELECT name, rows FROM state_rows").fetchall())
    stored = Stored({}, -1, 0)
    for part in partitions(connection):
        if part.kind in _SAMPLES or part.kind is Kind.LOGS:
            stored.rows[part] = _scalar(connection, f"SELECT count(*) FROM {part.table}")
        if part.kind in _SAMPLES and stored.rows[part] > saved.get(part.table, 0):
            _add_rows(connection, catalog, part, saved.get(part.table, 0))
            stored.unsaved += stored.rows[part] - saved.get(part.table, 0)
        if part.kind is Kind.LOGS and stored.rows[part]:
            stored.newest_log_ns = _scalar(connection, f"SELECT max(ts) FROM {part.table}")
    return stored


def save(connection: DuckDBPyConnection, catalog: Catalog, stored: Stored) -> None:
    """Save the state of all series as of now; to be called by the thread that writes."""
    ids = catalog.with_samples()
    state = pa.table(
        {
            "series": ids,
            "first_ns": catalog.first_ns[ids],
            "last_ns": catalog.last_ns[ids],
            "last_number": catalog.last_number[ids],
            "last_text": pa.array(catalog.last_texts(ids), pa.string()),
        }
    )
    samples = {part.table: rows for part, rows in stored.rows.items() if part.kind in _SAMPLES}
    rows = pa.table(
        {"name": pa.array(list(samples), pa.string()), "rows": pa.array(list(samples.values()), pa.int64())}
    )
    connection.begin()
    connection.execute("DELETE FROM state")
    insert(connection, "state", state)
    connection.execute("DELETE FROM state_rows")
    insert(connection, "state_rows", rows)
    connection.commit()
    stored.unsaved = 0


def insert_series(connection: DuckDBPyConnection, catalog: Catalog, first: int) -> None:
    """Store the series from id ``first`` on, within the connection's transaction."""
    ids = range(first, catalog.next_id)
    names = [catalog.name(number) for number in ids]
    insert(
        connection,
        "series",
        pa.table(
            {
                "id": pa.array(ids, pa.int32()),
                "node": [key.node for key, _ in names],
                "measurement": [key.measurement for key, _ in names],
                "tags": [msgspec.json.encode(key.tags).decode() for key, _ in names],
                "field": [field for _, field in names],
                "kind": [KINDS[catalog.kind[number]] for number in ids],
            }
        ),
    )


def forget_lost(connection: DuckDBPyConnection, catalog: Catalog) -> bool:
    """After retention: forget the series of which nothing is left, and correct where the others begin.

    Returns:
        Whether series were forgotten.
    """
    parts = partitions(connection)
    known = catalog.with_samples()
    is_text = catalog.kind[known] == TEXT
    texts_begin = min((part.start_ns for part in parts if part.kind is Kind.TEXTS), default=NO_FIRST)
    numbers_begin = min((part.start_ns for part in parts if part.kind in _OF_NUMBERS), default=NO_FIRST)
    begin = np.where(is_text, texts_begin, numbers_begin)
    is_lost = catalog.last_ns[known] < begin
    is_cut = ~is_lost & (catalog.first_ns[known] < begin)
    if is_cut.any():
        _correct_first(connection, catalog, parts, known[is_cut & is_text], known[is_cut & ~is_text])
    if not is_lost.any():
        return False
    lost = known[is_lost]
    connection.begin()
    connection.register("lost", {"id": lost})
    connection.execute("DELETE FROM series WHERE id IN (SELECT id FROM lost)")
    connection.execute("DELETE FROM state WHERE series IN (SELECT id FROM lost)")
    connection.unregister("lost")
    connection.commit()
    catalog.forget(lost.tolist())
    return True


def insert(connection: DuckDBPyConnection, table: str, columns: object) -> None:
    """Append columns (Arrow table or dictionary of arrays, in the order of the table's columns) to a table of ours."""
    connection.register("incoming", columns)
    try:
        connection.execute(f"INSERT INTO {table} SELECT * FROM incoming")
    finally:
        connection.unregister("incoming")


def _load_series(connection: DuckDBPyConnection, catalog: Catalog) -> None:
    found = connection.execute("SELECT id, node, measurement, tags, field, kind FROM series").fetchnumpy()
    # Keys are shared: a key has many fields.
    keys: dict[tuple[str, str, str], SeriesKey] = {}
    names = []
    for node, measurement, tags, field in zip(
        *(found[c] for c in ("node", "measurement", "tags", "field")), strict=True
    ):
        key = keys.get((node, measurement, tags))
        if key is None:
            key = keys[node, measurement, tags] = SeriesKey(node, measurement, _tags.decode(tags))
        names.append((key, field))
    catalog.restore(found["id"], names, [KINDS.index(FieldKind(kind)) for kind in found["kind"]])


def _add_rows(connection: DuckDBPyConnection, catalog: Catalog, part: Partition, saved: int) -> None:
    found = connection.execute(
        f"SELECT series, min(ts) AS first_ns, max(ts) AS last_ns, arg_max(value, ts) AS value FROM {part.table} "
        "WHERE rowid >= ? GROUP BY series",
        [saved],
    ).fetchnumpy()
    catalog.observe(found["series"], found["last_ns"], found["value"])
    catalog.lower_first(found["series"], found["first_ns"])


def _correct_first(
    connection: DuckDBPyConnection, catalog: Catalog, parts: list[Partition], texts: Ids, numbers: Ids
) -> None:
    """Find where these series begin now; what is older than the oldest samples is known from hours, final there."""
    samples_begin = min((part.start_ns for part in parts if part.kind in NUMBERS), default=NO_FIRST)
    sources = [(texts, (Kind.TEXTS,), "ts"), (numbers, NUMBERS, "ts"), (numbers, (Kind.HOURS,), "first_ns")]
    for ids, kinds, column in sources:
        tables = [part.table for part in parts if part.kind in kinds]
        if not len(ids) or not tables:
            continue
        connection.register("cut", {"id": ids})
        union = " UNION ALL ".join(f"SELECT series, {column} AS first_ns, ts FROM {table}" for table in tables)
        found = connection.execute(
            f"SELECT series, min(first_ns) AS first_ns FROM ({union}) WHERE series IN (SELECT id FROM cut) "
            "AND (ts < $before OR NOT $only_before) GROUP BY series",
            {"before": samples_begin, "only_before": Kind.HOURS in kinds},
        ).fetchnumpy()
        connection.unregister("cut")
        catalog.set_first(found["series"], found["first_ns"])


def _scalar(connection: DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])
