"""Log records in DuckDB: the tables, what makes a record the same, and the query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from hub.store.base import LogRecord
from hub.store.duck_file import partitions
from hub.store.logs import fields_from_json, fields_to_json, leaves_out_unknown, levels_below
from hub.store.partition import Kind, Partition, by_partition, spans
from hub.store.select import glob_regex
from wire.formats.logs import LEVELS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from duckdb import DuckDBPyConnection

    from hub.store.base import LogQuery
    from hub.store.catalog import Mask

_COLUMNS: Final = ("ts", "node", "level", "source", "message", "fields")


def identity(record: LogRecord) -> tuple[int, str, str, str, str, str]:
    """Equal for records that are the same: the row of the table."""
    return (record.ts_ns, record.node, record.level, record.source, record.message, fields_to_json(record))


def table(records: Sequence[LogRecord]) -> pa.Table:
    """Rows to insert."""
    columns = zip(*map(identity, records), strict=True)
    return pa.table(dict(zip(_COLUMNS, map(list, columns), strict=True)))


def is_stored(connection: DuckDBPyConnection, records: Sequence[LogRecord], known: Collection[Partition]) -> Mask:
    """Which records are in the known partitions."""
    found = np.zeros(len(records), np.bool_)
    every = np.fromiter((record.ts_ns for record in records), np.int64, len(records))
    for part, inside in by_partition(Kind.LOGS, every):
        if part not in known:
            continue
        row = np.arange(len(records))[inside]
        for span in spans(every[row]):
            at = row[span]
            wanted = table([records[i] for i in at.tolist()]).append_column("position", pa.array(at))
            connection.register("wanted", wanted)
            query = (
                f"SELECT position FROM wanted JOIN {part.table} AS t USING ({', '.join(_COLUMNS)}) "
                "WHERE t.ts BETWEEN ? AND ?"
            )
            rows = connection.execute(query, [int(every[at].min()), int(every[at].max())])
            found[rows.fetchnumpy()["position"]] = True
            connection.unregister("wanted")
    return found


def find(connection: DuckDBPyConnection, query: LogQuery) -> list[LogRecord]:
    """The chosen records, newest first; of one instant, the last stored first."""
    where, values = _conditions(query)
    records: list[LogRecord] = []
    for part in reversed(partitions(connection)):
        wanted = query.limit - len(records)
        if part.kind is not Kind.LOGS or not part.overlaps(query.start_ns, query.stop_ns) or wanted <= 0:
            continue
        rows = connection.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM {part.table} WHERE {where} ORDER BY ts DESC, rowid DESC LIMIT $wanted",
            {**values, "wanted": wanted},
        ).fetchall()
        for ts_ns, node, level, source, message, fields in rows:
            records.append(LogRecord(ts_ns, node, level, source, message, fields_from_json(fields)))
    return records


def _conditions(query: LogQuery) -> tuple[str, dict[str, Any]]:
    """The WHERE of a query, and its parameters."""
    where, values = ["ts >= $start", "ts < $stop"], {"start": query.start_ns, "stop": query.stop_ns}
    parameters: dict[str, Any] = dict(values)
    if query.node is not None:
        where.append("regexp_full_match(node, $node, 's')")
        parameters["node"] = glob_regex(query.node)
    if query.nodes is not None:
        where.append("node IN (SELECT unnest($nodes::VARCHAR[]))")
        parameters["nodes"] = sorted(query.nodes)
    if query.level is not None:
        below = levels_below(query.level)
        allowed, named = ("NOT IN", below) if not leaves_out_unknown(query.level) else ("IN", LEVELS[len(below) :])
        where.append(f"lower(level) {allowed} (SELECT unnest($levels::VARCHAR[]))")
        parameters["levels"] = list(named)
    if query.source is not None:
        where.append("source = $source")
        parameters["source"] = query.source
    if query.text is not None:
        where.append("contains(lower(message), lower($text))")
        parameters["text"] = query.text
    return " AND ".join(where), parameters
