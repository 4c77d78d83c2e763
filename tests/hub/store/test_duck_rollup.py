"""Roll-ups of the DuckDB store: what is in them, and that no answer shows whether it came from them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from hub.store import duck_rollup
from hub.store.base import Fn, Query, Store, StoreUnavailable
from hub.store.duck_file import set_meta
from hub.store.duck_query import _FORMS
from hub.store.partition import Retention
from tests.support.stores import (
    ALL,
    DAY_NS,
    HOUR_NS,
    MIDNIGHT,
    MINUTE_NS,
    NOON,
    assert_same_frames,
    at,
    run,
    windows,
)
from wire.point import SeriesKey

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub.store.conftest import Opener

DAY_S = 86_400


def look(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask a store's file, which must be closed."""
    with duckdb.connect(folder / "tsdb.duckdb", read_only=True) as connection:
        return connection.execute(query).fetchall()


def tables(folder: Path) -> set[str]:
    return {name for (name,) in look(folder, "SELECT table_name FROM duckdb_tables()") if name[-1].isdigit()}


async def all_windows(store: Store, every_ns: int, stop_ns: int = 2**62) -> dict[Fn, Any]:
    return {fn: await store.query(Query(ALL, 0, stop_ns, every_ns, fn)) for fn in Fn}


# ── roll-ups ──


def test_roll_ups_hold_what_the_samples_give(duck: Opener, tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        await store.write([at(i * 20 - 3600, a=float(i), b=i % 2 == 0, s=str(i)) for i in range(360)])
        report = await store.maintain(NOON + 2 * HOUR_NS)
        assert report.rolled_up_rows == 2 * (120 + 2)

    run(duck(), body)
    assert tables(tmp_path) == {"numbers_20251122", "texts_20251122", "minutes_20251120", "hours_20251120"}
    first = "SELECT n, total, low, high, m2, first, last FROM minutes_20251120 ORDER BY series, ts LIMIT 1"
    assert look(tmp_path, first) == [(3, 3.0, 0.0, 2.0, 2.0, 0.0, 2.0)]


def test_answers_from_roll_ups_equal_those_from_samples(duck: Opener) -> None:
    keys = [SeriesKey("dev1", "room", (("floor", str(i)),)) for i in range(3)]

    async def body(store: Store) -> None:
        for hour in range(-30, 0, 2):
            await store.write(
                [at(hour * 3600 + i * 7.3, key, a=1e6 + i * 0.25, b=i % 3 == 0) for i in range(900) for key in keys]
            )
        widths = (MINUTE_NS, 10 * MINUTE_NS, HOUR_NS, 5 * HOUR_NS)
        spans = [(0, 2**62), (NOON - 29 * HOUR_NS + 12_345_678_901, NOON - HOUR_NS - 98_765_432_109)]
        queries = [Query(ALL, *span, every, fn) for span in spans for every in widths for fn in Fn]
        before = [await store.query(query) for query in queries]
        await store.maintain(NOON + HOUR_NS)
        for query, expected in zip(queries, before, strict=True):
            assert_same_frames(await store.query(query), expected, scale=1e6)

    run(duck(), body)


def test_a_long_query_reads_hours_and_no_samples_where_it_can(duck: Opener, tmp_path: Path) -> None:
    async def fill(store: Store) -> None:
        await store.write([at(i - 7200, a=float(i)) for i in range(0, 7200, 10)])
        await store.maintain(NOON + HOUR_NS)

    async def ask(store: Store) -> None:
        assert await windows(store, 3600, Fn.COUNT) == {"a": {-7200: 1000.0, -3600: 1000.0}}
        assert await windows(store, 600, Fn.MAX, start_ns=NOON - HOUR_NS, stop_ns=NOON) == {
            "a": dict.fromkeys([-3600, -3000, -2400, -1800, -1200, -600], 5.0)
        }
        assert max((await windows(store, 601, Fn.COUNT))["a"].values()) == 61.0

    run(duck(), fill)
    with duckdb.connect(tmp_path / "tsdb.duckdb") as connection:
        connection.execute("UPDATE hours_20251120 SET n = 1000")
        connection.execute("UPDATE minutes_20251120 SET high = 5")
    run(duck(), ask)


def test_a_late_sample_shows_at_once_and_stays_right_after_the_next_roll_up(duck: Opener, tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        await store.write([at(i * 30 - 7200, a=1.0) for i in range(240)])
        await store.maintain(NOON + HOUR_NS)
        await store.write([at(-3600 - 15, a=100.0), at(-7, a=50.0), at(-5, b=True), at(-7200 - 15, a=7.0)])
        late = {width: await all_windows(store, width) for width in (MINUTE_NS, HOUR_NS)}
        assert (await windows(store, 3600, Fn.SUM))["a"] == {-10800: 7.0, -7200: 220.0, -3600: 170.0}
        assert (await windows(store, 60, Fn.MAX))["a"][-3660] == 100.0
        report = await store.maintain(NOON + HOUR_NS)
        assert report.rolled_up_rows == 4 + 4
        assert (await store.maintain(NOON + HOUR_NS)).rolled_up_rows == 0
        for width, expected in late.items():
            for fn, frames in (await all_windows(store, width)).items():
                assert_same_frames(frames, expected[fn])

    run(duck(), body)
    assert look(tmp_path, "SELECT count(*) FROM stale") == [(0,)]


def test_a_late_sample_is_known_to_be_late_after_a_restart(duck: Opener) -> None:
    async def fill(store: Store) -> None:
        await store.write([at(i * 30 - 3600, a=1.0) for i in range(120)])
        await store.maintain(NOON + HOUR_NS)

    async def late(store: Store) -> None:
        await store.write([at(-1, a=5.0)])

    async def ask(store: Store) -> None:
        assert await windows(store, 3600, Fn.SUM) == {"a": {-3600: 125.0}}
        assert await windows(store, 60, Fn.SUM, start_ns=NOON - MINUTE_NS) == {"a": {-60: 7.0}}
        await store.maintain(NOON + HOUR_NS)
        assert await windows(store, 3600, Fn.SUM) == {"a": {-3600: 125.0}}

    run(duck(), fill)
    run(duck(), late)
    run(duck(), ask)


def test_samples_written_while_a_roll_up_runs_are_in_the_answers(duck: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    rolled = 0
    roll_hour = duck_rollup._roll_hour

    async def body(store: Store) -> None:
        loop = asyncio.get_running_loop()

        def roll_and_write(*arguments: Any) -> int:
            nonlocal rolled
            rows = roll_hour(*arguments)
            rolled += 1
            # Just rolled up, and not yet: both must be found.
            late = [at(-3600 * 3 + rolled * 60, a=10.0), at(-3600 * 3 + rolled * 60 - 4000, a=10.0)]
            asyncio.run_coroutine_threadsafe(store.write(late), loop).result(10)
            return rows

        monkeypatch.setattr(duck_rollup, "_roll_hour", roll_and_write)
        await store.write([at(i * 30 - 3 * 3600 + 1, a=1.0) for i in range(360)])
        await store.maintain(NOON + HOUR_NS)
        assert rolled >= 3
        total = 360.0 + 20 * rolled
        assert sum((await windows(store, 3600, Fn.SUM))["a"].values()) == total
        assert sum((await windows(store, 60, Fn.SUM))["a"].values()) == total
        await store.maintain(NOON + HOUR_NS)
        assert sum((await windows(store, 3600, Fn.SUM))["a"].values()) == total
        assert sum((await windows(store, 60, Fn.SUM))["a"].values()) == total

    run(duck(), body)


@pytest.mark.parametrize("step", range(1, 6))
def test_a_roll_up_that_fails_half_way_is_taken_up_again(
    duck: Opener, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    calls = 0

    def fail_at_step(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == step:
            raise duckdb.IOException("the power is gone")
        set_meta(*arguments)

    async def body(store: Store) -> None:
        await store.write([at(i * 30 - 3 * 3600, a=1.0) for i in range(360)])
        with monkeypatch.context() as patched:
            patched.setattr(duck_rollup, "set_meta", fail_at_step)
            if step <= 3:
                with pytest.raises(StoreUnavailable, match="the power is gone"):
                    await store.maintain(NOON + HOUR_NS)
            await store.write([at(-3 * 3600 + 5, a=10.0), at(-5, a=10.0)])
            assert sum((await windows(store, 3600, Fn.SUM))["a"].values()) == 380.0
        await store.maintain(NOON + HOUR_NS)
        for every_s in (60, 3600, 7200, 61):
            assert sum((await windows(store, every_s, Fn.SUM))["a"].values()) == 380.0

    run(duck(), body)


def test_the_mark_stays_behind_the_clock_and_the_newest_sample() -> None:
    keep = Retention()
    newest = NOON + 10 * MINUTE_NS
    assert duck_rollup.next_mark(keep, NOON + 5 * MINUTE_NS + 7, newest) == NOON + 3 * MINUTE_NS
    assert duck_rollup.next_mark(keep, NOON + 5 * HOUR_NS, newest) == NOON + HOUR_NS
    assert duck_rollup.next_mark(keep, NOON, -(2**63)) == MIDNIGHT - 30 * DAY_NS


def test_every_aggregate_has_its_forms() -> None:
    assert set(_FORMS) == set(Fn)
