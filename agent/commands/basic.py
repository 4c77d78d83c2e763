"""Commands about the agent itself: ping, info, collect, interval, cancel."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import msgspec

from agent.commands.base import Answer, FailedError, Host, NoArgs, RefusedError, Request
from agent.config import LONGEST_INTERVAL_S, SHORTEST_INTERVAL_S
from wire.settings import parse_duration
from wire.version import __version__


class CollectArgs(msgspec.Struct, forbid_unknown_fields=True):
    """Which collectors to run."""

    #: Names, or one text with commas; all when left out.
    collectors: list[str] | str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.collectors, str):
            self.collectors = [name.strip() for name in self.collectors.split(",")]


class IntervalArgs(msgspec.Struct, forbid_unknown_fields=True):
    """A collector and its new pace."""

    collector: str
    #: A number, or text such as ``30s``.
    seconds: float | str


class CancelArgs(msgspec.Struct, forbid_unknown_fields=True):
    """Which command to end."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


async def ping(host: Host, _request: Request, _args: NoArgs) -> Answer:
    """Answer at once."""
    uptime_s = round(time.monotonic() - host.started_s, 3)
    return Answer({"ts": time.time_ns() // 1_000_000, "version": __version__, "uptime_s": uptime_s})


async def info(host: Host, _request: Request, _args: NoArgs) -> Answer:
    """What this host is, and the commands it takes."""
    return Answer({"version": __version__, **host.info()})


async def collect(host: Host, _request: Request, args: CollectArgs) -> Answer:
    """Run collectors now and publish what they give; how many samples each gave."""
    wanted = args.collectors
    names = list(dict.fromkeys(wanted)) if wanted is not None else list(host.scheduler.intervals_s)
    for name in names:
        _check_collector(host, name)
    outcomes = dict(zip(names, await asyncio.gather(*(host.scheduler.collect(name) for name in names)), strict=True))
    problems = {name: outcome.problem for name, outcome in outcomes.items() if outcome.problem is not None}
    if problems and not any(outcome.samples for outcome in outcomes.values()):
        raise FailedError("; ".join(f"{name}: {problem}" for name, problem in problems.items()))
    samples = {name: outcome.samples for name, outcome in outcomes.items()}
    return Answer({"samples": samples, "problems": problems} if problems else {"samples": samples})


async def interval(host: Host, _request: Request, args: IntervalArgs) -> Answer:
    """Change how often a collector runs, until the agent ends."""
    _check_collector(host, args.collector)
    try:
        seconds = parse_duration(args.seconds)
    except ValueError as error:
        raise RefusedError(f"seconds = {args.seconds!r}: {error}") from error
    if not SHORTEST_INTERVAL_S <= seconds <= LONGEST_INTERVAL_S:  # also refuses NaN
        raise RefusedError(
            f"seconds = {args.seconds!r}: {SHORTEST_INTERVAL_S:g} to {LONGEST_INTERVAL_S:g} seconds are allowed"
        )
    before_s = host.scheduler.set_interval(args.collector, seconds)
    return Answer({"collector": args.collector, "seconds": seconds, "previous_seconds": before_s})


async def cancel(host: Host, request: Request, args: CancelArgs) -> Answer:
    """End a command that runs; it is then answered as failed, and all it started has ended."""
    if args.id == request.id or not host.running.cancel(args.id):
        others = [each for each in host.running.ids if each != request.id]
        running = f"; there run {', '.join(others)}" if others else ""
        raise RefusedError(f"no command with id {args.id!r} runs here{running}")
    return Answer({"id": args.id})


def _check_collector(host: Host, name: str) -> None:
    if name not in host.scheduler.intervals_s:
        raise RefusedError(
            f"no collector {name!r} runs here; there are {', '.join(sorted(host.scheduler.intervals_s))}"
        )
