"""Roll-ups that the hub makes: of late samples on a server with its own, and of all where the server makes none."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from hub.config import RetentionSettings
from hub.influx.setup import Asked
from hub.influx.wanted import _EVERY, seconds
from hub.paths import StatePaths
from hub.sinks import make_sinks
from hub.store.base import Fn, Query, SeriesFilter, Store
from hub.store.influx import InfluxStore
from hub.store.influx_due import DueHours
from hub.store.influx_http import Access
from hub.store.influx_layout import ROLLED_UP
from hub.store.influx_roll import LATE_NS
from hub.store.influx_target import Target
from tests.support.influx import ORG, TOKEN, Influxd
from tests.support.influx3 import Front3
from tests.support.provisioned import provision, settings_for
from tests.support.scripted_http import ScriptedServer
from tests.support.stores import ALL, HOUR_NS, MINUTE_NS, NOON, ROOM, at, run
from tests.support.waiting import eventually
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hub.store.base import Rejected

OTHER = SeriesKey("dev2", "room", (("floor", "2"),))


class Clock:
    """Time of a store, in ns; and of its hours that are due, in s."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def seconds(self) -> float:
        return self.now_ns / NS_PER_S


@pytest.fixture
def influxd1(influxd: Influxd) -> Influxd:
    if influxd.generation > 1:
        pytest.skip("a 1.x stands behind what looks like a 3.x")
    return influxd


def with_rollups(influxd: Influxd) -> str:
    """A database with places for roll-ups, and nothing that fills them."""
    database = influxd.create()
    for name in ("rollup_1m", "rollup_1h"):
        influxd.create_policy(database, name)
    return database


def opened(target: Target, clock: Clock, path: Path | None = None) -> InfluxStore:
    return InfluxStore(target, clock_ns=clock, due=DueHours(path, target.name, clock=clock.seconds))


def making_all(influxd: Influxd, database: str) -> Target:
    return replace(influxd.target(database), hub_rolls_up=True)


def counts(influxd: Influxd, source: str, database: str, field: str = "a") -> dict[int, int]:
    """The count of each window of all series together, by its start in minutes after noon."""
    found: dict[int, int] = {}
    for series in influxd.ask(f"SELECT count_{field} FROM {source} GROUP BY *", database):  # noqa: S608  names of our own
        for ts_ns, count in series["values"]:
            minute = (ts_ns - NOON) // MINUTE_NS
            found[minute] = found.get(minute, 0) + count
    return found


async def live(store: Store, clock: Clock, minutes: int, *, every_s: int = 15) -> None:
    """Samples of two series as time goes by, and ``maintain`` every minute."""
    rng = random.Random(3)
    for _ in range(minutes):
        second = (clock.now_ns - NOON) // NS_PER_S
        moments = range(second, second + 60, every_s)
        await store.write([at(s, key, a=rng.uniform(0, 9), on=True) for s in moments for key in (ROOM, OTHER)])
        clock.now_ns += MINUTE_NS
        await store.maintain(clock.now_ns)


def test_what_counts_as_late_is_met_by_the_servers_own_roll_ups_in_any_case() -> None:
    """Each of the server's runs goes further back than to what the hub calls late, by more than one run."""
    for every, back in _EVERY.values():
        if every == "1m":
            assert seconds(back) - 2 * seconds(every) >= LATE_NS / NS_PER_S


def test_an_hour_of_live_samples_is_rolled_up_as_it_goes_by(influxd: Influxd) -> None:
    database, clock = with_rollups(influxd), Clock(NOON)
    run(opened(making_all(influxd, database), clock), lambda store: live(store, clock, 75))
    minutes = counts(influxd, "rollup_1m.room", database)
    assert {minute: minutes.get(minute) for minute in range(73)} == dict.fromkeys(range(73), 8)
    assert counts(influxd, "rollup_1h.room", database) == {0: 480}
    (first,) = influxd.ask("SELECT * FROM rollup_1m.room WHERE \"node\" = 'dev1' LIMIT 1", database)
    assert set(first["columns"]) == {"time", "node", "floor", *(f"{fn}_a" for fn in ROLLED_UP)}


def test_rows_are_those_that_the_server_itself_would_make(influxd: Influxd) -> None:
    database, clock = with_rollups(influxd), Clock(NOON)
    run(opened(making_all(influxd, database), clock), lambda store: live(store, clock, 70))
    columns = ", ".join(f"{fn}(a)" for fn in ROLLED_UP)
    span = f"time >= {NOON} AND time < {NOON + HOUR_NS}"
    theirs = influxd.ask(f"SELECT {columns} FROM room WHERE {span} GROUP BY time(1m), *", database)  # noqa: S608
    names = ", ".join(f"{fn}_a" for fn in ROLLED_UP)
    ours = influxd.ask(f"SELECT {names} FROM rollup_1m.room WHERE {span} GROUP BY *", database)  # noqa: S608
    assert [each["tags"] for each in ours] == [each["tags"] for each in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one["values"] == [pytest.approx(row) for row in other["values"]]


def test_a_late_sample_is_in_the_roll_ups_after_the_next_runs(influxd: Influxd) -> None:
    database, clock = with_rollups(influxd), Clock(NOON)

    async def body(store: Store) -> None:
        await live(store, clock, 100)
        await store.write([at(30 * 60 + 1, a=5.0)])
        for _ in range(3):
            clock.now_ns += MINUTE_NS
            await store.maintain(clock.now_ns)

    run(opened(making_all(influxd, database), clock), body)
    assert counts(influxd, "rollup_1m.room", database)[30] == 9
    assert counts(influxd, "rollup_1h.room", database)[0] == 481


def test_samples_of_before_the_first_start_are_rolled_up_a_bounded_number_of_hours_a_run(influxd: Influxd) -> None:
    database, clock = with_rollups(influxd), Clock(NOON + 40 * HOUR_NS)
    for hour in range(40):
        influxd.write(database, f"room,node=dev1 a={hour} {NOON + hour * HOUR_NS}")

    async def body(store: Store) -> list[int]:
        rows = []
        for _ in range(4):
            clock.now_ns += 2 * MINUTE_NS
            rows.append((await store.maintain(clock.now_ns)).rolled_up_rows)
        return rows

    rows = run(opened(making_all(influxd, database), clock), body)
    assert sum(rows) == 80  # one minute and one hour each
    assert max(rows) <= 48
    assert len(counts(influxd, "rollup_1h.room", database)) == 40


def test_hours_that_are_to_be_made_again_are_answered_from_samples(influxd: Influxd) -> None:
    database, clock = with_rollups(influxd), Clock(NOON)

    async def asked(store: Store, every_s: int) -> list[dict[float, Any]]:
        chosen = SeriesFilter(field="a")  # booleans have no roll-ups
        found = await store.query(Query(chosen, NOON, NOON + 4 * HOUR_NS, every_s * NS_PER_S, Fn.SUM))
        return [dict(zip(frame.ts_ns.tolist(), list(frame.values), strict=True)) for frame in found]

    async def body(store: Store) -> None:
        await live(store, clock, 200)
        before = await asked(store, 300)
        late = [at(60 * 60 + 30 + i, ROOM, a=1000.0) for i in range(5) if i % 15]
        await store.write(late)
        after = await asked(store, 300)
        window = NOON + HOUR_NS
        assert after[0][window] == pytest.approx(before[0][window] + 1000.0 * len(late))
        assert {ts: value for ts, value in after[0].items() if ts != window} == pytest.approx(
            {ts: value for ts, value in before[0].items() if ts != window}
        )
        for _ in range(3):
            clock.now_ns += MINUTE_NS
            await store.maintain(clock.now_ns)
        assert await asked(store, 300) == [pytest.approx(rows) for rows in after]

    run(opened(making_all(influxd, database), clock), body)


def test_the_third_generation_is_rolled_up_and_read_by_the_hub_alone(influxd1: Influxd, tmp_path: Path) -> None:
    front, clock = Front3(influxd1, "front3-"), Clock(NOON + 20 * HOUR_NS)
    old = [f"room,node=dev1 a={minute} {NOON + minute * MINUTE_NS}" for minute in range(0, 20 * 60, 10)]

    async def windows(store: Store, every_s: int) -> list[int]:
        found = await store.query(Query(SeriesFilter("dev1", field="a"), NOON, 2**62, every_s * NS_PER_S, Fn.COUNT))
        return [int(sum(frame.values)) for frame in found]

    async def main() -> None:
        async with ScriptedServer(front.answer).running() as server:
            settings = settings_for(tmp_path, server.url, "iot", retention=RetentionSettings(raw=10_000 * 86_400.0))
            await asyncio.to_thread(provision, settings)
            influxd1.write(front.database("iot"), "\n".join(old))
            async with opened(Target(Access(server.url), "iot"), clock) as store:
                await live(store, clock, 15)
                server.requests.clear()
                assert [await windows(store, every_s) for every_s in (3600, 300)] == [[180], [180]]
                asked = {request.query["db"] for request in server.requests if request.path == "/query"}
                assert asked == {"iot", "iot/rollup_1h", "iot/rollup_1m"}

    asyncio.run(main())
    front.close()
    assert counts(influxd1, "room", front.database("iot/rollup_1h")) == {60 * hour: 6 for hour in range(20)}
    assert len(counts(influxd1, "room", front.database("iot/rollup_1m"))) >= 120 + 13


def test_a_3x_without_databases_for_roll_ups_is_read_from_samples(influxd1: Influxd) -> None:
    front, clock = Front3(influxd1, "bare3-"), Clock(NOON)
    front.api.databases["iot"] = "744h"
    influxd1.create(front.database("iot"))

    async def main() -> None:
        async with (
            ScriptedServer(front.answer).running() as server,
            opened(Target(Access(server.url), "iot"), clock) as store,
        ):
            await live(store, clock, 3)
            assert (await store.maintain(clock.now_ns)).rolled_up_rows == 0
            assert len(await store.query(Query(ALL, NOON, 2**62, 60 * NS_PER_S, Fn.COUNT))) == 4

    asyncio.run(main())
    front.close()


async def nobody(_refused: Sequence[tuple[Point, Rejected]]) -> None:
    raise AssertionError


async def nothing(_store: Store) -> None:
    return None


def test_after_an_outage_longer_than_the_servers_window_its_roll_ups_are_complete(tmp_path: Path) -> None:
    """Spooled while InfluxDB is away for nine hours, replayed, the hub stopped before it made anything."""
    now_ns = time.time_ns() // HOUR_NS * HOUR_NS + 30 * MINUTE_NS
    start_ns = now_ns - 10 * HOUR_NS - 30 * MINUTE_NS
    points = [Point(ROOM, start_ns + i * 30 * NS_PER_S, {"a": float(i)}) for i in range(9 * 120)]

    with Influxd(tmp_path / "influxd") as server:
        token = {"token": TOKEN, "org": ORG} if server.generation > 1 else {}
        settings = settings_for(tmp_path / "state", server.url, "iot", **token)
        (tmp_path / "admin-token").write_text(TOKEN)
        provision(settings, Asked(admin_token_file=tmp_path / "admin-token"))
        paths = StatePaths(settings.state)

        async def spool() -> None:
            async with make_sinks(settings, paths, on_refused=nobody, on_reached=nothing).store as store:
                for at_ in range(0, len(points), 100):
                    await store.write(points[at_ : at_ + 100])

        async def replay() -> None:
            sinks = make_sinks(settings, paths, on_refused=nobody, on_reached=nothing)
            async with sinks.store:
                await eventually(lambda: sinks.spooled[0].spool_stats().size_bytes == 0, 60, "replayed")

        async def maintain() -> None:
            async with make_sinks(settings, paths, on_refused=nobody, on_reached=nothing).store as store:
                with capture_logs() as said:
                    await store.maintain(now_ns)
                assert [each["hours_left"] for each in said if each["event"] == "roll-ups made"] == [0]

        server.stop()
        asyncio.run(spool())
        server.start()
        asyncio.run(replay())
        assert server.ask("SELECT count(count_a) FROM rollup_1h.room", "iot") == []
        asyncio.run(maintain())
        for name, width_ns in (("rollup_1h", HOUR_NS), ("rollup_1m", MINUTE_NS)):
            (found,) = server.ask(f"SELECT count_a FROM {name}.room", "iot")  # noqa: S608  names of our own
            assert [row[0] for row in found["values"]] == list(range(start_ns, start_ns + 9 * HOUR_NS, width_ns))
            assert {row[1] for row in found["values"]} == {width_ns // (30 * NS_PER_S)}
