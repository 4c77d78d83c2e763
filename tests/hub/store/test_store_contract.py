"""What hub/store/base.py promises of writing, asked of every store; test_store_contract_*.py ask the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hub.store.base import FieldKind, Rejected, SeriesFilter, Store
from tests.support.stores import ALL, DAY_NS, EVER_LOGS, NOON, ROOM, UNFIT, at, line, run, samples
from wire.point import Point, SeriesKey

if TYPE_CHECKING:
    from tests.hub.store.conftest import Opener

# ── nothing twice ──


def test_what_is_written_is_read_back(make: Opener) -> None:
    async def body(store: Store) -> None:
        result = await store.write([at(0, temperature=21.5, door=True, text="open"), at(1, temperature=22.0)])
        assert result.accepted == 4
        assert await samples(store) == {
            "temperature": {0: 21.5, 1: 22.0}, "door": {0: 1.0}, "text": {0: "open"}
        }  # fmt: skip

    run(make(), body)


def test_the_same_batch_again_changes_nothing_and_is_reported_as_duplicate(make: Opener) -> None:
    batch = [at(i, a=float(i), b=bool(i % 2), c=f"text {i}") for i in range(50)] + [
        line(i, f"line {i}") for i in range(9)
    ]

    async def body(store: Store) -> None:
        first = await store.write(batch)
        assert (first.accepted, first.duplicates, first.rejected) == (159, (), ())
        again = await store.write(batch)
        assert (again.accepted, again.duplicates, again.rejected) == (0, tuple(range(59)), ())
        assert sum(len(rows) for rows in (await samples(store)).values()) == 150
        assert len(await store.logs(EVER_LOGS)) == 9

    run(make(), body)


def test_of_an_overlapping_batch_only_the_new_part_is_stored(make: Opener) -> None:
    async def body(store: Store) -> None:
        await store.write([at(i, a=float(i)) for i in range(10)])
        result = await store.write([at(i, a=100.0 + i) for i in range(5, 15)])
        assert (result.accepted, result.duplicates) == (5, (0, 1, 2, 3, 4))
        assert (await samples(store))["a"] == {i: float(i) if i < 10 else 100.0 + i for i in range(15)}

    run(make(), body)


def test_of_the_same_time_twice_in_a_batch_the_first_value_stays(make: Opener) -> None:
    async def body(store: Store) -> None:
        result = await store.write([at(0, a=1.0, s="first"), at(0, a=2.0, s="second"), at(1, a=3.0)])
        assert (result.accepted, result.duplicates) == (3, (1,))
        assert await samples(store) == {"a": {0: 1.0, 1: 3.0}, "s": {0: "first"}}

    run(make(), body)


def test_points_of_one_time_with_other_fields_add_up(make: Opener) -> None:
    async def body(store: Store) -> None:
        result = await store.write([at(0, a=1.0), at(0, b=2.0), at(0, b=9.0, a=9.0, c=3.0)])
        assert (result.accepted, result.duplicates) == (3, ())
        assert await samples(store) == {"a": {0: 1.0}, "b": {0: 2.0}, "c": {0: 3.0}}

    run(make(), body)


def test_a_late_row_is_stored_once(make: Opener) -> None:
    async def body(store: Store) -> None:
        await store.write([at(i, a=float(i)) for i in range(0, 100, 10)])
        for expected in (2, 0):
            result = await store.write([at(55, a=5.5), at(20, a=0.0), at(-7, a=-7.0), at(90, a=0.0)])
            assert result.accepted == expected
        assert sorted((await samples(store))["a"]) == sorted([*range(0, 100, 10), 55, -7])

    run(make(), body)


def test_a_batch_may_be_spread_over_many_days_and_written_again(make: Opener) -> None:
    days = [0, -20, -3, -11, -1, -20, -29]
    batch = [at(86_400 * day + i, a=float(day), s=str(day)) for i, day in enumerate(days)]

    async def body(store: Store) -> None:
        assert (await store.write(batch)).accepted == 14
        assert (await store.write(batch[::-1])).accepted == 0
        assert sorted((await samples(store))["a"]) == sorted(86_400 * day + i for i, day in enumerate(days))

    run(make(), body)


def test_an_empty_batch_is_fine(make: Opener) -> None:
    async def body(store: Store) -> None:
        assert (await store.write([])).accepted == 0

    run(make(), body)


def test_series_that_differ_in_a_tag_alone_are_apart(make: Opener) -> None:
    cores = [SeriesKey("dev1", "cpu", (("core", str(i)),)) for i in range(3)]

    async def body(store: Store) -> None:
        assert (await store.write([at(0, key, usage=float(i)) for i, key in enumerate(cores)])).accepted == 3
        assert [each.value for each in await store.last(SeriesFilter(tags={"core": "1"}))] == [1.0]

    run(make(), body)


# ── what is refused ──


def test_a_value_of_another_kind_is_refused_alone(make: Opener) -> None:
    async def body(store: Store) -> None:
        await store.write([at(0, a=1.0, b=True, s="x")])
        result = await store.write([at(1, a="warm", b=1.0, s="y"), at(2, a=2.0, b=False, s="z"), at(3, a=True)])
        assert result.accepted == 4
        assert result.rejected == (
            Rejected(
                0,
                "dev1 room: field 'a': the series is number, got text 'warm'; "
                "field 'b': the series is boolean, got number 1.0",
                whole=False,
            ),
            Rejected(2, "dev1 room: field 'a': the series is number, got boolean True", whole=True),
        )
        assert await samples(store) == {"a": {0: 1.0, 2: 2.0}, "b": {0: 1.0, 2: 0.0}, "s": {0: "x", 1: "y", 2: "z"}}

    run(make(), body)


def test_a_refused_point_is_no_duplicate_even_when_its_other_values_are(make: Opener) -> None:
    async def body(store: Store) -> None:
        await store.write([at(0, a=1.0, b=1.0)])
        result = await store.write([at(0, a=1.0, b="x")])
        assert (result.accepted, result.duplicates) == (0, ())
        assert [(r.index, r.whole) for r in result.rejected] == [(0, False)]

    run(make(), body)


@pytest.mark.parametrize(("value", "why"), UNFIT)
@pytest.mark.parametrize("known", [True, False])
def test_what_no_series_can_hold_is_refused_alone(make: Opener, value: Any, why: str, known: bool) -> None:  # noqa: FBT001
    async def body(store: Store) -> None:
        if known:
            await store.write([at(0, a="text" if isinstance(value, str) else 1.0, good=0.0)])
        result = await store.write([at(1, good=1.0), at(2, a=value, good=2.0), at(3, a=value)])
        assert result.accepted == 2
        assert result.rejected == (
            Rejected(1, f"dev1 room: field 'a': {why}", whole=False), Rejected(2, f"dev1 room: field 'a': {why}")
        )  # fmt: skip
        assert sorted((await samples(store))["good"]) == ([0, 1, 2] if known else [1, 2])

    run(make(), body)


def test_a_refused_first_value_does_not_fix_the_kind(make: Opener) -> None:
    async def body(store: Store) -> None:
        await store.write([at(0, a=float("nan"))])
        assert await store.series(ALL) == []
        assert (await store.write([at(1, a="text")])).accepted == 1
        assert [series.kind for series in await store.series(ALL)] == [FieldKind.TEXT]

    run(make(), body)


def test_integers_are_numbers(make: Opener) -> None:
    async def body(store: Store) -> None:
        await store.write([at(0, a=1), at(1, a=2.5), at(2, a=3)])
        assert (await samples(store))["a"] == {0: 1.0, 1: 2.5, 2: 3.0}
        (last,) = await store.last(ALL)
        assert (type(last.value), last.value) == (float, 3.0)

    run(make(), body)


@pytest.mark.parametrize(
    "key",
    [SeriesKey("dev\ud800", "room"), SeriesKey("dev", "\ud800"), SeriesKey("dev", "room", (("\ud800", "x"),))],
    ids=["node", "measurement", "tag"],
)
def test_a_name_that_is_no_utf8_refuses_the_point(make: Opener, key: SeriesKey) -> None:
    async def body(store: Store) -> None:
        result = await store.write([at(0, key, a=1.0), at(0, a=1.0)])
        assert result.accepted == 1
        (refused,) = result.rejected
        assert (refused.index, refused.whole) == (0, True)
        assert "lone surrogate" in refused.reason

    run(make(), body)


@pytest.mark.parametrize("ts_ns", [-1, 0, NOON - 31 * DAY_NS, 2**63 - 1, 2**70])
def test_a_time_that_is_not_kept_refuses_the_point(make: Opener, ts_ns: int) -> None:
    async def body(store: Store) -> None:
        log = Point(SeriesKey("dev1", "log"), ts_ns, {"message": "x"})
        result = await store.write([at(0, a=1.0), Point(ROOM, ts_ns, {"a": 2.0}), log])
        assert result.accepted == 1
        assert [(refused.index, refused.whole) for refused in result.rejected] == [(1, True), (2, True)]
        assert all("its time" in refused.reason for refused in result.rejected)

    run(make(), body)
