"""Log records in InfluxDB: measurement ``log``, as ``influx_layout`` names its parts.

InfluxDB holds one row for each series and time, but two lines of one source at one instant are two records. The second
is written some ns later, and says its true time; which one it is, what is stored already decides.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import structlog

from hub.store.base import LogRecord, QueryError, StoreUnavailable
from hub.store.influx_catalog import SHORTER_NS
from hub.store.influx_layout import LOG_FIELDS, LOG_MESSAGE, LOG_SHIFT_NS, LOG_TIME
from hub.store.influxql import NODE, during, field, matches_glob, of_nodes, regex, source, tag, text
from hub.store.line_protocol import original_name, stored_tag
from hub.store.logs import fields_from_json, fields_to_json, leaves_out_unknown, levels_below, log_matcher
from hub.store.partition import spans
from hub.store.values import MAX_NS
from wire.formats.logs import LEVELS
from wire.point import LOG_MEASUREMENT, NODE_TAG, Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

    from hub.store.base import LogQuery
    from hub.store.influx_query import Asker
    from hub.store.influxql import Row
    from wire.point import Value

_COLUMNS: Final = ", ".join(
    [field(LOG_MESSAGE), field(LOG_FIELDS), field(LOG_TIME), f"{NODE}", f"{tag('level')}", f"{tag('source')}"]
)
#: Rows asked for at once.
_PAGE: Final = 10_000

_log = structlog.get_logger("hub.store.influx")


def key_of(record: LogRecord) -> SeriesKey:
    """The series that a record is written to."""
    return SeriesKey(record.node, LOG_MEASUREMENT, (("level", record.level), ("source", record.source)))


def point_of(record: LogRecord, at_ns: int) -> Point:
    """The record as the point that is written, at ``at_ns``."""
    fields: dict[str, Value] = {LOG_MESSAGE: record.message}
    if record.fields:
        fields[LOG_FIELDS] = fields_to_json(record)
    if at_ns != record.ts_ns:
        fields[LOG_TIME] = str(record.ts_ns)
    return Point(key_of(record), at_ns, fields)


async def newest(asker: Asker, retention_policy: str, now_ns: int) -> dict[SeriesKey, int]:
    """When each series of records was last written to, as far back as the server tells.

    Raises:
        StoreUnavailable: as :meth:`Asker.ask`.
    """
    of = f"SELECT last({field(LOG_MESSAGE)}) AS v FROM {source(LOG_MEASUREMENT, retention_policy)}"
    series: Sequence[Row] = ()
    for since_ns in (0, *(now_ns - back_ns for back_ns in SHORTER_NS)):
        try:
            (result,) = await asker.ask([f"{of} WHERE {during(since_ns, MAX_NS)} GROUP BY *"])
        except QueryError as error:
            _log.warning("InfluxDB does not look through all log records: asking for the newest", why=str(error))
        else:
            series = result.series
            break
    found: dict[SeriesKey, int] = {}
    for row in series:
        tags = {name: original_name(value) for name, value in row.tags.items()}
        key = SeriesKey(
            tags.get(NODE_TAG, ""),
            LOG_MEASUREMENT,
            (("level", tags.get("level", "")), ("source", tags.get("source", ""))),
        )
        found[key] = row.values[0][0]
    return found


def place(record: LogRecord, taken: dict[int, tuple[object, ...]]) -> int | None:
    """When to write a record, given what its series holds by time of writing; None when it is there already.

    Raises:
        StoreUnavailable: more records at one instant than there is room for.
    """
    for at_ns in range(record.ts_ns, record.ts_ns + LOG_SHIFT_NS):
        held = taken.get(at_ns)
        if held is None:
            return at_ns
        if held == identity(record):
            return None
    raise StoreUnavailable(f"{record.node} {record.source}: more than {LOG_SHIFT_NS} log records at {record.ts_ns} ns")


def identity(record: LogRecord) -> tuple[object, ...]:
    """What makes a record the same as another of its series."""
    return record.ts_ns, record.message, fields_to_json(record) if record.fields else ""


async def held_at(
    asker: Asker, retention_policy: str, nodes: Iterable[str], times: npt.NDArray[np.int64]
) -> list[tuple[int, LogRecord]]:
    """The records stored about these times: time of writing, record."""
    condition, found = of_nodes(nodes), []
    statements = [
        f"SELECT {_COLUMNS} FROM {source(LOG_MEASUREMENT, retention_policy)} "
        f"WHERE {during(int(times[rows].min()), int(times[rows].max()) + LOG_SHIFT_NS)}{condition}"
        for rows in spans(times)
    ]
    for result in await asker.ask(statements):
        for series in result.series:
            found += [(row[0], _record(row)) for row in series.values]
    return found


async def find(asker: Asker, retention_policy: str, query: LogQuery, floor_ns: int) -> list[LogRecord]:
    """The selected records, newest first.

    Raises:
        QueryError: the level is unknown, or the text cannot be asked for.
        StoreUnavailable: no answer.
    """
    matches = log_matcher(query)
    if query.nodes is not None and not query.nodes:
        return []
    start_ns = max(query.start_ns, floor_ns, 0)
    stop_ns = min(query.stop_ns + LOG_SHIFT_NS, 2**63 - 1)
    found: list[LogRecord] = []
    at, page = 0, min(_PAGE, query.limit + 100)
    while start_ns < stop_ns:
        where = f"{during(start_ns, stop_ns)}{_conditions(query)}"
        of = f"{source(LOG_MEASUREMENT, retention_policy)} WHERE {where} ORDER BY time DESC"
        (result,) = await asker.ask([f"SELECT {_COLUMNS} FROM {of} LIMIT {page:d} OFFSET {at:d}"])
        rows = [row for series in result.series for row in series.values]
        found += [record for row in rows if matches(record := _record(row)) and record.ts_ns >= floor_ns]
        if len(rows) < page or len(found) >= query.limit + 100:
            break
        at += page
    found.sort(key=lambda record: -record.ts_ns)  # keeps the order of equals: the last stored first
    return found[: query.limit]


def _conditions(query: LogQuery) -> str:
    """What the server can leave out beforehand; :func:`log_matcher` has the last word."""
    parts = []
    if query.node is not None:
        parts.append(matches_glob(NODE, query.node))
    if query.nodes and query.node is None:
        parts.append(of_nodes(query.nodes).removeprefix(" AND "))
    if query.source:
        parts.append(f"{tag('source')} = {text(stored_tag(query.source))}")
    if query.level is not None and (below := levels_below(query.level)):
        names = "|".join(below)
        parts.append(f"{tag('level')} !~ {regex(f'(?i)^(?:{names})$')}")
        if leaves_out_unknown(query.level):
            known = "|".join(LEVELS)
            parts.append(f"{tag('level')} =~ {regex(f'(?i)^(?:{known})$')}")
    if query.text and query.text.isascii():
        parts.append(f"{field(LOG_MESSAGE)} =~ {regex(f'(?i){re.escape(query.text)}')}")
    return "".join(f" AND {part}" for part in parts if part)


def _record(row: Sequence[Any]) -> LogRecord:
    at_ns, message, fields, time, node, level, origin = row
    return LogRecord(
        int(time) if time else at_ns,
        original_name(node or ""),
        original_name(level or ""),
        original_name(origin or ""),
        message or "",
        fields_from_json(fields) if fields else {},
    )
