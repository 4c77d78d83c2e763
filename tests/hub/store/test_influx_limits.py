"""Servers that refuse questions, not data: they must not keep the hub from starting, or from storing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from hub.store.base import LogQuery, Query, QueryError, SeriesFilter, WriteResult
from hub.store.influx import InfluxStore
from hub.store.influx_http import Access
from hub.store.influx_target import Target
from tests.support.influx import Influxd
from tests.support.influx3 import Front3
from tests.support.scripted_http import ScriptedServer
from tests.support.stores import ALL, HOUR_NS, NOON, ROOM, at, line, run
from wire.point import SeriesKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.store.base import Store

DAY_NS = 24 * HOUR_NS
OTHER = SeriesKey("dev2", "room")
#: The rows end here.
LATEST = NOON + 5 * DAY_NS


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """A 1.x that answers no query about more than one series."""
    server = Influxd(tmp_path_factory.mktemp("strict"), http="[coordinator]\n  max-select-series = 1")
    if server.generation > 1:
        pytest.skip("a limit of 1.x")
    with server:
        yield server


def test_a_server_that_does_not_show_many_series_takes_data_all_the_same(strict: Influxd) -> None:
    target = strict.target(strict.create())

    samples = [at(i, key, a=1.0) for i in range(3) for key in (ROOM, OTHER)]
    records = [line(i, f"line {i}", source=f"s{i}") for i in range(3)]

    async def fill(store: Store) -> None:
        assert await store.write(samples + records) == WriteResult(9)
        # Whether they are stored is not told: they are written again, which changes nothing.
        assert await store.write(samples + records) == WriteResult(9)

    async def go_on(store: Store) -> None:
        assert await store.series(ALL) == []
        assert await store.write([at(5, a=2.0), line(2, "line 2", source="s2")]) == WriteResult(2)
        assert len(await store.series(ALL)) == 1
        await store.maintain(NOON)

    run(InfluxStore(target, clock_ns=lambda: NOON), fill)
    with capture_logs() as logs:
        run(InfluxStore(target, clock_ns=lambda: NOON), go_on)
    (unknown,) = [each for each in logs if each["log_level"] == "error"]
    assert unknown["event"] == "series are unknown until they send again"
    assert unknown["measurement"] == "room"
    for key, count in (("dev1", 4), ("dev2", 3)):
        found = strict.ask(f'SELECT count("a") FROM "room" WHERE "node" = \'{key}\'', target.database)  # noqa: S608
        assert found[0]["values"][0][1] == count
    assert (
        strict.ask('SELECT count("message") FROM "log" WHERE "source" = \'s2\'', target.database)[0]["values"][0][1]
        == 1
    )


def test_a_server_that_looks_at_three_days_alone_shows_the_newest_series_and_takes_data(influxd: Influxd) -> None:
    if influxd.generation > 1:
        pytest.skip("a 1.x stands behind what looks like a 3.x")
    front = Front3(influxd, "limited3-")
    front.now_ns = LATEST
    front.api.databases["iot"] = "744h"
    influxd.create(front.database("iot"))
    lines = [f"room,node=dev1 a={hour} {NOON + hour * HOUR_NS}" for hour in range(5 * 24)]
    lines += [f"room,node=gone a=1 {NOON}", f'log,node=dev1,level=info,source=x message="old" {NOON}']
    influxd.write(front.database("iot"), "\n".join(lines))
    front.most_ns = 3 * DAY_NS

    async def main() -> None:
        async with (
            ScriptedServer(front.answer).running() as server,
            InfluxStore(Target(Access(server.url), "iot"), clock_ns=lambda: LATEST) as store,
        ):
            (series,) = await store.series(ALL)
            assert (series.key.node, series.last_ns) == ("dev1", NOON + (5 * 24 - 1) * HOUR_NS)
            # The days before those that were asked for are there, a day at a time.
            (frame,) = await store.query(Query(ALL, NOON + DAY_NS, NOON + 2 * DAY_NS))
            assert len(frame.values) == 24
            with pytest.raises(QueryError, match="shorter range"):
                await store.query(Query(ALL, NOON, LATEST))
            assert len(await store.logs(LogQuery(NOON, NOON + HOUR_NS))) == 1
            late = [at(0, series.key, a=0.0), at(5 * 86_400, series.key, a=1.0)]
            assert await store.write(late) == WriteResult(1, (0,))
            await store.maintain(LATEST + 27 * DAY_NS)
            found = await store.query(Query(SeriesFilter("dev1"), NOON + 3 * DAY_NS, LATEST + HOUR_NS))
            assert len(found[0].values) == 2 * 24 + 1

    asyncio.run(main())
    front.close()
