"""The ledger when processes are killed, disks are full and files damaged."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hub.ledger import Ledger, Settled, Watermark, tables
from hub.statefile import StateFull
from tests.support.settled import settled, stored, summed
from tests.support.smalldisk import small_disk

if TYPE_CHECKING:
    from pathlib import Path


async def once(path: Path, *groups: Settled) -> None:
    async with Ledger(path) as ledger:
        for group in groups:
            await ledger.settle(group)


_SETTLER = """
import asyncio, sys
from collections import Counter
from pathlib import Path
from hub.ledger import Ledger, Settled
async def main():
    async with Ledger(Path(sys.argv[1]), journal_bytes=2000) as ledger:
        await ledger.settle(Settled(0, *(Counter() for _ in range(6)), [("n", "s")]))
        for group in range(1_000_000):
            one = Counter({"n": 10, "m": 1})
            numbers = [("n", group * 10 + i + 1) for i in range(10)]
            await ledger.settle(Settled(0, one, Counter(one), *(Counter() for _ in range(4)), numbers))
            print(group + 1, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("groups", [1, 7, 150])
def test_settled_groups_outlive_kill_9(tmp_path: Path, groups: int) -> None:
    path = tmp_path / "ledger.db"
    process = subprocess.Popen([sys.executable, "-c", _SETTLER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = 0
    while said < groups:
        said = int(process.stdout.readline())
    process.kill()
    said = int(([str(said), *process.stdout.read().split()])[-1])
    process.wait()
    process.stdout.close()

    async def main() -> None:
        async with Ledger(path) as ledger:
            [m, n] = ledger.rows()
            assert n.received in {said * 10, said * 10 + 10}  # one more may be durable that nobody was told of
            assert m.received * 10 == n.received
            assert (n.unaccounted, n.missing, n.repeats) == (0, 0, 0)
            assert ledger.watermark("n") == Watermark("s", n.received)
            assert summed(await ledger.hours()) == summed([m, n])

    asyncio.run(main())


def test_a_full_disk_counts_nothing_and_the_same_group_counts_once_when_there_is_space(tmp_path: Path) -> None:
    async def main(path: Path) -> None:
        async with Ledger(path, journal_bytes=1000) as ledger:
            await ledger.settle(stored("n", "s", 1))
            await disk.fill(ledger._file)
            big = settled([(f"node-{i}", "stored", None) for i in range(100_000)])
            with pytest.raises(StateFull):
                await ledger.settle(big)
            assert [row.node for row in ledger.rows()] == ["n"]
            assert len(await ledger.hours()) <= 1  # reading goes on
            await disk.free(ledger._file)
            await ledger.settle(stored("n", 2))
            await ledger.settle(stored("n", 4))
            assert ledger.watermark("n") == Watermark("s", 2)
        async with Ledger(path) as ledger:
            [row] = ledger.rows()
            assert (row.received, row.missing, row.unaccounted) == (4, 1, 0)
            assert summed(await ledger.hours()) == summed([row])

    with small_disk(tmp_path) as disk:
        asyncio.run(main(disk.path / "ledger.db"))


def test_a_group_that_a_failed_attempt_left_in_the_journal_counts_once(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "ledger.db"
        async with Ledger(path) as ledger:
            await ledger.settle(stored("n", "s", 1))
            group = stored("n", 2)
            entry = ledger._books.prepare(group)
            # The disk reported an error although it had written the row.
            await ledger._file.run(lambda connection: tables.journal(connection, ledger._next_id, entry))
            await ledger.settle(group)
        async with Ledger(path) as ledger:
            assert [row.received for row in ledger.rows()] == [3]

    asyncio.run(main())


def test_a_damaged_file_found_at_the_start_begins_a_new_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    asyncio.run(once(path, stored("n", 1)))
    path.write_bytes(b"not a database" * 1000)
    asyncio.run(once(path, stored("n", 1)))

    async def main() -> None:
        async with Ledger(path) as ledger:
            assert [row.received for row in ledger.rows()] == [1]

    asyncio.run(main())
    assert len(list(tmp_path.glob("ledger.db.damaged-*"))) == 1


def test_contents_that_no_ledger_wrote_are_damage_too(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"

    async def main() -> None:
        async with Ledger(path) as ledger:
            await ledger.settle(stored("n", 1))
            await ledger._file.run(lambda connection: connection.execute("UPDATE journal SET entry = x'93'").close())
        async with Ledger(path) as ledger:
            assert ledger.rows() == []

    asyncio.run(main())
    assert len(list(tmp_path.glob("ledger.db.damaged-*"))) == 1


def test_damage_found_while_running_keeps_the_totals_and_the_sequence_numbers(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"

    async def main() -> None:
        async with Ledger(path) as ledger:
            await ledger.settle(stored("m", 1))
            await ledger.hours()  # nothing is left to be written for m
            await ledger.settle(stored("n", "s", 1, 3))
            ledger._file._close()
            ledger._file._move_aside(AssertionError("damage"))  # type: ignore[arg-type]  # any reason will do
            await ledger.settle(stored("n", 4))
            before = ledger.rows()
        async with Ledger(path) as ledger:
            assert ledger.rows() == before
            assert [(row.node, row.received, row.missing) for row in before] == [("m", 1, 0), ("n", 4, 1)]
            assert ledger.watermark("n") == Watermark("s", 1)

    asyncio.run(main())
