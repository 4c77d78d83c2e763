"""Long ranges from roll-ups that a real InfluxDB made, compared with the samples."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hub.config import InfluxSettings, StoreSettings
from hub.influx.flux import made_once
from hub.influx.wanted import wanted
from hub.store.base import Fn, Query, Store
from hub.store.influx import InfluxStore
from hub.store.influx_layout import ROLLED_UP
from tests.support.influx import Influxd, opened
from tests.support.stores import ALL, DAY_NS, HOUR_NS, NOON, ROOM, at, run, samples, windows
from wire.point import NS_PER_S, SeriesKey


@pytest.fixture
def rolled_up(influxd: Influxd) -> str:
    """A database of which the oldest hours are rolled up and nowhere else, as retention leaves it."""
    database = influxd.create()
    for name in ("rollup_1m", "rollup_1h"):
        influxd.create_policy(database, name)
    return database


def roll_up(influxd: Influxd, database: str, name: str, every: str, stop_ns: int) -> None:
    """As the server does it by itself: InfluxQL on 1.x, Flux on 2.x."""
    if influxd.generation > 1:
        aim = wanted(StoreSettings(influx=InfluxSettings(database=database)))
        rollup = next(rollup for rollup in aim.rollups if rollup.name == name)
        begin_ns = max(NOON, stop_ns - 720 * rollup.rollup.width_ns)  # Flux makes 30,000 windows in a minute
        influxd.run_flux(made_once(aim, rollup, begin_ns, stop_ns))
        return
    columns = ", ".join(f"{fn}(*)" for fn in ROLLED_UP)
    into = f"{database}.{name}.:MEASUREMENT FROM {database}.autogen./.*/"
    when = f"WHERE time >= 0 AND time < {stop_ns} GROUP BY time({every}), *"
    influxd.ask(f"SELECT {columns} INTO {into} {when}", database)


@pytest.mark.parametrize("fn", list(Fn))
def test_long_ranges_come_out_the_same_with_roll_ups_and_without(influxd: Influxd, rolled_up: str, fn: Fn) -> None:
    rng = random.Random(3)
    other = SeriesKey("dev2", "room")
    batch = [at(90 * i, key, a=rng.uniform(0, 9)) for i in range(3000) for key in (ROOM, other)]

    async def asked(store: Store) -> list[dict[str, dict[float, Any]]]:
        found = []
        for every_s in (300, 3600, 7200, 86_400):
            frames = await store.query(Query(ALL, NOON + 7 * NS_PER_S, NOON + 70 * HOUR_NS + 5, every_s * NS_PER_S, fn))
            found.append({f.series.key.node: dict(zip(f.ts_ns.tolist(), list(f.values), strict=True)) for f in frames})
        return found

    async def fill(store: Store) -> list[dict[str, dict[float, Any]]]:
        await store.write(batch)
        return await asked(store)

    def later() -> InfluxStore:
        return InfluxStore(influxd.target(rolled_up), clock_ns=lambda: NOON + 80 * HOUR_NS)

    expected = run(later(), fill)
    roll_up(influxd, rolled_up, "rollup_1m", "1m", NOON + 60 * HOUR_NS)
    roll_up(influxd, rolled_up, "rollup_1h", "1h", NOON + 50 * HOUR_NS)
    for found, of in zip(run(later(), asked), expected, strict=True):
        assert found.keys() == of.keys()
        for node in of:
            assert found[node] == pytest.approx(of[node])


def test_roll_ups_answer_where_samples_are_past_their_retention(influxd: Influxd, rolled_up: str) -> None:
    if influxd.generation > 1:
        pytest.skip("Flux makes all of them too slowly for a test")
    later_ns = NOON + 40 * DAY_NS

    async def fill(store: Store) -> None:
        await store.write([at(60 * i, a=float(i)) for i in range(6 * 60)])

    async def look(store: Store) -> None:
        await store.write([at(40 * 86_400, a=0.0)])
        await store.maintain(later_ns)
        assert await samples(store) == {"a": {40 * 86_400: 0.0}}
        found = (await windows(store, 3600, Fn.MEAN))["a"]
        assert found == {**{3600 * hour: 60 * hour + 29.5 for hour in range(6)}, 40 * 86_400: 0.0}
        assert (await windows(store, 60, Fn.MAX))["a"][60 * 77] == 77.0

    run(opened(influxd, rolled_up), fill)
    roll_up(influxd, rolled_up, "rollup_1m", "1m", NOON + 6 * HOUR_NS)
    run(InfluxStore(influxd.target(rolled_up), clock_ns=lambda: later_ns), look)
