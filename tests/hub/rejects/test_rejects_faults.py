"""The dead-letter store when processes are killed, disks are full and files damaged."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hub.statefile import StateFull
from tests.support.refused import HOSTILE, ids, opened, reject
from tests.support.smalldisk import small_disk

if TYPE_CHECKING:
    from pathlib import Path


def test_a_full_disk_keeps_nothing_of_the_batch_and_all_of_it_when_there_is_space(tmp_path: Path) -> None:
    async def main(folder: Path) -> None:
        batch = [reject(payload=bytes(1000), arrival_ns=i) for i in range(2000)]
        async with opened(folder, max_bytes=1 << 30, max_messages=100_000) as rejects:
            await rejects.keep([reject()])
            before = rejects.stats()
            await disk.fill(rejects._file)
            with pytest.raises(StateFull):
                await rejects.keep(batch)
            assert rejects.stats() == before
            assert ids(await rejects.list()) == [1]
            await disk.free(rejects._file)
            await rejects.keep(batch)
            assert rejects.stats().kept == 2001
            assert [each.arrival_ns for each in await rejects.list(limit=2)] == [1999, 1998]

    with small_disk(tmp_path, "12m") as disk:
        asyncio.run(main(disk.path))


def test_a_damaged_file_is_moved_aside_and_refused_messages_are_kept_again(tmp_path: Path) -> None:
    (tmp_path / "rejects.db").write_bytes(HOSTILE * 100)

    async def main() -> None:
        async with opened(tmp_path) as rejects:
            await rejects.keep([reject()])
            assert ids(await rejects.list()) == [1]

    asyncio.run(main())
    assert len(list(tmp_path.glob("rejects.db.damaged-*"))) == 1


_KEEPER = """
import asyncio, sys
from pathlib import Path
from hub.rejects import Reject, Rejects
from wire.errors import Reason
async def main():
    async with Rejects(Path(sys.argv[1]), max_bytes=1 << 30, max_messages=1_000_000) as rejects:
        for i in range(1_000_000):
            one = Reject("t", bytes(2000), i, Reason.NOT_JSON, "", None, False, False)
            await rejects.keep([one, one, one])
            print(i + 1, flush=True)
asyncio.run(main())
"""


def test_kept_rejects_outlive_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "rejects.db"
    process = subprocess.Popen([sys.executable, "-c", _KEEPER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = 0
    while said < 50:
        said = int(process.stdout.readline())
    process.kill()
    said = int([str(said), *process.stdout.read().split()][-1])
    process.wait()
    process.stdout.close()

    async def main() -> None:
        async with opened(tmp_path, max_bytes=1 << 30, max_messages=1_000_000) as rejects:
            assert rejects.stats().kept in {said * 3, said * 3 + 3}
            last = await rejects.show(said * 3)
            assert last is not None
            assert (last.arrival_ns, last.payload) == (said - 1, bytes(2000))

    asyncio.run(main())
