"""Refused messages once more, with another decoder."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hub.rejects import Reject, RejectState, ReplayOutcome
from tests.support.refused import everything, nothing, opened, reject
from wire.errors import Reason

if TYPE_CHECKING:
    from pathlib import Path


def test_a_replay_gives_the_decoder_what_came_and_marks_what_it_takes(tmp_path: Path) -> None:
    seen: list[Reject] = []

    async def decode_again(message: Reject) -> ReplayOutcome:
        seen.append(message)
        return ReplayOutcome() if message.payload == b"good" else ReplayOutcome(Reason.TOO_OLD, "older than 30 d")

    came = [reject(payload=b"good", arrival_ns=5, retain=True), reject(payload=b"bad"), reject(payload=b"gone")]

    async def main() -> None:
        async with opened(tmp_path, clock_ns=99) as rejects:
            await rejects.keep(came)
            await rejects.drop([3])
            report = await rejects.replay([3, 2, 1, 1, 17], decode_again)
            assert (report.replayed, report.refused, report.gone) == ((1,), (2,), (3, 17))
            assert seen == came[:2]
            [_, bad, good] = await rejects.list()
            assert (good.state, good.changed_ns, good.reason) == (RejectState.REPLAYED, 99, "not-json")
            assert (bad.state, bad.changed_ns, bad.reason, bad.detail) == (
                RejectState.KEPT,
                99,
                "too-old",
                "older than 30 d",
            )

    asyncio.run(main())


def test_what_was_stored_in_part_stays_so_when_a_replay_adds_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as rejects:
            await rejects.keep([reject(partial=True), reject()])
            await rejects.replay([1, 2], nothing)
            assert [each.partial for each in await rejects.list()] == [False, True]

    asyncio.run(main())


def test_a_replay_that_the_store_ends_keeps_what_it_had_done(tmp_path: Path) -> None:
    async def decode_again(message: Reject) -> ReplayOutcome:
        if message.arrival_ns == 20:
            raise ConnectionError("the store went away")
        return ReplayOutcome()

    async def main() -> None:
        async with opened(tmp_path) as rejects:
            await rejects.keep([reject(arrival_ns=i) for i in range(40)])
            with pytest.raises(ConnectionError):
                await rejects.replay(range(1, 41), decode_again)
            assert rejects.stats().replayed == 20
            report = await rejects.replay(range(1, 41), everything)
            assert len(report.replayed) == 40

    asyncio.run(main())


def test_two_replays_never_run_at_the_same_time(tmp_path: Path) -> None:
    async def main() -> None:
        running = 0
        async with opened(tmp_path) as rejects:

            async def decode_again(_: Reject) -> ReplayOutcome:
                nonlocal running
                running += 1
                await rejects.list()  # time enough for another replay to read what it wants to decode
                assert running == 1
                running -= 1
                return ReplayOutcome()

            await rejects.keep([reject() for _ in range(20)])
            async with asyncio.TaskGroup() as tasks:
                for _ in range(3):
                    tasks.create_task(rejects.replay(range(1, 21), decode_again))
            assert rejects.stats().replayed == 20

    asyncio.run(main())


def test_a_reject_that_is_dropped_during_its_replay_stays_dropped(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as rejects:

            async def decode_again(_: Reject) -> ReplayOutcome:
                await rejects.drop([1])
                return ReplayOutcome()

            await rejects.keep([reject()])
            await rejects.replay([1], decode_again)
            stats = rejects.stats()
            assert (stats.kept, stats.replayed, stats.dropped) == (0, 0, 1)

    asyncio.run(main())
