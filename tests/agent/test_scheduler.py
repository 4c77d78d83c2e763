from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.base import PartialError, Sample
from agent.reporter import Reporter
from agent.scheduler import Scheduler, next_tick
from tests.support.waiting import eventually
from wire.errors import OutboxFull
from wire.outgoing import MemoryOutbox
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Scripted:
    """A collector that gives the next of ``outcomes`` at each call, the last one for ever."""

    def __init__(self, name: str, *outcomes: list[Sample] | Exception, interval_s: float = 1000.0) -> None:
        self.name = name
        self.interval_s = interval_s
        self.ticks: list[float] = []
        self._outcomes = deque(outcomes or [[Sample(name, {"x": 1.0})]])

    def collect(self, now_s: float) -> list[Sample]:
        self.ticks.append(now_s)
        outcome = self._outcomes.popleft() if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Blocking(Scripted):
    """A collector that waits, as on a dead file server, until it is released."""

    def __init__(self, name: str, interval_s: float = 1000.0) -> None:
        super().__init__(name, interval_s=interval_s)
        self.release = threading.Event()
        self.at_once = 0
        self.most_at_once = 0

    def collect(self, now_s: float) -> list[Sample]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.release.wait(60)
        self.at_once -= 1
        return super().collect(now_s)


class Bench:
    """A scheduler on its outbox; ``sent`` are the decoded messages by last topic level."""

    def __init__(
        self,
        *collectors: Scripted,
        outbox: MemoryOutbox | None = None,
        stalled_s: float = 30.0,
        second_run_s: float = 1000.0,
    ) -> None:
        self.outbox = outbox or MemoryOutbox()
        self.reporter = Reporter(self.outbox, Topics(), "n1", lambda: 1_763_750_000_000)
        self.scheduler = Scheduler(collectors, self.reporter, stalled_s=stalled_s, second_run_s=second_run_s)

    def sent(self, name: str) -> list[Any]:
        entries = [entry for entry in self.outbox._entries.values() if entry.topic.endswith("/" + name)]
        return [json.loads(entry.payload) for entry in entries]

    def logs(self) -> list[str]:
        return [record["message"] for record in self.sent("log")]


def running(bench: Callable[[], Bench], test: Callable[[Bench], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            built = bench()
            task = asyncio.create_task(built.scheduler.run())
            try:
                await test(built)
            finally:
                task.cancel()

    asyncio.run(limited())


# -- ticks ------------------------------------------------------------------------------------------------------------


@given(st.floats(0, 1e6), st.floats(1, 86_400), st.floats(0, 1e7))
def test_the_next_tick_is_the_first_on_the_grid_after_now(started: float, interval: float, later: float) -> None:
    now = started + later
    tick = next_tick(started, interval, now)
    assert now < tick <= now + interval * (1 + 1e-6)
    assert (tick - started) / interval == pytest.approx(round((tick - started) / interval), abs=1e-3)


def test_missed_ticks_are_skipped_and_not_made_up_for() -> None:
    assert next_tick(0.0, 10.0, 9.9) == 10.0
    assert next_tick(0.0, 10.0, 57.0) == 60.0


def test_collectors_run_at_once_and_then_at_their_pace() -> None:
    async def test(bench: Bench) -> None:
        await eventually(lambda: len(bench.sent("fast")) >= 3)
        assert len(bench.sent("slow")) == 1

    running(lambda: Bench(Scripted("fast", interval_s=0.02), Scripted("slow")), test)


def test_the_second_run_comes_soon_and_the_third_is_on_the_grid_again() -> None:
    collector = Scripted("a", interval_s=3)

    async def test(bench: Bench) -> None:
        await eventually(lambda: len(bench.sent("a")) >= 3)
        start, second, third = collector.ticks[:3]
        assert 0.02 <= second - start < 2.9
        assert 2.9 < third - start < 5.9

    running(lambda: Bench(collector, second_run_s=0.02), test)


def test_an_interval_of_the_settings_wins_over_the_collectors_own() -> None:
    async def test() -> None:
        reporter = Reporter(MemoryOutbox(), Topics(), "n1")
        scheduler = Scheduler([Scripted("a"), Scripted("b")], reporter, {"a": 5.0})
        assert scheduler.intervals_s == {"a": 5.0, "b": 1000.0}

    asyncio.run(test())


def test_a_new_interval_works_at_once() -> None:
    async def test(bench: Bench) -> None:
        await eventually(lambda: bench.sent("a"))
        assert bench.scheduler.set_interval("a", 0.02) == 1000.0
        await eventually(lambda: len(bench.sent("a")) >= 3)

    running(lambda: Bench(Scripted("a")), test)


def test_a_request_runs_a_collector_now_and_says_what_it_gave() -> None:
    async def test(bench: Bench) -> None:
        await eventually(lambda: bench.sent("a"))
        outcome = await bench.scheduler.collect("a")
        assert outcome.samples == 1
        assert len(bench.sent("a")) == 2

    running(lambda: Bench(Scripted("a")), test)


def test_requests_made_during_a_run_share_the_next_one() -> None:
    blocking = Blocking("a")

    async def test(bench: Bench) -> None:
        requests = [asyncio.create_task(bench.scheduler.collect("a")) for _ in range(5)]
        await eventually(lambda: blocking.at_once)
        blocking.release.set()
        await asyncio.gather(*requests)
        assert len(blocking.ticks) <= 2
        assert blocking.most_at_once == 1

    running(lambda: Bench(blocking), test)


# -- a full outbox ----------------------------------------------------------------------------------------------------


class Full(MemoryOutbox):
    """Takes nothing while ``full``."""

    def append(
        self, topic: str, encode: Callable[[int], bytes], count: int = 1, *, tells: tuple[int, int] | None = None
    ) -> int:
        if self.full:
            self.dropped += 1
            raise OutboxFull("the outbox is full")
        return super().append(topic, encode, count, tells=tells)


def test_while_the_outbox_is_full_nothing_is_sampled_and_that_is_said_once_on_each_side(
    caplog: pytest.LogCaptureFixture,
) -> None:
    collector = Scripted("a", interval_s=0.02)
    outbox = Full()

    async def test(bench: Bench) -> None:
        await eventually(lambda: len(collector.ticks) >= 2)
        outbox.full = True
        await eventually(lambda: bench.reporter.skipped >= 5)
        runs = len(collector.ticks)
        await eventually(lambda: bench.reporter.skipped >= 10)
        assert len(collector.ticks) == runs
        assert (await bench.scheduler.collect("a")).problem is not None
        assert bench.logs() == []
        outbox.full = False
        await eventually(lambda: len(collector.ticks) >= runs + 3)
        (said,) = bench.logs()
        assert f"{bench.reporter.skipped} runs were skipped, {outbox.dropped} messages not kept" in said

    running(lambda: Bench(collector, outbox=outbox), test)
    assert caplog.text.count("sampling pauses until there is room") == 1


# -- failures ---------------------------------------------------------------------------------------------------------


def test_a_collector_that_fails_is_told_once_and_the_others_go_on() -> None:
    async def test(bench: Bench) -> None:
        await eventually(lambda: len(bench.sent("good")) >= 5)
        assert bench.logs() == ["collector bad fails: OSError: [Errno 5] broken"]
        assert bench.scheduler.failing == {"bad": "OSError: [Errno 5] broken"}

    running(
        lambda: Bench(Scripted("bad", OSError(5, "broken"), interval_s=0.02), Scripted("good", interval_s=0.02)), test
    )


def test_a_collector_that_works_again_is_told_and_the_next_failure_too() -> None:
    async def test(bench: Bench) -> None:
        await eventually(lambda: len(bench.logs()) >= 3)
        assert bench.logs()[:3] == [
            "collector a fails: ValueError: first",
            "collector a works again",
            "collector a fails: ValueError: second",
        ]

    good = [Sample("a", {"x": 1.0})]
    running(
        lambda: Bench(
            Scripted("a", ValueError("first"), ValueError("first"), good, ValueError("second"), interval_s=0.02)
        ),
        test,
    )


def test_what_could_be_read_is_published_beside_what_could_not() -> None:
    async def test(bench: Bench) -> None:
        await eventually(lambda: bench.sent("disk"))
        assert bench.logs() == ["collector disk fails: /nfs: Stale file handle"]

    partial = PartialError([Sample("disk", {"x": 1.0})], "/nfs: Stale file handle")
    running(lambda: Bench(Scripted("disk", partial)), test)


def test_a_collector_that_hangs_is_told_and_holds_up_nobody() -> None:
    hanging = Blocking("hanging", interval_s=0.02)

    async def test(bench: Bench) -> None:
        await eventually(bench.logs)
        assert bench.logs() == ["collector hanging fails: no answer for 0.05 s; it goes on when one comes"]
        ticks = len(bench.sent("good"))
        await eventually(lambda: len(bench.sent("good")) >= ticks + 5)
        assert hanging.most_at_once == 1
        hanging.release.set()
        await eventually(lambda: "collector hanging works again" in bench.logs())

    running(lambda: Bench(hanging, Scripted("good", interval_s=0.02), stalled_s=0.05), test)
