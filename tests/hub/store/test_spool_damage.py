"""A spool whose files were cut short or changed: what was written comes back as it was or not at all, never wrong."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from hub.store.spool import Spool
from hub.store.spool_format import HEADER_BYTES, RECORD_BYTES, pack
from tests.support.spools import batch, drained, files, numbers

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from wire.point import Point

BATCHES = [batch(number) for number in range(0, 12, 3)]
RECORD = [RECORD_BYTES + len(pack(points)) for points in BATCHES]
#: Where each record ends.
ENDS = [HEADER_BYTES + sum(RECORD[: i + 1]) for i in range(len(RECORD))]
ALL = [point for points in BATCHES for point in points]


def filled(folder: Path, batches: list[list[Point]]) -> Path:
    async def main() -> None:
        async with Spool(folder, max_bytes=1 << 30, segment_bytes=1 << 30) as spool:
            for points in batches:
                await spool.append(points)

    asyncio.run(main())
    (path,) = folder.glob("*.seg")
    return path


async def read_anew(folder: Path) -> tuple[list[Point], int]:
    async with Spool(folder, max_bytes=1 << 30) as spool:
        points = await drained(spool, 1 << 20)
        return points, spool.stats().damaged_bytes


def clean(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def test_a_segment_cut_at_any_byte_gives_every_record_before_the_cut_and_goes_on(tmp_path: Path) -> None:
    whole = filled(tmp_path, BATCHES).read_bytes()

    async def main() -> None:
        for cut in range(len(whole)):
            clean(tmp_path)
            (tmp_path / "000000000001.seg").write_bytes(whole[:cut])
            points, damaged = await read_anew(tmp_path)
            kept = sum(end <= cut for end in ENDS)
            assert points == ALL[: 3 * kept], cut
            assert damaged == 0, cut
            assert files(tmp_path, "damaged") == [], cut

    asyncio.run(main())


def test_a_torn_tail_is_cut_off_and_what_comes_later_is_read_behind_it(tmp_path: Path) -> None:
    path = filled(tmp_path, BATCHES)
    path.write_bytes(path.read_bytes()[:-5])

    async def main() -> None:
        async with Spool(tmp_path, max_bytes=1 << 30) as spool:
            assert path.stat().st_size == ENDS[-2]
            await spool.append(batch(100))
            assert numbers(await drained(spool)) == [*range(9), 100, 101, 102]

    asyncio.run(main())


def test_a_segment_with_any_byte_changed_loses_at_most_that_record_and_is_set_aside(tmp_path: Path) -> None:
    whole = filled(tmp_path, BATCHES).read_bytes()

    async def main() -> None:
        for at in range(len(whole)):
            clean(tmp_path)
            changed = bytearray(whole)
            changed[at] ^= (0x01, 0x80, 0xFF)[at % 3]
            (tmp_path / "000000000001.seg").write_bytes(changed)
            points, damaged = await read_anew(tmp_path)
            hit = next((i for i, end in enumerate(ENDS) if HEADER_BYTES <= at < end), None)
            assert points == [point for i, some in enumerate(BATCHES) if i != hit for point in some], at
            aside = [path.read_bytes() for path in files(tmp_path, "damaged")]
            # A length that leads past the end of the last record looks like a write that was not finished.
            assert aside == [bytes(changed)] or (not damaged and hit == len(BATCHES) - 1), at
            assert files(tmp_path, "seg") == []

    asyncio.run(main())


def test_the_last_bytes_of_a_larger_segment_cut_or_changed_never_give_a_wrong_point(tmp_path: Path) -> None:
    batches = [batch(number, 20) for number in range(0, 1200, 20)]
    everything = [point for points in batches for point in points]
    by_ts = {point.ts_ns: point for point in everything}
    whole = filled(tmp_path, batches).read_bytes()
    dice = random.Random(1)
    tail = range(len(whole) - 4096, len(whole))

    async def main() -> None:
        for at in dice.sample(tail, 150):
            for changed in (whole[:at], whole[:at] + bytes([whole[at] ^ 1 << dice.randrange(8)]) + whole[at + 1 :]):
                clean(tmp_path)
                (tmp_path / "000000000001.seg").write_bytes(changed)
                points, _ = await read_anew(tmp_path)
                assert len(points) >= len(everything) - 4096 // 10
                assert points == [by_ts[point.ts_ns] for point in points], at
                assert numbers(points) == sorted(set(numbers(points))), at

    asyncio.run(main())


def test_a_record_of_another_place_or_an_older_file_is_none(tmp_path: Path) -> None:
    path = filled(tmp_path, BATCHES)
    whole = path.read_bytes()
    first, second = whole[HEADER_BYTES : ENDS[0]], whole[ENDS[0] : ENDS[1]]
    for changed, file in (
        (whole[:HEADER_BYTES] + second + first + whole[ENDS[1] :], path),  # the disk wrote blocks to the wrong place
        (whole, path.with_name("000000000002.seg")),  # what stood there before
    ):
        clean(tmp_path)
        file.write_bytes(changed)
        points, damaged = asyncio.run(read_anew(tmp_path))
        assert damaged > 0
        assert points == (ALL[6:] if file == path else [])
        assert files(tmp_path, "damaged") != []


def test_zeros_behind_the_last_record_as_after_a_power_cut_are_set_aside(tmp_path: Path) -> None:
    path = filled(tmp_path, BATCHES)
    with path.open("ab") as file:
        file.write(bytes(4096))
    points, damaged = asyncio.run(read_anew(tmp_path))
    assert points == ALL
    assert damaged == 4096


def test_damage_in_an_older_segment_costs_that_record_alone_and_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fill() -> None:
        async with Spool(tmp_path, max_bytes=1 << 30, segment_bytes=300) as spool:
            for points in BATCHES:
                await spool.append(points)

    asyncio.run(fill())
    first, *others = files(tmp_path, "seg")
    assert others
    changed = bytearray(first.read_bytes())
    changed[HEADER_BYTES + RECORD_BYTES + 3] ^= 4
    first.write_bytes(changed)

    async def main() -> None:
        async with Spool(tmp_path, max_bytes=1 << 30) as spool:
            await spool.read()
            await spool.read()
            assert await drained(spool) == ALL[3:]

    asyncio.run(main())
    assert capsys.readouterr().out.count("are damaged") == 1
    assert [path.name for path in files(tmp_path, "damaged")] == [f"{first.stem}.damaged"]
