"""When collectors run: one task each, on a grid of ticks from the start, so that a tick that was missed is skipped.

Rates need two readings, so a second run comes soon after the first one; then it is the grid alone. While the outbox is
full and must not drop anything, nothing runs.

         tick or request            thread
Job ─────────────────────▶ collect(now) ─────▶ samples ─▶ Reporter
 ▲ one task a collector         │
 └── interval, request          └─ raised: said once until it works again; the others go on
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.collectors.base import Collector, PartialError, Sample
from agent.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agent.reporter import Reporter

_LOG: Final = logging.getLogger(__name__)
#: A collector that takes longer is reported; it may still finish.
_STALLED_S: Final = 30.0
_SECOND_RUN_S: Final = 1.0
_FULL: Final = "the outbox is full; nothing is sampled until there is room"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of a collector gave."""

    samples: int
    problem: str | None = None


@dataclass(slots=True, eq=False)
class _Job:
    """One collector with its pace."""

    collector: Collector
    interval_s: float
    #: Set to end the wait for the next tick.
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    #: Those who wait for a run that starts after they asked.
    requests: list[asyncio.Future[Outcome]] = field(default_factory=list)
    #: Why it fails; None when it works.
    problem: str | None = None


class Scheduler:
    """Runs collectors.

    Args:
        intervals_s: by name; a collector that is not named keeps its own interval.
        clock_s: monotonic.
        stalled_s: a collector that takes longer is reported.
        second_run_s: from the first run of a collector to the second, at most.
    """

    def __init__(
        self,
        collectors: Iterable[Collector],
        reporter: Reporter,
        intervals_s: Mapping[str, float] | None = None,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        stalled_s: float = _STALLED_S,
        second_run_s: float = _SECOND_RUN_S,
    ) -> None:
        paces = intervals_s or {}
        self._jobs = {each.name: _Job(each, paces.get(each.name, each.interval_s)) for each in collectors}
        self._reporter = reporter
        self._clock_s = clock_s
        self._stalled_s = stalled_s
        self._second_run_s = second_run_s

    @property
    def intervals_s(self) -> dict[str, float]:
        """Collectors and their intervals now."""
        return {name: job.interval_s for name, job in self._jobs.items()}

    @property
    def failing(self) -> dict[str, str]:
        """Collectors that do not work now, and why."""
        return {name: job.problem for name, job in self._jobs.items() if job.problem is not None}

    async def run(self) -> None:
        """Run all collectors for ever."""
        async with asyncio.TaskGroup() as tasks:
            for name, job in self._jobs.items():
                tasks.create_task(self._keep_pace(job), name=f"collector {name}")

    async def collect(self, name: str) -> Outcome:
        """Run one collector now, beside its ticks.

        Raises:
            KeyError: no such collector.
        """
        request: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        job = self._jobs[name]
        job.requests.append(request)
        job.wake.set()
        return await request

    def set_interval(self, name: str, interval_s: float) -> float:
        """Change the pace of a collector from now on; the interval before.

        Raises:
            KeyError: no such collector.
        """
        job = self._jobs[name]
        before, job.interval_s = job.interval_s, interval_s
        job.wake.set()
        return before

    async def _keep_pace(self, job: _Job) -> None:
        started_s = due_s = self._clock_s()
        interval_s = job.interval_s
        second_s = started_s + self._second_run_s
        due = True
        while True:
            if due or job.requests:
                # Taken first: who asks during a run gets the next one.
                requests, job.requests = job.requests, []
                outcome = await self._run_once(job)
                for request in requests:
                    if not request.done():
                        request.set_result(outcome)
            now_s = self._clock_s()
            if job.interval_s != interval_s:
                started_s = due_s = now_s
                interval_s = job.interval_s
            # After a tick, past that one: timers may fire a little early.
            due_s = next_tick(started_s, interval_s, max(now_s, due_s) if due else now_s)
            if now_s < second_s:
                due_s = min(due_s, second_s)
            due = await self._wait(job, due_s - now_s)

    async def _wait(self, job: _Job, delay_s: float) -> bool:
        """Wait for the next tick; whether it came (else there is a request or a new interval)."""
        if job.requests:
            return False
        try:
            async with asyncio.timeout(delay_s):
                await job.wake.wait()
        except TimeoutError:
            return True
        job.wake.clear()
        return False

    async def _run_once(self, job: _Job) -> Outcome:
        if not self._reporter.takes_samples():
            return Outcome(0, _FULL)
        ts_ms, now_s = self._reporter.clock_ms(), self._clock_s()
        collector = job.collector
        running = in_thread(f"collect-{collector.name}", lambda: collector.collect(now_s))
        await asyncio.wait({running}, timeout=self._stalled_s)
        if not running.done():
            self._failed(job, f"no answer for {self._stalled_s:g} s; it goes on when one comes")
        try:
            samples = await running
        except PartialError as error:
            self._failed(job, str(error))
            return self._publish(error.samples, ts_ms, str(error))
        except Exception as error:  # noqa: BLE001  supervisor: one fails, the rest go on
            problem = f"{type(error).__name__}: {error}"
            if job.problem is None:
                _LOG.warning("collector %s raised", collector.name, exc_info=error)
            self._failed(job, problem)
            return Outcome(0, problem)
        self._works(job)
        return self._publish(samples, ts_ms, None)

    def _publish(self, samples: list[Sample], ts_ms: int, problem: str | None) -> Outcome:
        self._reporter.samples(samples, ts_ms)
        return Outcome(len(samples), problem)

    def _failed(self, job: _Job, problem: str) -> None:
        if job.problem is None:
            name = job.collector.name
            self._reporter.log("error", f"collector {name} fails: {problem}", collector=name)
        job.problem = problem

    def _works(self, job: _Job) -> None:
        if job.problem is not None:
            job.problem = None
            name = job.collector.name
            self._reporter.log("info", f"collector {name} works again", collector=name)


def next_tick(started_s: float, interval_s: float, now_s: float) -> float:
    """The first tick after ``now_s`` on the grid ``started_s + n × interval_s``."""
    count = math.floor((now_s - started_s) / interval_s) + 1
    tick_s = started_s + count * interval_s
    return tick_s if tick_s > now_s else tick_s + interval_s  # rounding
