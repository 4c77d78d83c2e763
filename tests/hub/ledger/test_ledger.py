"""The durable ledger: what was settled is there after any end of the process, and always adds up."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.ledger import HourRow, Ledger, Watermark
from hub.ledger.ledger import RETENTION_NS
from hub.ledger.model import HOUR_NS, Sequenced
from tests.support.sequence import Node
from tests.support.settled import T0, settled, stored, summed
from wire.errors import Reason

FATES = st.sampled_from(["stored", "duplicate", "handled", Reason.NOT_JSON, Reason.TOO_OLD])
SEQUENCED = st.none() | st.integers(1, 9) | st.sampled_from(["s1", "s2"]) | st.just((2, 4))
MESSAGES = st.lists(st.tuples(st.sampled_from("abc"), FATES, SEQUENCED), max_size=12)
#: Groups with their hour; between two of them the hub may end and start again.
HISTORIES = st.lists(st.tuples(st.integers(0, 2), MESSAGES, st.booleans()), max_size=8)


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
