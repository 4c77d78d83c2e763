"""Partitions and retention of the DuckDB store: what lies in which table, and what is left after a while."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from hub.store.base import Fn, Query, SeriesFilter, Store, StoreUnavailable
from hub.store.partition import Retention
from tests.support.stores import (
    ALL,
    DAY_NS,
    HOUR_NS,
    MIDNIGHT,
    MINUTE_NS,
    NOON,
    ROOM,
    assert_same_frames,
    at,
    line,
    run,
    samples,
    windows,
)
from tests.support.waiting import eventually, wait_until
from wire.point import NS_PER_S, Point

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


# ── partitions ──


def test_each_day_has_its_tables_and_late_numbers_are_apart(duck: Opener, tmp_path: Path) -> None:
    async def body(store: Store) -> None:
        await store.write([at(0, a=1.0, s="x"), at(DAY_S, a=2.0), line(0, "x"), line(-DAY_S, "y")])
        await store.write([at(1, a=3.0), at(DAY_S - 5, a=4.0), at(-DAY_S, b=True), at(5, s="y")])

    run(duck(), body)
    assert tables(tmp_path) == {
        "numbers_20251122", "numbers_20251123", "texts_20251122", "logs_20251121", "logs_20251122",
        "late_numbers_20251121", "late_numbers_20251122",
    }  # fmt: skip
    assert look(tmp_path, "SELECT value FROM numbers_20251123 ORDER BY ts") == [(4.0,), (2.0,)]
    assert look(tmp_path, "SELECT value FROM late_numbers_20251122") == [(3.0,)]


def test_only_whole_days_past_their_retention_are_dropped(duck: Opener, tmp_path: Path) -> None:
    keep = Retention(raw=2.0 * DAY_S, logs=1.0 * DAY_S)

    async def body(store: Store) -> None:
        await store.write([at(DAY_S * day + hour * 3600, a=1.0) for day in (-2, -1, 0) for hour in (-12, 0)])
        await store.write([line(DAY_S * day, "x") for day in (-2, -1, 0)])
        assert (await store.maintain(NOON)).dropped_partitions == 1
        assert (await store.maintain(NOON)).dropped_partitions == 0
        assert sorted((await samples(store))["a"]) == [h * 3600 for h in (-60, -48, -36, -24, -12, 0)]
        assert (await store.maintain(NOON + DAY_NS)).dropped_partitions == 2
        assert sorted((await samples(store))["a"]) == [h * 3600 for h in (-36, -24, -12, 0)]

    run(duck(retention=keep, now_ns=NOON - DAY_NS), body)
    assert {name for name in tables(tmp_path) if not name.startswith(("minutes", "hours"))} == {
        "numbers_20251121", "numbers_20251122", "logs_20251122"
    }  # fmt: skip


def test_what_was_dropped_cannot_be_written_again_even_after_a_restart_with_longer_retention(duck: Opener) -> None:
    async def fill(store: Store) -> None:
        await store.write([at(-3 * DAY_S, a=1.0), at(0, a=2.0)])
        await store.maintain(NOON + DAY_NS)

    async def again(store: Store) -> None:
        result = await store.write([at(-3 * DAY_S + 1, a=3.0), at(1, a=4.0)])
        assert (result.accepted, [r.index for r in result.rejected]) == (1, [0])
        assert "past its retention, which now begins at 2025-11-20" in result.rejected[0].reason

    run(duck(retention=Retention(raw=3.0 * DAY_S)), fill)
    run(duck(), again)


def test_after_the_samples_are_gone_long_queries_are_answered_from_roll_ups(duck: Opener, tmp_path: Path) -> None:
    keep = Retention(raw=1.0 * DAY_S, rollup_1m=10.0 * DAY_S, rollup_1h=100.0 * DAY_S)

    async def body(store: Store) -> None:
        await store.write([at(i * 40 - 7200, a=i * 0.5) for i in range(270)])
        expected = {width: await all_windows(store, width) for width in (MINUTE_NS, HOUR_NS, DAY_NS)}
        await store.maintain(NOON + 3 * DAY_NS)
        assert await samples(store) == {}
        assert await windows(store, 61, Fn.SUM) == {}
        for width, frames in expected.items():
            for fn, of_fn in (await all_windows(store, width)).items():
                assert_same_frames(of_fn, frames[fn])
        # What is no whole minute at the edges can no longer be told apart, and is left out.
        edge = await windows(store, 3600, Fn.COUNT, start_ns=NOON - 30 * NS_PER_S, stop_ns=NOON + 150 * NS_PER_S)
        assert edge == {"a": {0: 3.0}}
        await store.maintain(NOON + 30 * DAY_NS)
        assert await windows(store, 60, Fn.SUM) == {}
        for width in (HOUR_NS, DAY_NS):
            for fn, of_fn in (await all_windows(store, width)).items():
                assert_same_frames(of_fn, expected[width][fn])
        assert len(await store.last(ALL)) == 1
        await store.maintain(NOON + 200 * DAY_NS)
        assert await store.series(ALL) == []
        assert await windows(store, 3600, Fn.SUM) == {}

    run(duck(retention=keep), body)
    assert tables(tmp_path) == set()
    assert look(tmp_path, "SELECT (SELECT count(*) FROM series) + (SELECT count(*) FROM state)") == [(0,)]


def test_the_last_incomplete_hour_is_rolled_up_too_before_its_samples_go(duck: Opener) -> None:
    async def body(store: Store) -> None:
        await store.write([at(i, a=1.0) for i in range(90)])
        await store.maintain(NOON + 4 * MINUTE_NS)
        await store.maintain(NOON + 40 * DAY_NS)
        await store.maintain(NOON + 400 * DAY_NS)
        assert await windows(store, 3600, Fn.COUNT) == {"a": {0: 90.0}}

    run(duck(), body)


@pytest.mark.parametrize("raw_s", [60.0, 3600.0])
def test_a_retention_shorter_than_the_grace_of_roll_ups_loses_nothing_of_them(duck: Opener, raw_s: float) -> None:
    keep = Retention(raw=raw_s, rollup_1m=0.0, rollup_1h=30.0 * DAY_S)

    async def body(store: Store) -> None:
        await store.write([Point(ROOM, MIDNIGHT - 1 - i * NS_PER_S, {"a": 1.0}) for i in range(30)])
        await store.maintain(MIDNIGHT + round(raw_s * NS_PER_S) + 10)
        assert await samples(store) == {}
        assert await windows(store, 3600, Fn.COUNT) == {"a": {-13 * 3600.0: 30.0}}

    run(duck(retention=keep, now_ns=MIDNIGHT - 1), body)


def test_where_a_series_begins_follows_what_is_left_of_it(duck: Opener) -> None:
    # Hours are dropped in steps of 28 days: those of the first 26 days go by day 60, the next by day 90.
    keep = Retention(raw=2.0 * DAY_S, rollup_1m=2.0 * DAY_S, rollup_1h=30.0 * DAY_S)

    async def firsts(store: Store) -> list[float]:
        return [(series.first_ns - NOON) / DAY_NS for series in await store.series(ALL)]

    days = 0.0

    async def fill(store: Store) -> None:
        nonlocal days
        await store.write([at(0, a=1.0), at(1, b=1.0), at(2, c=1.0)])
        for days in (30, 31):
            await store.write([at(DAY_S * days, a=1.0)])
            await store.maintain(NOON + days * DAY_NS)
        assert len(await firsts(store)) == 3
        days = 60
        await store.write([at(DAY_S * days, a=1.0)])
        await store.maintain(NOON + days * DAY_NS)
        assert await firsts(store) == [30.0]
        await store.write([at(DAY_S * 59, a=1.0), at(DAY_S * 59.5, c=2.0)])
        await store.maintain(NOON + days * DAY_NS)

    async def ask(store: Store) -> None:
        assert await firsts(store) == [30.0, 59.5]
        await store.maintain(NOON + 90 * DAY_NS)
        assert await firsts(store) == [59.0, 59.5]

    run(duck(retention=keep, now_ns=lambda: NOON + round(days * DAY_NS)), fill)
    run(duck(retention=keep, now_ns=NOON + 60 * DAY_NS), ask)


@pytest.mark.parametrize("begun", [True, False])
def test_closing_does_not_wait_for_a_long_query(duck: Opener, begun: bool) -> None:  # noqa: FBT001  a parameter
    async def body(store: Store) -> None:
        await store.write([at(0, a=1.0)])
        slow = "SELECT count(*) FROM range(100000000000) a, range(1000000) b"

        def ask() -> None:
            file = store._file  # type: ignore[attr-defined]  # a DuckStore
            with file.lease() as connection:
                if not begun:  # it asks a moment after it was interrupted
                    wait_until(lambda: file._root is None)
                    with file._gate:
                        pass
                connection.execute(slow).fetchall()

        asking = asyncio.get_running_loop().run_in_executor(None, ask)
        await eventually(lambda: store._file._leased)  # type: ignore[attr-defined]
        await store.__aexit__(None, None, None)
        with pytest.raises(StoreUnavailable):
            await asking

    async def main() -> None:
        store = duck()
        await store.__aenter__()
        await body(store)

    asyncio.run(main())


def test_a_closed_store_says_so(duck: Opener) -> None:
    async def main() -> None:
        async with duck() as store:
            pass
        with pytest.raises(StoreUnavailable, match="is closed"):
            await store.query(Query(SeriesFilter(), 0, 1))

    asyncio.run(main())
