"""The pipeline: nothing is acknowledged before it is durable, whatever fails, and every message is counted once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from hub.nodes.database import RegistryError
from hub.statefile import StateUnavailable
from hub.store.base import StoreBroken, StoreUnavailable
from tests.support.hotpath import status, telemetry, timed
from tests.support.links import run
from tests.support.pipelines import Bench
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon, so that several attempts fit into a test."""
    monkeypatch.setattr("hub.pipeline._RETRY_FIRST_S", 0.005)
    monkeypatch.setattr("hub.pipeline._RETRY_LAST_S", 0.02)


# -- durable first ----------------------------------------------------------------------------------------------------


def test_a_group_is_acknowledged_when_all_of_it_is_durable_and_not_before(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            batch = bench.link.deliver(telemetry({"a": 1}), telemetry(b"junk"), status("online"))
            await bench.done(1)
            assert bench.events == ["observe", "store", "rejects", "ledger", "acknowledge"]
            assert bench.link.acknowledged == [batch]
            assert [t.change for t in bench.rig.registry.transitions] == ["new", "online"]
            assert bench.counted() == {"received": 3, "stored": 1, "handled": 1, "refused": {"not-json": 1}}

    run(test)


@pytest.mark.parametrize(
    ("part", "error"),
    [
        ("store", StoreUnavailable("no room")),
        ("rejects", StateUnavailable("no room")),
        ("registry", RegistryError("no room")),
        ("ledger", StateUnavailable("no room")),
    ],
)
def test_what_fails_is_tried_again_and_nothing_is_acknowledged_meanwhile(
    tmp_path: Path, part: str, error: Exception
) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.fail(part, *[error] * 1000)
            bench.link.deliver(telemetry({"a": 1}), telemetry(b"junk"), status("online"))
            with capture_logs() as logs:
                await eventually(lambda: bench.pipeline.trouble == "no room")
                bench.link.deliver(telemetry({"a": 2}))
                await asyncio.sleep(0.05)
                assert bench.link.acknowledged == []
                bench.mend()
                await bench.done(2)
            assert [(e["log_level"], e.get("why", e.get("after"))) for e in logs] == [
                ("error", "no room"), ("info", "no room"),
            ]  # fmt: skip
            assert bench.pipeline.trouble == ""
            assert bench.events.count("store") == 2
            assert bench.counted() == {"received": 4, "stored": 2, "handled": 1, "refused": {"not-json": 1}}
            assert [t.change for t in bench.rig.registry.transitions] == ["new", "online"]
            assert bench.rejects.stats().kept == 1

    run(test)


def test_the_same_points_are_written_again_after_a_failure(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.fail("store", StoreUnavailable("a"), StoreUnavailable("b"))
            bench.link.deliver(telemetry({"a": 1}), telemetry({"a": 2}))
            await bench.done(1)
            assert len(bench.store.tried) == 3
            assert bench.store.tried[0] == bench.store.tried[1] == bench.store.tried[2]

    run(test)


def test_a_store_that_says_when_to_come_back_is_asked_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.pipeline._RETRY_FIRST_S", 1000.0)

    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.fail("store", StoreUnavailable("busy", retry_after_s=0.01))
            bench.link.deliver(telemetry({"a": 1}))
            await bench.done(1)

    run(test)


def test_a_broken_store_ends_the_run_and_what_it_had_stays_with_the_broker(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.fail("store", StoreBroken("the file is damaged"))
            bench.link.deliver(telemetry({"a": 1}))
            await asyncio.wait({bench.task}, timeout=60)
            with pytest.raises(ExceptionGroup) as caught:
                bench.task.result()
            assert caught.group_contains(StoreBroken, match="damaged")
            assert bench.link.acknowledged == []
            assert bench.counted() == {}

    run(test)


# -- groups -----------------------------------------------------------------------------------------------------------


def test_what_arrives_during_a_write_becomes_one_group_and_two_groups_never_overlap(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.store.gate.clear()
            first = bench.link.deliver(timed(ago_ms=1))
            await eventually(lambda: bench.store.tried)
            others = [bench.link.deliver(timed(ago_ms=i)) for i in range(2, 30)]
            await asyncio.sleep(0.05)
            assert len(bench.store.tried) == 1
            bench.store.gate.set()
            await bench.done(29)
            assert [len(points) for points in bench.store.tried] == [1, 28]
            assert bench.link.acknowledged == [first, *others]
            assert bench.events[:29] == ["observe"] * 29, "at once, also while the store takes its time"
            assert bench.events[29:] == ["store", "ledger", "acknowledge", "store", "ledger"] + ["acknowledge"] * len(
                others
            )

    run(test)


def test_few_messages_wait_for_others_a_while(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path, linger_s=0.5) as bench:
            bench.link.deliver(telemetry({"a": 1}))
            await asyncio.sleep(0.02)
            bench.link.deliver(telemetry({"a": 2}))
            await bench.done(2)
            assert len(bench.store.tried) == 1

    run(test)


def test_many_messages_wait_for_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path, linger_s=1000, batch_messages=3) as bench:
            bench.link.deliver(telemetry({"a": 1}))
            await asyncio.sleep(0.02)
            assert bench.store.tried == []
            bench.link.deliver(telemetry({"a": 2}), telemetry({"a": 3}))
            await bench.done(2)

    run(test)


def test_without_points_the_store_is_not_bothered(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.link.deliver(telemetry(b"junk"))
            await bench.done(1)
            bench.link.deliver(status("online"))
            await bench.done(2)
            assert bench.store.tried == []

    run(test)


def test_whoever_else_writes_to_the_store_is_waited_for(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            async with bench.writing:
                bench.link.deliver(telemetry({"a": 1}))
                await eventually(lambda: bench.observed)
                await asyncio.sleep(0.02)
                assert bench.store.tried == []
            await bench.done(1)

    run(test)


def test_observers_see_the_accepted_points_and_followers_what_became_of_them(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.link.deliver(timed(1), telemetry(b"junk"), timed(1), timed(2, ago_ms=1))
            await bench.done(1)
            await eventually(lambda: bench.followed)
            assert [[p.fields for p in points] for points in bench.observed] == [[{"a": 1.0}, {"a": 1.0}, {"a": 2.0}]]
            ((group, duplicates, lost),) = bench.followed
            assert (len(group.data), len(group.rejects), duplicates, lost) == (3, 1, {1}, set())

    run(test)


# -- stopping ---------------------------------------------------------------------------------------------------------


def test_stopping_stores_and_acknowledges_what_was_taken_and_what_waits(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.store.gate.clear()
            batches = [bench.link.deliver(timed(ago_ms=1))]
            await eventually(lambda: bench.store.tried)
            batches.append(bench.link.deliver(timed(ago_ms=2)))
            await asyncio.sleep(0)
            batches += [bench.link.deliver(timed(ago_ms=i)) for i in range(3, 6)]
            bench.pipeline.stop()
            assert bench.link.stopped
            batches.append(bench.link.deliver(timed(ago_ms=7)))  # read before, handed over after
            bench.store.gate.set()
            await asyncio.wait_for(bench.task, 60)
            assert bench.link.acknowledged == batches
            assert bench.counted() == {"received": 6, "stored": 6}

    run(test)


def test_what_the_link_still_holds_when_all_stops_is_stored_too(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            await asyncio.sleep(0.01)  # reader and writer wait by now
            bench.pipeline.stop()
            batch = bench.link.deliver(telemetry({"a": 1}))
            await asyncio.wait_for(bench.task, 60)
            assert bench.link.acknowledged == [batch]

    run(test)


def test_stopping_waits_for_no_lingering(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path, linger_s=1000) as bench:
            bench.link.deliver(telemetry({"a": 1}))
            await asyncio.sleep(0.02)
            await bench.stop()
            assert len(bench.link.acknowledged) == 1

    run(test)


def test_with_nothing_taken_stopping_is_immediate(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            await bench.stop()
            assert bench.events == []

    run(test)
