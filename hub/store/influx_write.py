"""Writing to InfluxDB: what is new of a batch, as lines, sent until each is stored or refused for good.

    points ─▶ Gatherer ─▶ columns ─▶ drop what repeats in the batch ─▶ drop what is stored ─▶ parts ─▶ lines ─▶ Sender
                                                                        │
        newer than the newest sample of its series, or older than the ──┤  known from memory to be new: nearly every row
        oldest                                                          │
        else: asked for, in the span of time of its neighbours ─────────┘  late rows, and deliveries repeated

InfluxDB would keep the last of two values with one time, and say nothing; the hub keeps the first, and counts. Where
rows cannot be asked for (no right to read, VictoriaMetrics, a limit of the server, more than ``_MOST_ASKED`` of a
series), they are written again: nothing is lost or doubled, but they count as accepted, and the last value stays.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import structlog

from hub.store import influx_logs
from hub.store.base import QueryError
from hub.store.catalog import Numbers, Objects
from hub.store.columns import Gatherer, Rows, first_of_each
from hub.store.influx_batch import Batch
from hub.store.influxql import during, of_nodes, source
from hub.store.influxql import field as field_of
from hub.store.line_protocol import LineEncoder, stored_measurement
from hub.store.partition import spans

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from hub.store.base import LogRecord, WriteResult
    from hub.store.catalog import Mask
    from hub.store.columns import Columns, Floors
    from hub.store.influx_batch import Part
    from hub.store.influx_catalog import InfluxCatalog
    from hub.store.influx_query import Asker
    from hub.store.influx_send import Sender
    from wire.point import Point, SeriesKey

    #: Awaits a function in a thread.
    Run = Callable[..., Awaitable[Any]]

#: Rows of one series in one span that are read to find out which of them are stored.
_MOST_ASKED: Final = 100_000
#: Lines of one request, roughly: enough that a request costs little, few enough that the server is not kept waiting.
_PART_LINES: Final = 4_000
#: Requests at a time: while one waits for the server's disk, the other keeps it busy.
_REQUESTS: Final = 2
_NUMBERS_ALONE: Final = "VictoriaMetrics holds numbers and booleans alone"

_Values = TypeVar("_Values", Numbers, Objects)

_log = structlog.get_logger("hub.store.influx")


class InfluxWriter:
    """Writes points.

    Args:
        asker: None where stored rows cannot be asked for.
        newest_logs: when each series of log records was last written to.
        holds_texts: False where texts and log records would be dropped without a word.
    """

    def __init__(
        self,
        *,
        catalog: InfluxCatalog,
        sender: Sender,
        asker: Asker | None,
        retention_policy: str,
        newest_logs: dict[SeriesKey, int],
        holds_texts: bool = True,
    ) -> None:
        self._catalog = catalog
        self._gatherer = Gatherer(catalog)
        self._encoder = LineEncoder()
        self._sender = sender
        self._asker = asker
        self._retention_policy = retention_policy
        self._newest_logs = newest_logs
        self._holds_texts = holds_texts

    def forget(self) -> None:
        """To be called when series have left the catalogue."""
        self._gatherer.forget()

    async def write(self, points: Sequence[Point], floors: Floors, run: Run) -> WriteResult:
        """Store a batch.

        Raises:
            StoreUnavailable: not all of it is known to be stored.
        """
        columns: Columns = await run(self._gatherer.gather, points, floors)
        if not self._holds_texts:
            columns = _without_texts(columns)
        numbers, texts = await self._new(columns, columns.numbers), await self._new(columns, columns.texts)
        batch = Batch(points, columns, numbers, texts)
        await self._place_logs(columns.logs, batch)
        await self._send(batch, run)
        for rows in (batch.stored(numbers), batch.stored(texts)):
            self._catalog.observe(rows.ids, rows.ts, rows.values)
        for key, at_ns in batch.stored_logs():
            self._newest_logs[key] = max(at_ns, self._newest_logs.get(key, at_ns))
        return batch.result()

    # ── private ──

    async def _send(self, batch: Batch, run: Run) -> None:
        """Encode and send part by part: while the server takes some, the next is encoded."""
        parts: list[Part] = await run(batch.parts, self._catalog, _PART_LINES)
        turns = asyncio.Semaphore(_REQUESTS)

        async def send(part: Part) -> None:
            lines: list[str] = await run(part.encode, self._encoder)
            async with turns:
                batch.refuse(part, await self._sender.send(lines) if lines else {})

        sending = [asyncio.ensure_future(send(part)) for part in parts]
        try:
            await asyncio.gather(*sending)
        finally:
            for part_sent in sending:
                part_sent.cancel()
            if sending:
                await asyncio.wait(sending)

    async def _new(self, columns: Columns, rows: Rows[_Values]) -> Rows[_Values]:
        """The rows that neither repeat an earlier one of the batch nor are stored."""
        old = (rows.ts <= self._catalog.last_ns[rows.ids]) & (rows.ts >= self._catalog.first_ns[rows.ids])
        keep: Mask | None = None
        if columns.may_repeat:
            keep = first_of_each(rows)
            old &= keep
        if self._asker is not None and old.any():
            keep = np.ones(len(rows), np.bool_) if keep is None else keep
            where = np.flatnonzero(old)
            keep[where[await self._are_stored(rows.take(where), self._asker)]] = False
        return rows if keep is None else rows.take(keep)

    async def _are_stored(self, rows: Rows[Any], asker: Asker) -> Mask:
        """Which rows the database has, asked for in spans of time that lie close together."""
        by_measurement: dict[str, list[int]] = defaultdict(list)
        for position, number in enumerate(rows.ids.tolist()):
            by_measurement[self._catalog.name(number)[0].measurement].append(position)
        stored = np.zeros(len(rows), np.bool_)
        for measurement, positions in by_measurement.items():
            of_it = np.array(positions)
            for span in spans(rows.ts[of_it]):
                chosen = of_it[span]
                try:
                    found = await self._times_in_span(measurement, rows.take(chosen), asker)
                except QueryError as error:
                    self._cannot_ask(error)
                    continue
                pairs = zip(rows.ids[chosen].tolist(), rows.ts[chosen].tolist(), strict=True)
                stored[chosen] = [pair in found for pair in pairs]
        return stored

    async def _times_in_span(self, measurement: str, rows: Rows[Any], asker: Asker) -> set[tuple[int, int]]:
        """Series and times of what is stored of these series between the first and the last of the rows."""
        asked = [self._catalog.name(number) for number in np.unique(rows.ids).tolist()]
        names = sorted({name for _, name in asked})
        columns = ", ".join(f"{field_of(name)} AS c{i}" for i, name in enumerate(names))
        of = source(stored_measurement(measurement), self._retention_policy)
        when = during(int(rows.ts.min()), int(rows.ts.max()) + 1)
        where = f"{when}{of_nodes(key.node for key, _ in asked)}"
        (result,) = await asker.ask([f"SELECT {columns} FROM {of} WHERE {where} GROUP BY * LIMIT {_MOST_ASKED}"])
        known = self._catalog.ids_of(measurement, names)
        found: set[tuple[int, int]] = set()
        for row in result.series:
            tags = row.tag_set
            for column, name in enumerate(names, start=1):
                if (number := known.get((tags, name))) is not None:
                    found.update((number, each[0]) for each in row.values if each[column] is not None)
        return found

    def _cannot_ask(self, error: QueryError) -> None:
        _log.warning("writing again what may be stored: InfluxDB does not say whether it is", why=str(error))

    async def _place_logs(self, logs: Sequence[tuple[int, LogRecord]], batch: Batch) -> None:
        """Find when each record that is not stored yet is to be written."""
        keys = [influx_logs.key_of(record) for _, record in logs]
        unsure = [
            record
            for (_, record), key in zip(logs, keys, strict=True)
            if record.ts_ns <= self._newest_logs.get(key, -1)
        ]
        taken: dict[SeriesKey, dict[int, tuple[object, ...]]] = defaultdict(dict)
        if unsure and self._asker is not None:
            times = np.array([record.ts_ns for record in unsure], np.int64)
            nodes = {record.node for record in unsure}
            try:
                held_there = await influx_logs.held_at(self._asker, self._retention_policy, nodes, times)
            except QueryError as error:
                self._cannot_ask(error)
                held_there = []
            for at_ns, held in held_there:
                taken[influx_logs.key_of(held)][at_ns] = influx_logs.identity(held)
        for (position, record), key in zip(logs, keys, strict=True):
            free_ns = influx_logs.place(record, taken[key])
            if free_ns is not None:
                taken[key][free_ns] = influx_logs.identity(record)
            batch.add_log(position, record, free_ns)


def _without_texts(columns: Columns) -> Columns:
    """Refuse what the server would drop without a word."""
    for row in range(len(columns.texts)):
        columns.refusals.part(int(columns.texts.point[row]), "(text)", _NUMBERS_ALONE)
    for position, _ in columns.logs:
        columns.refusals.whole[position] = _NUMBERS_ALONE
    nothing = columns.texts.take(np.zeros(len(columns.texts), np.bool_))
    return type(columns)(columns.numbers, nothing, [], columns.refusals, columns.may_repeat)
