"""The backlog of a store behind a spool: its order, what is refused at replay, and who is told."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from hub.statefaults import StateFull
from hub.store import spooled as spooled_module
from tests.support.spools import SpooledRig as Rig
from tests.support.spools import away, batch, running
from tests.support.stores import ALL, samples
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hub.store.base import Store, WriteResult
    from wire.point import Point


def test_live_batches_overtake_the_backlog_which_keeps_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooled_module, "_REPLAY_POINTS", 1)

    async def body(rig: Rig) -> None:
        rig.store.error = away()
        for start in range(0, 60, 3):
            await rig.spooled.write(batch(start))
        rig.store.error = None
        while rig.spooled.trouble:  # noqa: ASYNC110  nothing tells it but the state itself
            await asyncio.sleep(0)  # no later than the first answer
        await rig.spooled.write(batch(1000))
        await rig.empty()
        written = rig.store.all_written()
        assert [number for number in written if number < 1000] == list(range(60))
        assert written.index(1000) < len(written) - 3, "live did not wait for the end of the backlog"

    running(tmp_path, body)


def test_a_backlog_keeps_the_store_busy_for_half_of_the_time_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooled_module, "_REPLAY_POINTS", 1)

    async def body(rig: Rig) -> None:
        rig.store.error = away()
        for start in range(0, 24, 3):
            await rig.spooled.write(batch(start))
        rig.store.error = None
        spans: list[tuple[float, float]] = []
        write = rig.store.write

        async def slow(points: Sequence[Point]) -> WriteResult:
            began = time.perf_counter()
            await asyncio.sleep(0.03)
            result = await write(points)
            spans.append((began, time.perf_counter()))
            return result

        monkeypatch.setattr(rig.store, "write", slow)
        await rig.empty()
        busy = [ended - began for began, ended in spans]
        rests = [later[0] - earlier[1] for earlier, later in pairwise(spans)]
        assert len(spans) >= 7
        assert all(rest >= 0.9 * took for rest, took in zip(rests, busy, strict=False))

    running(tmp_path, body)


def test_points_refused_at_replay_go_to_the_callback_with_the_reason_of_the_server(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        rig.store.error = away()
        for start in range(0, 12, 3):
            await rig.spooled.write(batch(start))
        rig.store.bad = {4, 8}
        rig.store.error = None
        await rig.empty()
        assert rig.rejects.kept == [(4, "bad point"), (8, "bad point")]
        assert len((await samples(rig.spooled))["n"]) == 10

    running(tmp_path, body)


def test_what_cannot_be_kept_as_a_reject_yet_is_not_forgotten(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        rig.rejects.failures = [StateFull("no space"), away()]
        rig.store.error = away()
        await rig.spooled.write(batch(0))
        rig.store.bad = {1}
        rig.store.error = None
        await rig.empty()
        assert rig.rejects.kept == [(1, "bad point")]

    running(tmp_path, body)


def test_the_backlog_of_an_earlier_process_is_replayed_without_any_new_batch(tmp_path: Path) -> None:
    async def first(rig: Rig) -> None:
        rig.store.error = away()
        for start in range(0, 30, 3):
            await rig.spooled.write(batch(start))

    async def second(rig: Rig) -> None:
        await rig.empty()
        assert rig.store.all_written() == list(range(30))

    running(tmp_path, first)
    running(tmp_path, second)


def test_who_wants_to_know_what_the_store_holds_is_called_before_its_first_write_and_not_again(tmp_path: Path) -> None:
    told: list[int] = []

    async def tell(store: Store) -> None:
        told.append(len(await store.series(ALL)))
        if len(told) == 1:
            raise away("not yet")

    async def body(rig: Rig) -> None:
        for start in range(0, 9, 3):
            await rig.spooled.write(batch(start))
        await rig.empty()
        assert sorted(rig.store.all_written()) == list(range(9))

    running(tmp_path, body, on_reached=tell)
    assert told == [0, 0]


def test_a_mistake_in_the_replay_is_raised_by_the_next_write(tmp_path: Path) -> None:
    async def body(rig: Rig) -> None:
        rig.rejects.failures = [ZeroDivisionError("a mistake")]
        rig.store.error = away()
        await rig.spooled.write(batch(0))
        rig.store.bad = {1}
        rig.store.error = None
        await eventually(lambda: not rig.rejects.failures)
        await asyncio.sleep(0)
        with pytest.raises(ZeroDivisionError):
            await rig.spooled.write(batch(3))

    running(tmp_path, body)
