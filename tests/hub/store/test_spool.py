"""The spool on disk: what comes back, in which order, how much it takes, and where it goes on after a restart."""

from __future__ import annotations

import asyncio
import math
import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.store import spool as spool_module
from hub.store.base import StoreBroken, StoreUnavailable
from hub.store.spool import Spool
from hub.store.spool_format import HEADER_BYTES, pack, unpack
from tests.support.spools import batch, drained, files, numbers
from wire.point import Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
POINTS = st.builds(
    Point,
    st.builds(
        SeriesKey, NAMES, NAMES, st.lists(st.tuples(NAMES, NAMES), max_size=3).map(lambda tags: tuple(sorted(tags)))
    ),
    st.integers(-(2**63), 2**63 - 1),
    st.dictionaries(NAMES, st.one_of(st.floats(), st.booleans(), NAMES), max_size=5),
    st.one_of(st.none(), st.integers(0, 2**64 - 1)),
)


def spooling(folder: Path, body: Callable[[Spool], Coroutine[Any, Any, Any]], **more: Any) -> Any:
    async def main() -> Any:
        async with Spool(folder, **{"max_bytes": 1 << 20, **more}) as spool:
            return await body(spool)

    return asyncio.run(main())


def exact(points: list[Point]) -> list[Any]:
    """Points with the types of their values, and NaN equal to itself."""
    return [
        (
            point.key,
            point.ts_ns,
            point.seq,
            [(name, type(value), repr(value)) for name, value in point.fields.items()],
        )
        for point in points
    ]


@given(st.lists(POINTS, max_size=20))
def test_points_come_back_exactly_with_types_tags_and_sequence_numbers(points: list[Point]) -> None:
    assert exact(unpack(pack(points))) == exact(points)


def test_minus_zero_and_numbers_that_look_like_integers_stay_floats() -> None:
    (point,) = unpack(pack([Point(SeriesKey("n", "m"), 1, {"a": -0.0, "b": 1.0, "c": True, "d": "1"})]))
    assert math.copysign(1.0, float(point.fields["a"])) == -1.0
    assert [type(value) for value in point.fields.values()] == [float, float, bool, str]


def test_batches_come_back_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    async def body(spool: Spool) -> None:
        for start in range(0, 30, 3):
            await spool.append(batch(start))
        assert numbers(await drained(spool)) == list(range(30))
        assert spool.is_empty
        assert await spool.read() is None

    spooling(tmp_path / "spool", body)


def test_what_was_not_advanced_over_is_read_again_after_a_restart_from_the_middle_of_a_segment(tmp_path: Path) -> None:
    async def first(spool: Spool) -> None:
        for start in range(0, 30, 3):
            await spool.append(batch(start))
        chunk = await spool.read(6)
        assert chunk is not None
        await spool.advance(chunk)
        assert (await spool.read(6)) is not None  # read, not advanced over

    async def second(spool: Spool) -> None:
        assert numbers(await drained(spool)) == list(range(6, 30))

    spooling(tmp_path, first)
    assert len(files(tmp_path, "seg")) == 1
    spooling(tmp_path, second)
    assert files(tmp_path, "seg") == []


def test_a_segment_that_was_replayed_and_not_removed_is_not_replayed_again(tmp_path: Path) -> None:
    async def fill(spool: Spool) -> None:
        await spool.append(batch(0))

    spooling(tmp_path, fill)
    (segment,) = files(tmp_path, "seg")
    kept = segment.read_bytes()
    spooling(tmp_path, drained)
    segment.write_bytes(kept)  # as if the machine had stopped between the two steps
    assert spooling(tmp_path, drained) == []


def test_numbers_of_segments_are_never_used_again(tmp_path: Path) -> None:
    async def body(spool: Spool) -> str:
        await spool.append(batch(0))
        name = files(tmp_path, "seg")[0].name
        await drained(spool)
        return name

    assert [spooling(tmp_path, body) for _ in range(3)] == [f"{i:012d}.seg" for i in (1, 2, 3)]


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 24])
def test_a_damaged_position_costs_a_replay_from_the_start_and_no_point(tmp_path: Path, damage: bytes) -> None:
    async def first(spool: Spool) -> None:
        for start in range(0, 12, 3):
            await spool.append(batch(start))
        chunk = await spool.read()
        assert chunk is not None
        await spool.advance(chunk)

    spooling(tmp_path, first)
    (tmp_path / "position").write_bytes(damage)
    assert numbers(spooling(tmp_path, drained)) == list(range(12))


def test_space_comes_back_a_segment_at_a_time(tmp_path: Path) -> None:
    async def body(spool: Spool) -> None:
        for start in range(0, 300, 3):
            await spool.append(batch(start))
        before = spool.stats()
        assert before.segments > 3
        assert before.size_bytes == sum(path.stat().st_size for path in files(tmp_path, "seg"))
        while spool.stats().segments == before.segments:
            chunk = await spool.read()
            assert chunk is not None
            await spool.advance(chunk)
        assert spool.stats().size_bytes < before.size_bytes
        assert len(files(tmp_path, "seg")) == before.segments - 1

    spooling(tmp_path, body, segment_bytes=2000)


def test_a_full_spool_takes_nothing_more_and_keeps_what_it_has(tmp_path: Path) -> None:
    async def body(spool: Spool) -> None:
        taken = 0

        async def fill() -> None:
            nonlocal taken
            while True:
                await spool.append(batch(taken))
                taken += 3

        with pytest.raises(StoreUnavailable, match=r"is full .* spool.max_bytes") as refusal:
            await fill()
        assert refusal.value.retry_after_s == 1.0
        assert spool.stats().size_bytes <= 10_000
        chunk = await spool.read(taken)
        while chunk is not None and spool.stats().segments > 1:
            await spool.advance(chunk)
            chunk = await spool.read(taken)
        await spool.append(batch(taken))  # there is room again
        assert numbers(await drained(spool))[-3:] == [taken, taken + 1, taken + 2]

    spooling(tmp_path, body, max_bytes=10_000, segment_bytes=2000)


def test_a_batch_larger_than_the_spool_is_taken_when_it_is_empty_so_that_it_cannot_block_for_ever(
    tmp_path: Path,
) -> None:
    async def body(spool: Spool) -> None:
        await spool.append(batch(0, 500))
        assert numbers(await drained(spool)) == list(range(500))

    spooling(tmp_path, body, max_bytes=1000, segment_bytes=500)


def test_a_large_batch_is_several_records_of_which_one_is_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "_RECORD_POINTS", 10)

    async def body(spool: Spool) -> None:
        await spool.append(batch(0, 35))
        chunk = await spool.read(1)
        assert chunk is not None
        assert numbers(chunk.points) == list(range(10))

    spooling(tmp_path, body)


def test_its_figures_are_bytes_and_hours(tmp_path: Path) -> None:
    now = [0]

    async def body(spool: Spool) -> None:
        assert spool.stats().hours == 0
        assert spool.stats().oldest_ns is None
        for hour in range(3):
            now[0] = 10**18 + hour * 3600 * 10**9
            await spool.append(batch(hour))
        stats = spool.stats()
        assert (stats.hours, stats.oldest_ns) == (2.0, 10**18)
        assert stats.share == stats.size_bytes / 4096

    spooling(tmp_path, body, clock_ns=lambda: now[0], max_bytes=4096)

    async def again(spool: Spool) -> None:
        assert spool.stats().hours == 2.0

    spooling(tmp_path, again)


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    async def body(spool: Spool) -> None:
        await spool.append(batch(0))
        for path in ((tmp_path / "spool"), *(tmp_path / "spool").iterdir()):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path

    spooling(tmp_path / "spool", body)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreBroken, match=r"cannot open the spool .*file/spool"):
        spooling(tmp_path / "file" / "spool", drained)


def test_a_segment_of_a_newer_version_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fill(spool: Spool) -> None:
        await spool.append(batch(0))

    with monkeypatch.context() as newer:
        newer.setattr("hub.store.spool_format.VERSION", 2)
        spooling(tmp_path, fill)
    with pytest.raises(StoreBroken, match="newer iothub"):
        spooling(tmp_path, drained)
    assert files(tmp_path, "seg")[0].stat().st_size > HEADER_BYTES
