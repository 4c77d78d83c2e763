"""Poisoned lines, fields of others and hostile names, with a real server."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.store.base import LogQuery, Query, QueryError, SeriesFilter, Store
from hub.store.influxql import identifier, regex, text
from tests.support.influx import Influxd, opened
from tests.support.stores import ALL, NOON, at, line, run, samples
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from hub.store.influx import InfluxStore

DAY_S = 86_400


# -- one poisoned line costs that line alone --------------------------------------------------------------------------


@pytest.mark.parametrize("shard", ["old", "new"])
@pytest.mark.parametrize("bad", [1, 10, 100])
def test_poisoned_lines_are_refused_alone_with_the_servers_reason(influxd: Influxd, bad: int, shard: str) -> None:
    """The bad field holds whole numbers of another program, which the hub cannot know before it writes beside them."""
    database, size = influxd.create(), 5000
    poisoned = sorted(random.Random(bad).sample(range(size), bad))
    chosen = frozenset(poisoned)
    batch = [
        at(i / 10, SeriesKey(f"dev{i % 50}", "room"), **{"p" if i in chosen else "a": float(i)}) for i in range(size)
    ]

    async def body(store: Store) -> None:
        if shard == "old":
            await store.write([at(-1, SeriesKey("dev0", "room"), a=0.0)])
        assert influxd.write(database, f"room,node=dev0 p=1i {NOON - 1}") == 204
        result = await store.write(batch)
        assert [refused.index for refused in result.rejected] == poisoned
        assert all("type" in refused.reason and refused.whole for refused in result.rejected)
        assert result.accepted == size - bad
        frames = await store.query(Query(SeriesFilter(field="a"), NOON, 2**62))
        assert sum(len(frame.ts_ns) for frame in frames) == size - bad
        again = await store.write(batch)
        assert (again.accepted, len(again.duplicates), len(again.rejected)) == (0, size - bad, bad)

    run(opened(influxd, database), body)


def test_a_type_clash_in_a_shard_that_does_not_exist_yet_loses_no_other_line(influxd: Influxd) -> None:
    """1.x refuses all of such a batch, the first time."""
    database = influxd.create()
    clash = f"room,node=x p=1i {NOON}\n"
    assert influxd.write(database, clash) == 204

    async def body(store: Store) -> None:
        old = [Point(SeriesKey("x", "room"), NOON - 20 * DAY_S * NS_PER_S + i, {"a": float(i)}) for i in range(500)]
        result = await store.write([*old, at(1, SeriesKey("x", "room"), p=1.0)])
        assert (result.accepted, [refused.index for refused in result.rejected]) == (500, [500])

    run(opened(influxd, database), body)


# -- what other programs and other nodes do to a field ----------------------------------------------------------------


def test_the_first_node_decides_the_kind_of_a_field_in_its_measurement(influxd: Influxd) -> None:
    other = SeriesKey("dev2", "room")

    async def body(store: Store) -> None:
        await store.write([at(0, state=1.0)])
        result = await store.write([at(0, other, state="on", ok=True)])
        assert result.accepted == 1
        (refused,) = result.rejected
        assert (refused.index, refused.whole) == (0, False)
        assert refused.reason == "dev2 room: field 'state': the series is number, got text 'on'"

    run(opened(influxd, influxd.create()), body)


def test_what_each_field_takes_is_asked_of_the_database_whoever_wrote_it(influxd: Influxd) -> None:
    database = influxd.create()
    lines = f'room a=1,b=1i,c="x",d=t,%25A=1 {NOON}\nroom mixed=1 {NOON}\nroom mixed=1i {NOON - 20 * DAY_S * NS_PER_S}'
    assert influxd.write(database, lines) == 204

    async def body(store: InfluxStore) -> None:
        await store.write([at(0, SeriesKey("dev1", "door"), open=True), line(0, "m", status=502.0)])
        found = [each for each in await store.field_types() if each[0] != "log"]
        assert sorted(found, key=str) == [
            ("door", "open", bool),
            ("room", "%A", float),
            ("room", "a", float),
            ("room", "b", int),
            ("room", "c", str),
            ("room", "d", bool),
            ("room", "mixed", float),
        ]

    run(opened(influxd, database), body)


def test_kinds_series_and_last_values_outlive_a_restart(influxd: Influxd) -> None:
    database = influxd.create()
    tagged = SeriesKey("dev 2", "ro,om=#", (("a b", "C:\\"), ("time", "x\n")))
    batch = [at(3, a=3.0), at(1, a=1.0, b=True), at(2, tagged, time="later", s=""), line(5, "x")]

    async def fill(store: Store) -> tuple[Any, Any]:
        await store.write(batch)
        return await store.series(ALL), await store.last(ALL)

    async def look(store: Store) -> tuple[Any, Any]:
        found = await store.series(ALL), await store.last(ALL)
        again = await store.write(batch)
        assert (again.accepted, again.duplicates) == (0, (0, 1, 2, 3))
        assert [
            refused.index for refused in (await store.write([at(9, SeriesKey("new", "room"), a="text")])).rejected
        ] == [0]
        return found

    written = run(opened(influxd, database), fill)
    assert len(written[0]) == 4
    assert run(opened(influxd, database), look) == written


def test_what_others_wrote_without_a_node_is_none_of_ours(influxd: Influxd) -> None:
    database = influxd.create()
    assert influxd.write(database, f"room,host=x a=1 {NOON}") == 204

    async def body(store: Store) -> None:
        assert await store.series(ALL) == []
        await store.write([at(0, a=5.0)])
        assert await samples(store) == {"a": {0: 5.0}}

    run(opened(influxd, database), body)


# -- names and texts are data, whatever is in them --------------------------------------------------------------------

HOSTILE = ",= \\\"'#\n\r\t\0%25AFaf/x=é𝒳\x7f\u2028{}$;-*?[]()|^.+"
hostile = st.text(st.sampled_from(HOSTILE), min_size=1, max_size=8)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(hostile, hostile, hostile, hostile, hostile, hostile), min_size=1, max_size=8, unique=True))
def test_hostile_names_and_texts_come_back_as_they_were(influxd: Influxd, rows: list[tuple[str, ...]]) -> None:
    database = influxd.create()
    points = {
        (SeriesKey(node, measurement, ((key, value),)), field): text
        for node, measurement, key, value, field, text in rows
        if key != "node" and measurement != "log"
    }
    batch = [Point(key, NOON, {field: text}) for (key, field), text in points.items()]
    batch += [
        line(i, row[5], node=row[0], source=row[1], level=row[2], **{row[3]: row[4]}) for i, row in enumerate(rows)
    ]

    async def body(store: Store) -> None:
        result = await store.write(batch)
        assert (result.accepted, result.rejected) == (len(batch), ())
        for (key, field), expected in points.items():
            exactly = SeriesFilter(glob_of(key.node), glob_of(key.measurement), glob_of(field), dict(key.tags))
            (frame,) = await store.query(Query(exactly, 0, 2**62))
            assert (frame.series.key, frame.values) == (key, [expected])
        for i, row in enumerate(rows):
            found = await store.logs(LogQuery(0, 2**62, node=glob_of(row[0]), source=row[1], text=row[5]))
            assert (row[5], {row[3]: row[4]}) in [(record.message, record.fields) for record in found], i

    async def after_restart(store: Store) -> None:
        assert {(s.key, s.field) for s in await store.series(ALL)} == points.keys()

    run(opened(influxd, database), body)
    run(opened(influxd, database), after_restart)


def glob_of(name: str) -> str:
    """A glob that matches this name alone, by the longest way round: the server must read a regular expression."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


@pytest.mark.parametrize("quote", [identifier, text])
def test_a_quoted_text_ends_where_it_ends(quote: Any) -> None:
    for name in ("a'b", 'a"b', "a\\", "\\'", '\\"', "a\nb", "'; DROP DATABASE x; --"):
        quoted = quote(name)
        mark, inside, escaped = quoted[0], quoted[1:-1], False
        assert quoted[-1] == mark
        for char in inside:
            assert escaped or char not in (mark, "\n"), quoted
            escaped = char == "\\" and not escaped
        assert not escaped, quoted


@pytest.mark.parametrize("quote", [identifier, text])
def test_what_cannot_be_quoted_is_refused(quote: Any) -> None:
    with pytest.raises(QueryError, match="NUL"):
        quote("a\0b")


def test_a_regular_expression_keeps_to_its_delimiters() -> None:
    assert regex("a/b") == "/a\\/b/"
    assert regex("a\\/b\\\n\x00") == "/a\\/b\\x0a\\x00/"
