"""The spool's process killed -9, its disk full or failing: what was taken is there once, what was refused is not."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from hub.store.base import StoreUnavailable
from hub.store.spool import Spool
from hub.store.spooled import SpooledStore
from tests.support.smalldisk import Tmpfs, small_disk
from tests.support.spool_writer import spooled
from tests.support.spools import ScriptedStore, away, batch, drained, files, numbers
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def killed_after(folder: Path, first: int, seconds: float) -> int:
    """Run the writer, kill it; the number of the last batch that it said was taken."""
    argv = [sys.executable, "-m", "tests.support.spool_writer", str(folder), str(first)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        taken = [process.stdout.readline()]
        time.sleep(seconds)  # somewhere: no event tells where it hurts most
        process.kill()
        taken += process.stdout.readlines()
    whole = [line for line in taken if line.startswith("spooled ") and line.endswith("\n")]
    assert whole, "it ended by itself"
    return int(whole[-1].split()[1])


def test_a_killed_process_loses_nothing_that_it_took_and_repeats_little(tmp_path: Path) -> None:
    dice = random.Random(1)
    first = 0
    for _ in range(6):
        first = killed_after(tmp_path, first, dice.uniform(0.02, 0.3)) + 3

    async def finish() -> None:
        store, spool = spooled(tmp_path, is_moody=False)
        async with store:
            await eventually(lambda: spool.is_empty)

    asyncio.run(finish())
    stored = [int(line) for line in (tmp_path / "stored").read_text().split()]
    # The batch that was being written when the process died may be there too; the next run writes it again.
    assert set(stored) >= set(range(first))
    assert max(stored) < first + 3


def test_a_full_disk_loses_nothing_and_the_spool_goes_on_by_itself(tmp_path: Path) -> None:
    with small_disk(tmp_path, "256k") as disk:
        if not isinstance(disk, Tmpfs):
            pytest.skip("a file system of its own cannot be mounted here")

        async def main() -> None:
            taken: list[int] = []
            async with Spool(disk.path / "spool", max_bytes=1 << 30, segment_bytes=20_000) as spool:

                async def take() -> None:
                    await spool.append(batch(len(taken), 50))
                    taken.extend(range(len(taken), len(taken) + 50))

                async def take_all() -> None:
                    while True:
                        await take()

                for _ in range(5):
                    await disk.fill()
                    with pytest.raises(StoreUnavailable, match="no space left for the spool"):
                        await take_all()
                    await disk.free()
                    await take()
            async with Spool(disk.path / "spool", max_bytes=1 << 30) as spool:
                assert numbers(await drained(spool)) == taken
                assert spool.stats().damaged_bytes == 0

        asyncio.run(main())


def test_replay_makes_room_on_a_full_disk_though_it_cannot_save_its_position(tmp_path: Path) -> None:
    with small_disk(tmp_path, "256k") as disk:
        if not isinstance(disk, Tmpfs):
            pytest.skip("a file system of its own cannot be mounted here")

        async def main() -> None:
            async with Spool(disk.path / "spool", max_bytes=1 << 30, segment_bytes=5000) as spool:
                for number in range(0, 1000, 50):
                    await spool.append(batch(number, 50))
                await disk.fill()
                assert numbers(await drained(spool)) == list(range(1000))
                await spool.append(batch(0, 50))

        asyncio.run(main())


def failing(call: Callable[..., object], code: int, times: int) -> Callable[..., object]:
    left = [times]

    def fail(*arguments: object) -> object:
        if left[0] > 0:
            left[0] -= 1
            raise OSError(code, os.strerror(code))
        return call(*arguments)

    return fail


@pytest.mark.parametrize("call", ["pwrite", "fdatasync", "fsync", "ftruncate"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_call_of_the_system_that_fails_leaves_no_part_of_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, after: int
) -> None:
    refused = 0

    async def main() -> None:
        nonlocal refused
        async with Spool(tmp_path, max_bytes=1 << 20) as spool:
            expected: list[int] = []
            for number in range(after):
                await spool.append(batch(number * 3))
                expected += range(number * 3, number * 3 + 3)
            with monkeypatch.context() as broken:
                broken.setattr(os, call, failing(getattr(os, call), code, 1))
                if call == "ftruncate":
                    broken.setattr(os, "fdatasync", failing(os.fdatasync, code, 1))
                try:
                    await spool.append(batch(100))
                    expected += [100, 101, 102]
                except StoreUnavailable:
                    refused += 1
            await spool.append(batch(200))
            assert numbers(await drained(spool)) == [*expected, 200, 201, 202]

    asyncio.run(main())
    assert refused == (0 if call == "fsync" and after else 1)


def test_a_record_that_was_refused_and_could_not_be_cut_off_is_at_most_repeated_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill() -> None:
        async with Spool(tmp_path, max_bytes=1 << 20) as spool:
            await spool.append(batch(0))
            with monkeypatch.context() as broken:
                for call in ("fdatasync", "ftruncate"):
                    broken.setattr(os, call, failing(getattr(os, call), errno.EIO, 1))
                with pytest.raises(StoreUnavailable):
                    await spool.append(batch(3))
            await spool.append(batch(3))  # the pipeline writes it again

    async def read() -> list[int]:
        async with Spool(tmp_path, max_bytes=1 << 20) as spool:
            return numbers(await drained(spool))

    asyncio.run(fill())
    assert asyncio.run(read()) == [0, 1, 2, 3, 4, 5, 3, 4, 5]


def test_a_disk_that_cannot_be_read_is_not_taken_for_damage_unless_the_disk_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with Spool(tmp_path, max_bytes=1 << 20) as spool:
            await spool.append(batch(0))
            with monkeypatch.context() as broken:
                broken.setattr(os, "pread", failing(os.pread, errno.ENOMEM, 1))
                with pytest.raises(StoreUnavailable):
                    await spool.read()
            assert numbers(await drained(spool)) == [0, 1, 2]
            await spool.append(batch(3))
            await spool.append(batch(6))
            monkeypatch.setattr(os, "pread", failing(os.pread, errno.EIO, 1))
            await drained(spool)
            assert files(tmp_path, "damaged")

    asyncio.run(main())


def test_a_disk_full_while_the_store_is_away_lets_it_go_on_when_either_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        store = ScriptedStore()
        spool = Spool(tmp_path / "spool", max_bytes=1 << 20)

        async def keep(_: object) -> None:
            raise AssertionError

        async with SpooledStore(store, spool, name="influx", on_refused=keep, retry_s=0.01) as front:
            store.error = away()
            with pytest.MonkeyPatch.context() as full:
                full.setattr(os, "pwrite", failing(os.pwrite, errno.ENOSPC, 10**6))
                for _ in range(3):
                    with pytest.raises(StoreUnavailable, match=r"no space left .*influx: connection refused"):
                        await front.write(batch(0))
                assert spool.is_empty
                store.error = None
                await eventually(lambda: not front.trouble)
                await front.write(batch(0))
            assert store.all_written() == [0, 1, 2]

    asyncio.run(main())
