"""Roll-ups on their way into InfluxDB: rows of the embedded store's, and the server's own made anew.

A roll-up answers for all time from its first row to its last, so there must be no hole: between what the embedded store
had rolled up and what the server's continuous queries reach, windows are made here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from hub.influx.flux import made_once
from hub.influx.wanted import rolled_up
from hub.store.base import Fn, StoreUnavailable
from hub.store.catalog import NUMBER
from hub.store.influx_layout import ROLLED_UP, ROLLUPS, bucket_of, rolled_up_field
from hub.store.influx_roll import count_as_integer
from hub.store.influx_send import reason_of
from hub.store.influx_server import Generation
from hub.store.influxql import during, identifier
from hub.store.partition import HOUR_NS, Kind, floor
from wire.point import Point

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from hub.influx.wanted import Wanted, WantedRollUp
    from hub.store.catalog import Catalog
    from hub.store.duck_export import RollUps
    from hub.store.influx_http import Http
    from hub.store.influx_query import Asker
    from hub.store.influx_server import Server
    from hub.store.influx_target import Target
    from hub.store.line_protocol import LineEncoder

#: Tables of the embedded store, and the roll-up each becomes.
NAMES: Final = {Kind.MINUTES: "rollup_1m", Kind.HOURS: "rollup_1h"}
#: Time that one statement makes windows of.
_CHUNK_NS: Final = 6 * HOUR_NS
_OK: Final = 200
#: All but the count, which comes last in a line.
_FLOATS: Final = tuple(fn for fn in ROLLED_UP if fn is not Fn.COUNT)


async def policies(asker: Asker, server: Server, database: str) -> dict[str, bool]:
    """The retention policies there are, and whether each is the default; on 3.x the databases of roll-ups.

    Raises:
        StoreUnavailable: no answer, no such database, or no right to ask.
    """
    if server.generation is Generation.V3:
        await asker.ask(["SHOW MEASUREMENTS"])
        return dict.fromkeys([each.name for each in ROLLUPS if await asker.has(bucket_of(database, each.name))], False)
    (answer,) = await asker.ask([f"SHOW RETENTION POLICIES ON {identifier(database)}"])
    found = {str(row[0]): bool(row[4]) for each in answer.series for row in each.values}
    if not found:  # what 2.x says where 1.x says that there is no such database
        raise StoreUnavailable(f"{server} has no bucket and no DBRP mapping of {database!r}")
    return found


def rolled_up_lines(encoder: LineEncoder, catalog: Catalog, rows: RollUps) -> list[str]:
    """Lines as the server's own roll-ups would be: floats, and a count that is an integer; numbers alone."""
    points = list(_points(catalog, rows))
    return [count_as_integer(line) for line in encoder.encode(points)]


@dataclass(frozen=True, slots=True)
class Windows:
    """Has a 1.x or 2.x make windows of its roll-ups from its own samples."""

    http: Http
    asker: Asker
    server: Server
    target: Target
    #: Retention policies there are, and whether each is the default.
    policies: Mapping[str, bool]
    aim: Wanted

    @property
    def rollups(self) -> list[WantedRollUp]:
        """Those that were set up."""
        can = self.server.generation in (Generation.V1, Generation.V2)
        return [rollup for rollup in self.aim.rollups if can and rollup.name in self.policies]

    async def make(self, start_ns: int, stop_ns: int | None = None) -> AsyncIterator[tuple[WantedRollUp, int, int]]:
        """Make all full windows of a span, anew where there are some; gives each roll-up, steps done, steps in all.

        Raises:
            StoreUnavailable: no answer, or no right to write.
        """
        stop_ns = time.time_ns() if stop_ns is None else stop_ns
        for rollup in self.rollups:
            width_ns = rollup.rollup.width_ns
            begin, end = floor(start_ns, width_ns), floor(stop_ns, width_ns)
            total = max(0, -(-(end - floor(begin, _CHUNK_NS)) // _CHUNK_NS))
            for step in range(total):
                at = floor(begin, _CHUNK_NS) + step * _CHUNK_NS
                await self._make(rollup, max(at, begin), min(at + _CHUNK_NS, end))
                yield rollup, step + 1, total

    async def _make(self, rollup: WantedRollUp, start_ns: int, stop_ns: int) -> None:
        if self.server.generation is Generation.V1:
            policy = self.target.retention_policy or next(name for name, first in self.policies.items() if first)
            await self.asker.ask([rolled_up(self.aim, rollup, policy, f"WHERE {during(start_ns, stop_ns)} ")])
            return
        body = {"query": made_once(self.aim, rollup, start_ns, stop_ns), "type": "flux"}
        org = {"org": self.target.org} if self.target.org else {}
        reply = await self.http.json("POST", "/api/v2/query", org, msgspec.json.encode(body))
        if reply.status != _OK:
            raise StoreUnavailable(f"{self.server} answered {reply.status} to a roll-up: {reason_of(reply)}")


# -- private ----------------------------------------------------------------------------------------------------------


def _points(catalog: Catalog, rows: RollUps) -> Iterator[Point]:
    columns = [rows.columns[fn].tolist() for fn in (*_FLOATS, Fn.COUNT)]
    for number, ts_ns, *values in zip(rows.ids.tolist(), rows.ts_ns.tolist(), *columns, strict=True):
        if catalog.kind[number] != NUMBER:
            continue  # a boolean has no mean there
        key, name = catalog.name(number)
        named = zip((*_FLOATS, Fn.COUNT), values, strict=True)
        yield Point(key, ts_ns, {rolled_up_field(fn, name): value for fn, value in named})
