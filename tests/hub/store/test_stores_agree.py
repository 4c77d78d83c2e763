"""Random batches in random order, with duplicates, clashes, roll-ups and restarts: DuckDB answers as memory does."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.store.base import Fn, Frame, LogQuery, Query, QueryError, SeriesFilter, Store
from hub.store.duck import DuckStore
from hub.store.memory import MemoryStore
from tests.support.stores import ALL, DAY_NS, HOUR_NS, MINUTE_NS, NOON, assert_same_frames
from wire.point import NS_PER_S, Point, SeriesKey, Value

KEYS = [SeriesKey("dev1", "room"), SeriesKey("dev1", "room", (("floor", "1"),)), SeriesKey("dev2", "room")]
LOG = SeriesKey("dev1", "log", (("level", "info"), ("source", "app")))

#: Near the edges of seconds, minutes, hours and days, so that times repeat and windows have edges.
times = st.builds(
    lambda hours, minutes, seconds, ns: NOON + hours * HOUR_NS + minutes * MINUTE_NS + seconds * NS_PER_S + ns,
    st.sampled_from([0, -1, -2, -13, -37, -60 * 24]),
    st.integers(0, 4),
    st.sampled_from([0, 1, 30, 59]),
    st.sampled_from([0, 0, 0, 1, 999_999_999]),
)
numbers = st.integers(-4000, 4000).map(lambda quarters: quarters / 4) | st.floats(-1000, 1000)
#: Mostly each field holds one kind; now and then another comes, and is refused.
values: dict[str, st.SearchStrategy[Value]] = {
    "a": st.one_of(numbers, numbers, numbers, numbers, st.just("clash")),
    "b": st.one_of(st.booleans(), st.booleans(), st.booleans(), st.just(2.0)),
    "s": st.one_of(st.text(max_size=3), st.text(max_size=3), st.sampled_from([True, "\ud800"])),
}
fields = st.fixed_dictionaries({}, optional=values).filter(bool)
samples = st.builds(Point, st.sampled_from(KEYS), times, fields)
logs = st.builds(Point, st.just(LOG), times, st.fixed_dictionaries({"message": st.sampled_from(["x", "y", "z"])}))
batches = st.lists(st.one_of(samples, samples, samples, logs), max_size=40)
#: A batch to write, hours after noon to do maintenance at, or None: open the store anew.
steps = st.lists(st.one_of(batches, batches, st.integers(-40, 3), st.none()), min_size=1, max_size=6)
EVERY = (None, 7 * NS_PER_S, MINUTE_NS, 90 * NS_PER_S, 5 * MINUTE_NS, HOUR_NS, 6 * HOUR_NS, DAY_NS)
FILTERS = (ALL, SeriesFilter(field="[ab]"), SeriesFilter(node="dev1", field="a"), SeriesFilter(tags={"floor": "1"}))
spans = st.tuples(times, times).map(sorted).map(tuple)
queries = st.builds(
    lambda chosen, span, every_ns, fn: Query(chosen, span[0], span[1], every_ns, fn),
    st.sampled_from(FILTERS),
    st.just((0, 2**62)) | spans,
    st.sampled_from(EVERY),
    st.sampled_from(Fn),
)


async def answer(store: Store, query: Query) -> list[Frame] | str:
    try:
        return await store.query(query)
    except QueryError as error:
        return str(error)


async def same_answers(duck: Store, memory: Store, asked: list[Query]) -> None:
    for chosen in FILTERS:
        assert await duck.series(chosen) == await memory.series(chosen)
        assert await duck.last(chosen) == await memory.last(chosen)
    for query in asked:
        logs = LogQuery(query.start_ns, query.stop_ns)
        assert await duck.logs(logs) == await memory.logs(logs)
        found, expected = await answer(duck, query), await answer(memory, query)
        if isinstance(found, str) or isinstance(expected, str):
            assert found == expected
        else:
            assert_same_frames(found, expected, scale=1000)


@settings(max_examples=40)
@given(steps, st.lists(queries, min_size=5, max_size=20))
def test_duck_and_memory_agree(steps: list[list[Point] | int | None], asked: list[Query]) -> None:
    async def main(folder: Path) -> None:
        memory, duck = MemoryStore(clock_ns=lambda: NOON), DuckStore(folder / "x", threads=1, clock_ns=lambda: NOON)
        await duck.__aenter__()
        try:
            for step in steps:
                if step is None:
                    await duck.__aexit__(None, None, None)
                    duck = DuckStore(folder / "x", threads=1, clock_ns=lambda: NOON)
                    await duck.__aenter__()
                elif isinstance(step, int):
                    await duck.maintain(NOON + step * HOUR_NS)
                else:
                    assert await duck.write(step) == await memory.write(step)
            await same_answers(duck, memory, asked)
        finally:
            await duck.__aexit__(None, None, None)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))
