"""A store behind a spool: where batches go while it is away, slow or broken, and how the backlog comes back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hub.store.base import StoreBroken, StoreUnavailable
from tests.support.spools import SpooledRig as Rig
from tests.support.spools import away, batch, running
from tests.support.stores import samples

if TYPE_CHECKING:
    from pathlib import Path


def test_while_the_store_answers_nothing_touches_the_disk(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        result = await rig.spooled.write(batch(0))
        assert result.accepted == 9
        assert rig.spool.is_empty
        assert rig.store.written == [[0, 1, 2]]

    running(tmp_path, body)
    assert list(tmp_path.iterdir()) == []


def test_what_the_store_refuses_for_good_is_in_the_result_of_a_direct_write(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        rig.store.bad = {1}
        (refused,) = (await rig.spooled.write(batch(0))).rejected
        assert (refused.index, refused.reason) == (1, "bad point")
        assert rig.rejects.kept == []

    running(tmp_path, body)


def test_a_batch_the_store_cannot_take_is_durable_in_the_spool_and_stored_once_it_answers(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        rig.store.error = away()
        for start in range(0, 30, 3):
            assert (await rig.spooled.write(batch(start))).accepted == 9
        assert rig.spooled.trouble == "connection refused"
        assert rig.spooled.since_ns > 0
        assert rig.spooled.spool_stats().size_bytes > 0
        rig.store.error = None
        await rig.empty()
        assert rig.store.all_written() == list(range(30))
        assert rig.spooled.trouble == ""

    running(tmp_path, body)


def test_a_dead_store_is_asked_by_the_replay_alone_and_ever_more_rarely(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        rig.store.error = away()
        await rig.spooled.write(batch(0))
        for start in range(3, 300, 3):
            await rig.spooled.write(batch(start))
        assert rig.store.attempts < 20

    running(tmp_path, body)


def test_the_store_says_when_it_wants_to_be_asked_again(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        rig.store.error = StoreUnavailable("busy", retry_after_s=3600)
        await rig.spooled.write(batch(0))
        await rig.spooled.write(batch(3))
        await asyncio.sleep(0.1)  # time in which it must not be asked
        assert rig.store.attempts == 1

    running(tmp_path, body)


def test_a_store_that_does_not_answer_in_time_holds_one_batch_and_nobody_up(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        rig.store.gate.clear()
        for start in range(0, 30, 3):
            await rig.spooled.write(batch(start))
        assert "no answer" in rig.spooled.trouble
        assert rig.store.attempts == 1
        rig.store.gate.set()
        await rig.empty()
        assert sorted(set(rig.store.all_written())) == list(range(30))
        assert len((await samples(rig.spooled))["n"]) == 30

    running(tmp_path, body, patience_s=0.05)


def test_a_store_that_is_always_slow_gets_everything_through_the_spool(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        async def slowly() -> None:
            while True:
                rig.store.gate.clear()
                await asyncio.sleep(0.05)
                rig.store.gate.set()
                await asyncio.sleep(0)

        slow = asyncio.create_task(slowly())
        for start in range(0, 30, 3):
            await rig.spooled.write(batch(start))
        await rig.empty()
        slow.cancel()
        assert sorted(set(rig.store.all_written())) == list(range(30))

    running(tmp_path, body, patience_s=0.01)


def test_a_broken_store_loses_nothing_either(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        rig.store.error = StoreBroken("wrong credentials")
        await rig.spooled.write(batch(0))
        assert rig.spooled.trouble == "wrong credentials"
        assert not rig.spool.is_empty

    running(tmp_path, body)

    async def later(rig: Rig) -> None:
        await rig.empty()
        assert rig.store.all_written() == [0, 1, 2]

    running(tmp_path, later)


def test_a_full_spool_raises_and_says_both_why_and_goes_on_by_itself(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        rig.store.error = away()
        taken = 0

        async def fill() -> None:
            nonlocal taken
            while True:
                await rig.spooled.write(batch(taken))
                taken += 3

        with pytest.raises(StoreUnavailable, match=r"is full .*\(influx: connection refused\)"):
            await fill()
        rig.store.error = None
        await rig.empty()
        await rig.spooled.write(batch(taken))
        assert rig.store.all_written() == list(range(taken + 3))

    running(tmp_path, body, max_bytes=8000)


def test_a_store_that_is_broken_at_the_start_stops_the_start(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.store.closed_for = StoreBroken("wrong credentials")

    async def main() -> None:
        async with rig.spooled:
            pass

    with pytest.raises(StoreBroken, match="wrong credentials"):
        asyncio.run(main())


def test_closing_does_not_wait_for_a_store_that_hangs(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        rig.store.gate.clear()
        await rig.spooled.write(batch(0))

    rig = running(tmp_path, body, patience_s=0.01)
    assert rig.store.left == 1

    async def later(rig: Rig) -> None:
        await rig.empty()
        assert rig.store.all_written() == [0, 1, 2]

    running(tmp_path, later)
