"""The durable ledger: what was settled is there after any end of the process, and always adds up."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.ledger import Counts, HourRow, Ledger, Settled, Watermark, tables
from hub.ledger.ledger import RETENTION_NS
from hub.ledger.model import HOUR_NS, Sequenced
from hub.statefile import StateFull
from tests.support.sequence import Node
from tests.support.smalldisk import small_disk
from wire.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

T0 = 487_000 * HOUR_NS

FATES = st.sampled_from(["stored", "duplicate", "handled", Reason.NOT_JSON, Reason.TOO_OLD])
SEQUENCED = st.none() | st.integers(1, 9) | st.sampled_from(["s1", "s2"]) | st.just((2, 4))
MESSAGES = st.lists(st.tuples(st.sampled_from("abc"), FATES, SEQUENCED), max_size=12)
#: Groups with their hour; between two of them the hub may end and start again.
HISTORIES = st.lists(st.tuples(st.integers(0, 2), MESSAGES, st.booleans()), max_size=8)


def settled(messages: Iterable[tuple[str, str | Reason, Sequenced | None]], arrival_ns: int = T0) -> Settled:
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("received", "stored", "duplicate", "handled")}
    refused: Counter[tuple[str, Reason]] = Counter()
    sequences: list[tuple[str, Sequenced]] = []
    for node, fate, what in messages:
        counts["received"][node] += 1
        if isinstance(fate, Reason):
            refused[node, fate] += 1
        else:
            counts[fate][node] += 1
        if what is not None:
            sequences.append((node, what))
    return Settled(
        arrival_ns=arrival_ns, **counts, refused=refused, values_refused=Counter(refused), sequences=sequences
    )


def stored(node: str, *numbers: Sequenced, arrival_ns: int = T0) -> Settled:
    return settled([(node, "stored", number) for number in numbers], arrival_ns)


async def once(path: Path, *groups: Settled) -> None:
    async with Ledger(path) as ledger:
        for group in groups:
            await ledger.settle(group)


def summed(rows: Iterable[Counts]) -> Counter[str]:
    total: Counter[str] = Counter()
    for row in rows:
        for name in ("received", "stored", "duplicate", "handled", "missing", "late", "dropped_by_node", "repeats"):
            total[name] += getattr(row, name)
        for reason, n in row.refused.items():
            total[reason] += n
        for reason, n in row.values_refused.items():
            total["value " + reason] += n
    return total


@settings(max_examples=50)
@given(HISTORIES, st.integers(0, 400))
def test_the_sums_always_balance_whatever_is_settled_and_however_often_the_hub_starts(
    history: list[tuple[int, list[tuple[str, str | Reason, Sequenced | None]], bool]], journal_bytes: int
) -> None:
    async def main(path: Path) -> None:
        oracles = {node: Node(remembered=8) for node in "abc"}
        expected: Counter[str] = Counter()
        ledger = Ledger(path, journal_bytes=journal_bytes)
        await ledger.__aenter__()
        for hour, messages, again in history:
            if again:
                await ledger.__aexit__(None, None, None)
                ledger = Ledger(path, journal_bytes=journal_bytes)
                await ledger.__aenter__()
            await ledger.settle(settled(messages, T0 + hour * HOUR_NS))
            for node, fate, what in messages:
                expected["received"] += 1
                expected[fate] += 1
                if isinstance(fate, Reason):
                    expected["value " + fate] += 1
                if what is not None:
                    oracles[node].take(what, hour)
        by_node, by_hour = ledger.rows(), await ledger.hours()
        for name, shown in (("missing", "missing"), ("late", "late"), ("dropped", "dropped_by_node")):
            expected[shown] = sum(oracle.total(name) for oracle in oracles.values())
        expected["repeats"] = sum(oracle.total("repeats") for oracle in oracles.values())
        for rows in (by_node, by_hour, [ledger.totals()]):
            assert +summed(rows) == +expected
            assert [row.unaccounted for row in rows] == [0] * len(rows)
        await ledger.__aexit__(None, None, None)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder) / "ledger.db"))


def test_rows_sessions_hours_and_watermarks_are_the_same_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "ledger.db"
        groups = [stored("n", "s", 1, 2, 5, 4), stored("n", 6, (9, 10), arrival_ns=T0 + HOUR_NS), stored("m", 7)]
        async with Ledger(path) as ledger:
            for group in groups:
                await ledger.settle(group)
            before = (ledger.rows(), ledger.sessions("n"), ledger.watermark("n"), await ledger.hours(), ledger.totals())
        async with Ledger(path) as ledger:
            after = (ledger.rows(), ledger.sessions("n"), ledger.watermark("n"), await ledger.hours(), ledger.totals())
        assert after == before
        assert before[2] == Watermark("s", 2)

    asyncio.run(main())


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


def test_hours_are_paged_newest_first_and_chosen_by_node_and_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with Ledger(tmp_path / "ledger.db") as ledger:
            for hour in range(3):
                await ledger.settle(
                    settled([("a", "stored", None), ("b", "stored", None)], T0 + hour * HOUR_NS + HOUR_NS // 2)
                )
            first = await ledger.hours(limit=4)
            rest = await ledger.hours(limit=4, before=(first[-1].start_ns // HOUR_NS, first[-1].node))
            assert [place(row) for row in first + rest] == [(2, "b"), (2, "a"), (1, "b"), (1, "a"), (0, "b"), (0, "a")]
            assert [place(row) for row in await ledger.hours("a")] == [(2, "a"), (1, "a"), (0, "a")]
            some = await ledger.hours("a", since_ns=T0 + HOUR_NS + 1, until_ns=T0 + 2 * HOUR_NS)
            assert [place(row) for row in some] == [(1, "a")]

    def place(row: HourRow) -> tuple[int, str]:
        return (row.start_ns - T0) // HOUR_NS, row.node

    asyncio.run(main())


def test_rows_are_in_order_of_the_nodes_and_may_be_paged(tmp_path: Path) -> None:
    async def main() -> None:
        async with Ledger(tmp_path / "ledger.db") as ledger:
            await ledger.settle(settled([(node, "stored", None) for node in ("d", "a", "c", "b", "")]))
            assert [row.node for row in ledger.rows()] == ["", "a", "b", "c", "d"]
            assert ledger.count() == 5
            assert [row.node for row in ledger.rows(limit=1)] == [""]
            assert [row.node for row in ledger.rows(after="a", limit=2)] == ["b", "c"]
            assert [row.node for row in ledger.rows("c")] == ["c"]
            assert ledger.rows("e") == []
            assert ledger.watermark("a") is None

    asyncio.run(main())


def test_hours_are_kept_for_ninety_days_and_totals_for_ever(tmp_path: Path) -> None:
    async def main() -> None:
        async with Ledger(tmp_path / "ledger.db") as ledger:
            await ledger.settle(settled([("n", Reason.NOT_JSON, 1), ("n", "stored", 3)], T0))
            await ledger.settle(stored("n", 4, arrival_ns=T0 + HOUR_NS))
            assert await ledger.maintain(T0 + RETENTION_NS + HOUR_NS) == 1
            # A number that was missed in an hour that is no more.
            await ledger.settle(stored("n", 2, arrival_ns=T0 + 2 * HOUR_NS))
            rows = await ledger.hours()
            assert [(row.received, row.missing, row.refused) for row in rows] == [(1, 0, {}), (1, 0, {})]
            [total] = ledger.rows()
            assert (total.received, total.missing, total.late, total.refused) == (4, 0, 1, {"not-json": 1})

    asyncio.run(main())


def test_groups_settled_at_the_same_time_all_count(tmp_path: Path) -> None:
    async def main() -> None:
        async with Ledger(tmp_path / "ledger.db") as ledger:
            async with asyncio.TaskGroup() as tasks:
                for number in range(1, 51):
                    tasks.create_task(ledger.settle(stored("n", number)))
            [row] = ledger.rows()
            assert (row.received, row.missing, row.repeats) == (50, 0, 0)
            assert ledger.watermark("n") == Watermark(None, 50)

    asyncio.run(main())


def test_a_node_that_claims_impossible_numbers_breaks_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "ledger.db"
        async with Ledger(path, sessions_per_node=2) as ledger:
            for session in range(1500):
                await ledger.settle(stored("n", str(session), 2**53))
            await ledger.settle(stored("n", "ok", 1))
            assert len(await ledger.hours()) == 1
        async with Ledger(path) as ledger:
            assert ledger.watermark("n") == Watermark("ok", 1)
            assert ledger.rows()[0].unaccounted == 0

    asyncio.run(main())
