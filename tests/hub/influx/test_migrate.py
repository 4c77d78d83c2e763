"""The embedded store's data, moved into a real InfluxDB: all of it, once, and counted."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from hub.influx.migrate import Migration, Moved, Watcher
from hub.influx.position import Position
from hub.influx.setup import Asked
from hub.influx.verify import Verdict, compare
from hub.paths import StatePaths
from hub.store.base import Query, StoreBroken, StoreUnavailable
from hub.store.duck import DuckStore
from hub.store.influx import InfluxStore
from hub.store.influx_settings import target_of
from hub.store.influxql import during
from tests.support.influx import ORG, TOKEN, Influxd
from tests.support.provisioned import provision, settings_for
from tests.support.stores import ALL, EVER_LOGS, NOON, assert_same_frames, at, line, run
from tests.support.waiting import wait_until
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from pathlib import Path

    from hub.config import Settings
    from hub.store.base import Frame, LogRecord, Store

#: Noon of the test's points is some days ago: what is older than its retention is not moved.
_SHIFT_NS = (time.time_ns() - NOON) // (3600 * NS_PER_S) * 3600 * NS_PER_S - 3 * 86_400 * NS_PER_S
ODD = SeriesKey("dev 2", "röom,=x", (("core", "0"), ("weg", "C:\\ a")))


def recent(points: list[Point]) -> list[Point]:
    return [msgspec.structs.replace(point, ts_ns=point.ts_ns + _SHIFT_NS) for point in points]


def points() -> list[Point]:
    rows = [at(20 * i, a=float(i), door=i % 3 == 0, state=f"s{i % 5}", b=i / 7) for i in range(2000)]
    rows += [at(30 * i, ODD, time=float(i), text=f'"{i}"\n') for i in range(500)]
    rows += [line(i // 2, f"line {i}", level="error" if i % 2 else "info", n=i) for i in range(300)]
    rows += [line(5, "same instant"), line(5, "same instant, other line")]
    return recent(rows)


def settings_at(influxd: Influxd, state: Path, database: str) -> Settings:
    """A database that was set up, and a state directory that has no data."""
    token = {"token": TOKEN, "org": ORG} if influxd.generation > 1 else {}
    settings = settings_for(state, influxd.url, database, **token)
    file = state / "admin-token"
    file.write_text(TOKEN)
    provision(settings, Asked(admin_token_file=file))
    return settings


def fill(settings: Settings, rows: list[Point], *, maintain: bool = True) -> None:
    async def body(store: Store) -> None:
        for start in range(0, len(rows), 5000):
            await store.write(rows[start : start + 5000])
        if maintain:
            await store.maintain(time.time_ns())

    run(DuckStore(StatePaths(settings.state).database), body)


def migrate(settings: Settings, *, again: bool = False, sleep: Any = asyncio.sleep) -> tuple[Moved, Verdict]:
    async def main() -> tuple[Moved, Verdict]:
        watcher = Watcher(lambda done, total, _: None if done <= total else pytest.fail("past the end"), lambda _: None)
        watcher.sleep = sleep
        async with Migration(settings, StatePaths(settings.state), watcher, again=again) as migration:
            moved = await migration.move()
            return moved, await compare(migration)

    return asyncio.run(main())


def held_in(store: Store) -> tuple[list[Frame], list[LogRecord]]:
    async def body(opened: Store) -> tuple[list[Frame], list[LogRecord]]:
        records = await opened.logs(EVER_LOGS)
        in_order = sorted(records, key=lambda r: (r.ts_ns, r.level, r.message))
        return await opened.query(Query(ALL, 0, 2**62)), in_order

    return run(store, body)


def test_numbers_booleans_texts_and_logs_arrive_as_they_were(influxd: Influxd, tmp_path: Path) -> None:
    settings = settings_at(influxd, tmp_path, "migrate-all")
    fill(settings, points())
    moved, verdict = migrate(settings)
    assert (moved.rows, moved.refused, verdict.differences) == (9000 + 302, 0, ())
    assert (verdict.series, verdict.expected) == (6 + 2, 9302)
    frames, records = held_in(DuckStore(StatePaths(settings.state).database))
    found, found_records = held_in(InfluxStore(target_of(settings.store.influx)))
    assert_same_frames(found, frames)
    assert found_records == records
    assert len(records) == 302


def test_a_second_run_moves_nothing(influxd: Influxd, tmp_path: Path) -> None:
    settings = settings_at(influxd, tmp_path, "migrate-twice")
    fill(settings, points())
    first, _ = migrate(settings)
    assert first.rows
    second, verdict = migrate(settings)
    assert (second.rows, second.rollup_rows, verdict.differences) == (0, 0, ())


def test_a_second_run_moves_what_came_since(influxd: Influxd, tmp_path: Path) -> None:
    settings = settings_at(influxd, tmp_path, "migrate-since")
    fill(settings, points())
    migrate(settings)
    fill(settings, recent([at(90_000 + i, a=1.0) for i in range(10)] + [at(1, a=0.5), line(9999, "new")]))
    moved, verdict = migrate(settings)
    assert (moved.rows, verdict.differences) == (12, ())


def test_what_was_lost_there_is_found_and_can_be_moved_again(influxd1: Influxd, tmp_path: Path) -> None:
    settings = settings_at(influxd1, tmp_path, "migrate-lost")
    fill(settings, points())
    migrate(settings)
    span = during(NOON + _SHIFT_NS, NOON + _SHIFT_NS + 100 * NS_PER_S)
    influxd1.ask(f"DELETE FROM room WHERE {span}", "migrate-lost")  # noqa: S608  InfluxQL of our own
    _, verdict = migrate(settings)
    samples = [each for each in verdict.differences if not each.series.startswith("rollup_")]
    lost = {each.series: each.expected - each.found for each in samples}
    assert lost == {"room a": 5, "room b": 5, "room door": 5, "room state": 5}
    moved, verdict = migrate(settings, again=True)
    assert (moved.rows, verdict.differences) == (9302, ())


def test_what_influxdb_refuses_is_listed_counted_and_not_missed(influxd: Influxd, tmp_path: Path) -> None:
    """Two nodes disagree on the type of a field: InfluxDB keeps the first one's, in the whole measurement."""
    settings = settings_at(influxd, tmp_path, "migrate-refused")
    other = SeriesKey("dev9", "room")
    fill(
        settings, recent([at(i, a=float(i), b=1.0) for i in range(20)] + [at(i, other, a="x", c=2.0) for i in range(5)])
    )
    moved, verdict = migrate(settings)
    assert (moved.refused, verdict.differences, verdict.expected) == (5, (), 45)
    rows = [json.loads(text) for text in (tmp_path / "influx-migration-refused.jsonl").read_text().splitlines()]
    assert [row["point"]["fields"] for row in rows] == [{"a": "x"}] * 5
    assert migrate(settings)[0] == Moved(0, 0, 5)


def test_it_goes_on_where_it_was_killed(influxd: Influxd, tmp_path: Path) -> None:
    settings = settings_at(influxd, tmp_path, "migrate-killed")
    key = SeriesKey("dev3", "load")
    fill(settings, recent([at(i / 4, key, a=float(i), b=i / 3) for i in range(100_000)]), maintain=False)
    influx = settings.store.influx
    variables = {
        **os.environ,
        "IOTHUB_STORE__INFLUX__URL": influx.url,
        "IOTHUB_STORE__INFLUX__DATABASE": influx.database,
        **({"IOTHUB_STORE__INFLUX__TOKEN": TOKEN, "IOTHUB_STORE__INFLUX__ORG": ORG} if influxd.generation > 1 else {}),
    }
    argv = [sys.executable, "-m", "hub.cli", "--state", str(tmp_path), "influx", "migrate"]
    position = tmp_path / "influx-migration.json"
    with subprocess.Popen(argv, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: rows_in(position) or process.poll() is not None, 60, "some rows are moved")
        process.kill()
        process.wait()
    before = rows_in(position)
    assert 0 < before < 200_000, "it was killed in the middle"
    done = subprocess.run(argv, env=variables, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert f"moved {200_000 - before} values" in done.stdout
    assert "InfluxDB has all of them: 200000 values and log records of 2 series" in done.stdout
    frames, _ = held_in(DuckStore(StatePaths(settings.state).database))
    assert_same_frames(held_in(InfluxStore(target_of(influx)))[0], frames)


def rows_in(position: Path) -> int:
    try:
        return sum(msgspec.json.decode(position.read_bytes(), type=Position).rows.values())
    except FileNotFoundError:
        return 0


def test_a_server_that_stops_in_between_is_waited_for(tmp_path: Path) -> None:
    server = Influxd(tmp_path / "server")
    server.start()
    try:
        settings = settings_at(server, tmp_path / "var", "iot")
        fill(settings, points())
        waited = []

        async def restart(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 2:
                server.start()

        async def main() -> Verdict:
            watcher = Watcher(lambda *_: None, lambda _: None, restart)
            async with Migration(settings, StatePaths(settings.state), watcher) as migration:
                server.stop()
                await migration.move()
                return await compare(migration)

        assert asyncio.run(main()).differences == ()
        assert len(waited) == 2
    finally:
        server.stop()


def test_roll_ups_go_along_and_leave_no_hole_up_to_now(influxd: Influxd, tmp_path: Path) -> None:
    settings = settings_at(influxd, tmp_path, "migrate-rolled")
    now_s = (time.time_ns() - NOON - _SHIFT_NS) / NS_PER_S
    rows = recent([at(now_s - 30 * i - 1, a=float(i), door=True) for i in range(600)])
    fill(settings, rows[400:])
    fill(settings, rows[:400], maintain=False)
    moved, _ = migrate(settings)
    assert moved.rollup_rows > 90
    (found,) = influxd.ask("SELECT count_a, sum_a FROM rollup_1m.room", "migrate-rolled")
    minutes = [row[0] for row in found["values"]]
    assert [b - a for a, b in itertools.pairwise(minutes)] == [60 * NS_PER_S] * (len(minutes) - 1)
    assert minutes[-1] >= time.time_ns() - 130 * NS_PER_S
    assert sum(row[1] for row in found["values"]) >= 590
    kinds = dict(influxd.ask("SHOW FIELD KEYS FROM rollup_1m.room", "migrate-rolled")[0]["values"])
    names = [f"{fn}_a" for fn in ("count", "sum", "min", "max", "first", "last", "mean")]
    assert [kinds[name] for name in names] == ["integer", *["float"] * 6]
    assert {row[1] for row in found["values"]} <= {1, 2}


def test_rows_of_roll_ups_are_counted_and_those_that_were_lost_are_moved_by_the_next_run(
    influxd1: Influxd, tmp_path: Path
) -> None:
    settings = settings_at(influxd1, tmp_path, "migrate-rollups")
    fill(settings, points())
    moved, verdict = migrate(settings)
    assert verdict.differences == ()
    # A boolean has roll-ups in the embedded store alone.
    assert 0 < verdict.rollup_rows < moved.rollup_rows
    influxd1.ask('DROP RETENTION POLICY rollup_1h ON "migrate-rollups"')
    influxd1.create_policy("migrate-rollups", "rollup_1h")
    _, verdict = migrate(settings)
    assert {each.series.partition(".")[0] for each in verdict.differences} == {"rollup_1h"}
    assert {each.found for each in verdict.differences} == {0}
    moved, verdict = migrate(settings)
    assert moved.rollup_rows > 0
    assert verdict.differences == ()


# -- what stands in the way -------------------------------------------------------------------------------------------


def test_a_database_that_was_not_set_up_is_said_before_anything_is_read(influxd: Influxd, tmp_path: Path) -> None:
    token = {"token": TOKEN, "org": ORG} if influxd.generation > 1 else {}
    settings = settings_for(tmp_path, influxd.url, "migrate-nowhere", **token)
    fill(settings, points())
    with pytest.raises(StoreUnavailable, match="`iothub influx setup` makes what is missing"):
        migrate(settings)


def test_without_an_embedded_store_there_is_nothing_to_move(influxd: Influxd, tmp_path: Path) -> None:
    settings = settings_at(influxd, tmp_path, "migrate-none")
    with pytest.raises(StoreBroken, match="there is no embedded store to move"):
        migrate(settings)
    assert not StatePaths(tmp_path).database.exists()


def test_a_hub_that_runs_on_the_embedded_store_is_named(influxd: Influxd, tmp_path: Path) -> None:
    settings = settings_at(influxd, tmp_path, "migrate-held")
    fill(settings, recent([at(0, a=1.0)]))
    path = StatePaths(settings.state).database
    holding = f"import duckdb; c = duckdb.connect({str(path)!r}); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(StoreBroken, match=f"in use by process {process.pid}"):
            migrate(settings)
        process.communicate("\n")
