"""What hub/store/base.py promises of reading and retention, asked of every store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hub.store.base import FieldKind, Fn, LogQuery, Query, QueryError, Series, SeriesFilter, Store
from hub.store.partition import Retention
from tests.support.stores import ALL, DAY_NS, EVER_LOGS, NOON, ROOM, at, line, messages, run, samples, windows
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from tests.hub.store.conftest import Opener

# ── series and last values ──


def test_series_are_listed_in_order_with_kind_and_range(make: Opener) -> None:
    other = SeriesKey("dev0", "room", (("floor", "1"),))

    async def body(store: Store) -> None:
        await store.write([at(5, b=1.0), at(1, other, s="x"), at(3, b=1.0, a=True), at(9, b=2.0)])
        assert await store.series(ALL) == [
            Series(other, "s", FieldKind.TEXT, NOON + NS_PER_S, NOON + NS_PER_S),
            Series(ROOM, "a", FieldKind.BOOLEAN, NOON + 3 * NS_PER_S, NOON + 3 * NS_PER_S),
            Series(ROOM, "b", FieldKind.NUMBER, NOON + 3 * NS_PER_S, NOON + 9 * NS_PER_S),
        ]

    run(make(), body)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (SeriesFilter(), ["dev1/a", "dev2/a", "dev2/b[x]", "other/a"]),
        (SeriesFilter(node="dev1"), ["dev1/a"]),
        (SeriesFilter(node="dev*"), ["dev1/a", "dev2/a", "dev2/b[x]"]),
        (SeriesFilter(node="dev?"), ["dev1/a", "dev2/a", "dev2/b[x]"]),
        (SeriesFilter(node="[!d]*"), ["other/a"]),
        (SeriesFilter(node="dev[2-9]", field="a"), ["dev2/a"]),
        (SeriesFilter(field="b[[]x]"), ["dev2/b[x]"]),
        (SeriesFilter(field="b[x]"), []),
        (SeriesFilter(measurement="ROOM"), []),
        (SeriesFilter(tags={"floor": "2"}), ["dev2/a", "dev2/b[x]"]),
        (SeriesFilter(tags={"floor": "2", "wing": "east"}), []),
        (SeriesFilter(tags={"floor": "*"}), []),
    ],
)
def test_series_are_chosen_by_globs_and_exact_tags(make: Opener, chosen: SeriesFilter, expected: list[str]) -> None:
    async def body(store: Store) -> None:
        upstairs = SeriesKey("dev2", "room", (("floor", "2"),))
        await store.write(
            [at(0, a=1.0), Point(upstairs, NOON, {"a": 1.0, "b[x]": 1.0}), at(0, SeriesKey("other", "x"), a=1.0)]
        )
        assert [f"{series.key.node}/{series.field}" for series in await store.series(chosen)] == expected
        assert [f"{each.series.key.node}/{each.series.field}" for each in await store.last(chosen)] == expected
        assert len(await store.query(Query(chosen, 0, 2**62))) == len(expected)

    run(make(), body)


def test_the_last_value_is_that_of_the_newest_time_whatever_the_order_of_arrival(make: Opener) -> None:
    async def body(store: Store) -> None:
        await store.write([at(5, a=5.0, s="5", b=True), at(9, a=9.0, s="9", b=False), at(2, a=2.0, s="2", b=True)])
        await store.write([at(7, a=7.0, s="7", b=True)])
        found = {each.series.field: (each.ts_ns, each.value) for each in await store.last(ALL)}
        assert found == {name: (NOON + 9 * NS_PER_S, value) for name, value in {"a": 9.0, "s": "9", "b": False}.items()}
        assert isinstance(found["b"][1], bool)

    run(make(), body)


# ── queries ──


def test_ranges_are_half_open(make: Opener) -> None:
    async def body(store: Store) -> None:
        await store.write([at(i, a=float(i), s=str(i)) for i in range(5)])
        frames = await store.query(Query(ALL, NOON + NS_PER_S, NOON + 3 * NS_PER_S))
        assert [frame.ts_ns.tolist() for frame in frames] == [[NOON + NS_PER_S, NOON + 2 * NS_PER_S]] * 2
        assert await store.query(Query(ALL, NOON + NS_PER_S, NOON + NS_PER_S)) == []
        assert await store.query(Query(ALL, NOON + 2 * NS_PER_S, NOON)) == []

    run(make(), body)


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (Fn.MEAN, {0: 2.0, 10: 10.0}),
        (Fn.MIN, {0: 1.0, 10: 10.0}),
        (Fn.MAX, {0: 3.0, 10: 10.0}),
        (Fn.SUM, {0: 6.0, 10: 10.0}),
        (Fn.COUNT, {0: 3.0, 10: 1.0}),
        (Fn.STDDEV, {0: 1.0}),
        (Fn.FIRST, {0: 3.0, 10: 10.0}),
        (Fn.LAST, {0: 2.0, 10: 10.0}),
    ],
)
def test_aggregates_of_windows_without_the_empty_ones(make: Opener, fn: Fn, expected: dict[float, float]) -> None:
    async def body(store: Store) -> None:
        await store.write([at(1, a=3.0), at(10, a=10.0), at(3, a=1.0), at(4, a=2.0), at(35, a=0.0)])
        assert await windows(store, 10, fn, stop_ns=NOON + 30 * NS_PER_S) == {"a": expected}

    run(make(), body)


def test_windows_are_aligned_to_the_epoch_and_hold_only_what_lies_in_the_range(make: Opener) -> None:
    async def body(store: Store) -> None:
        await store.write([at(i, a=1.0) for i in range(20)])
        found = await windows(store, 7, Fn.COUNT, start_ns=NOON + 3 * NS_PER_S, stop_ns=NOON + 12 * NS_PER_S)
        phase = NOON // NS_PER_S % 7
        starts = [second for second in range(-7, 20) if (phase + second) % 7 == 0]
        expected = {start: sum(3 <= second < 12 for second in range(start, start + 7)) for start in starts}
        assert found["a"] == {start: count for start, count in expected.items() if count}

    run(make(), body)


def test_booleans_count_as_0_and_1(make: Opener) -> None:
    async def body(store: Store) -> None:
        await store.write([at(i, b=i < 3) for i in range(4)])
        assert await windows(store, 60, Fn.MEAN) == {"b": {0: 0.75}}
        assert await windows(store, 60, Fn.LAST) == {"b": {0: 0.0}}

    run(make(), body)


def test_texts_can_be_counted_and_have_a_first_and_a_last(make: Opener) -> None:
    async def body(store: Store) -> None:
        await store.write([at(3, s="c"), at(1, s="a"), at(2, s="b"), at(61, s="d")])
        assert await windows(store, 60, Fn.COUNT) == {"s": {0: 3.0, 60: 1.0}}
        assert await windows(store, 60, Fn.FIRST) == {"s": {0: "a", 60: "d"}}
        assert await windows(store, 60, Fn.LAST) == {"s": {0: "c", 60: "d"}}

    run(make(), body)


@pytest.mark.parametrize("fn", [Fn.MEAN, Fn.MIN, Fn.MAX, Fn.SUM, Fn.STDDEV])
def test_other_aggregates_of_texts_are_refused_with_what_is_allowed(make: Opener, fn: Fn) -> None:
    async def body(store: Store) -> None:
        await store.write([at(0, s="x", a=1.0)])
        with pytest.raises(
            QueryError, match=f"fn={fn} does not work on text, which dev1 room s holds: use one of count, "
        ):
            await windows(store, 60, fn)
        assert (await windows(store, 60, fn, field="a")).keys() == ({"a"} if fn is not Fn.STDDEV else set())

    run(make(), body)


@pytest.mark.parametrize("every_s", [None, 1])
def test_more_rows_than_the_limit_are_refused_not_cut(make: Opener, every_s: float | None) -> None:
    every_ns = None if every_s is None else NS_PER_S

    async def body(store: Store) -> None:
        await store.write([at(i, a=float(i), s=str(i)) for i in range(5)])
        exact = Query(ALL, 0, 2**62, every_ns, Fn.LAST, limit=10)
        assert sum(len(frame.values) for frame in await store.query(exact)) == 10
        with pytest.raises(QueryError, match="more than 9 rows"):
            await store.query(Query(ALL, 0, 2**62, every_ns, Fn.LAST, limit=9))
        with pytest.raises(QueryError, match="more than 4 rows"):
            await store.query(Query(ALL, 0, 2**62, every_ns, Fn.LAST, limit=4))

    run(make(), body)


@pytest.mark.parametrize("bad", [{"limit": 0}, {"every_ns": 0}, {"every_ns": -1}, {"every_ns": 2**63}])
def test_a_query_that_makes_no_sense_is_refused(make: Opener, bad: dict[str, int]) -> None:
    async def body(store: Store) -> None:
        await store.write([at(0, a=1.0)])
        with pytest.raises(QueryError, match="at least 1"):
            await store.query(Query(ALL, 0, 1, **bad))  # type: ignore[arg-type]  # ints, as each of them takes

    run(make(), body)


def test_names_are_never_read_as_sql(make: Opener) -> None:
    nasty = """x'; DROP TABLE series; --"$1"""
    key = SeriesKey(nasty, nasty, ((nasty, nasty),))

    async def body(store: Store) -> None:
        await store.write([Point(key, NOON, {nasty: nasty}), line(0, nasty, node=nasty, source=nasty, level=nasty)])
        chosen = SeriesFilter(node=nasty, measurement=nasty, field=nasty, tags={nasty: nasty})
        assert [each.value for each in await store.last(chosen)] == [nasty]
        assert len(await store.query(Query(chosen, 0, 2**62))) == 1
        assert len(await store.logs(LogQuery(0, 2**62, node=nasty, source=nasty, text=nasty))) == 1

    run(make(), body)


@pytest.mark.parametrize("text", ["", "\x00", "a\x00b", "𝒳é\u2028", "x" * 100_000])
def test_any_text_is_kept_exactly(make: Opener, text: str) -> None:
    async def body(store: Store) -> None:
        await store.write([at(0, s=text), line(0, text, extra=text)])
        assert (await samples(store))["s"] == {0: text}
        (record,) = await store.logs(EVER_LOGS)
        assert (record.message, record.fields) == (text, {"extra": text})

    run(make(), body)


# ── retention, figures, concurrency ──

WEEK = Retention(raw=7 * 86_400.0, rollup_1m=7 * 86_400.0, rollup_1h=7 * 86_400.0, logs=3 * 86_400.0)


def test_what_is_past_its_retention_is_dropped_and_series_with_nothing_left_are_forgotten(make: Opener) -> None:
    gone, cut = SeriesKey("gone", "room"), SeriesKey("cut", "room")

    async def body(store: Store) -> None:
        await store.write([at(0, gone, s="x"), at(0, cut, s="old"), at(86_400 * 5, cut, s="new"), line(0, "old")])
        await store.maintain(NOON + 5 * DAY_NS)
        assert len(await store.series(ALL)) == 2
        assert await messages(store) == []
        await store.maintain(NOON + 9 * DAY_NS)
        assert [(series.key.node, series.first_ns) for series in await store.series(ALL)] == [
            ("cut", NOON + 5 * DAY_NS)
        ]
        assert await samples(store) == {"s": {86_400 * 5: "new"}}
        assert [each.value for each in await store.last(ALL)] == ["new"]

    run(make(retention=WEEK, now_ns=NOON + 5 * DAY_NS), body)


def test_a_forgotten_series_may_come_back_as_another_kind(make: Opener) -> None:
    async def body(store: Store) -> None:
        await store.write([at(0, s="text", other="x")])
        await store.maintain(NOON + 9 * DAY_NS)
        assert await store.series(ALL) == []
        assert (await store.write([at(86_400 * 9, s=1.0)])).accepted == 1
        assert await samples(store) == {"s": {86_400 * 9: 1.0}}

    run(make(retention=WEEK, now_ns=NOON + DAY_NS), body)


def test_the_figures_say_how_much_there_is(make: Opener) -> None:
    async def body(store: Store) -> None:
        empty = await store.stats()
        assert (empty.series, empty.oldest_ns) == (0, None)
        await store.write([at(3, a=1.0, b=True), at(-3, a=1.0, s="x")])
        full = await store.stats()
        assert (full.series, full.oldest_ns) == (3, NOON - 3 * NS_PER_S)

    run(make(), body)


def test_readers_beside_a_writer_see_whole_batches_only(make: Opener) -> None:
    nodes, batches = 40, 30
    keys = [SeriesKey(f"dev{i}", "room") for i in range(nodes)]

    async def body(store: Store) -> None:
        written = 0

        async def write() -> None:
            nonlocal written
            for second in range(batches):
                await store.write([at(second, key, a=float(second)) for key in keys])
                written = second + 1

        async def read() -> None:
            while written < batches:
                before = written
                frames = await store.query(Query(ALL, 0, 2**62))
                sizes = {len(frame.ts_ns) for frame in frames}
                assert len(frames) in (0, nodes)
                assert len(sizes) <= 1
                assert all(before <= size <= written + 1 for size in sizes)
                await asyncio.gather(store.series(ALL), store.last(ALL), store.logs(EVER_LOGS), store.stats())

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            for _ in range(3):
                group.create_task(read())

    run(make(), body)
