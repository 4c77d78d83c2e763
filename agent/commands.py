"""The table of commands that operators may send to this node. A new one is one function here (or a file) and one line.

A handler gets the arguments and returns the ``result`` of the final reply. It checks arguments before it does anything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from agent.config import LONGEST_INTERVAL_S, SHORTEST_INTERVAL_S
from wire.settings import parse_duration
from wire.version import __version__

if TYPE_CHECKING:
    from agent.scheduler import Scheduler

S = TypeVar("S", bound=msgspec.Struct)


class RefusedError(Exception):
    """Not done, and nothing was changed: wrong arguments, or not allowed. The text is for the operator."""


class FailedError(Exception):
    """Tried, and it did not work. The text is for the operator."""


@dataclass(frozen=True, slots=True)
class Host:
    """What commands may act on."""

    scheduler: Scheduler
    #: Monotonic, when the agent started.
    started_s: float


@dataclass(frozen=True, slots=True)
class Request:
    """One command that is being run."""

    args: dict[str, Any]
    #: Sends ``(stream, data)`` as a reply of state ``output``.
    output: Callable[[str, str], Awaitable[None]]


#: Raises RefusedError and FailedError; anything else is a bug and answered as ``failed``.
Handler = Callable[[Host, Request], Awaitable[dict[str, Any]]]


class _NoArgs(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _CollectArgs(msgspec.Struct, forbid_unknown_fields=True):
    #: Names, or one text with commas; all when left out.
    collectors: list[str] | str | None = None


class _IntervalArgs(msgspec.Struct, forbid_unknown_fields=True):
    collector: str
    #: A number, or text such as ``30s``.
    seconds: float | str


async def ping(host: Host, request: Request) -> dict[str, Any]:
    """Answer at once."""
    _read(request, _NoArgs)
    return {
        "ts": time.time_ns() // 1_000_000,
        "version": __version__,
        "uptime_s": round(time.monotonic() - host.started_s, 3),
    }


async def collect(host: Host, request: Request) -> dict[str, Any]:
    """Run collectors now and publish what they give; how many samples each gave."""
    wanted = _read(request, _CollectArgs).collectors
    if isinstance(wanted, str):
        wanted = [name.strip() for name in wanted.split(",")]
    names = list(dict.fromkeys(wanted)) if wanted is not None else list(host.scheduler.intervals_s)
    for name in names:
        _check_collector(host, name)
    outcomes = dict(zip(names, await asyncio.gather(*(host.scheduler.collect(name) for name in names)), strict=True))
    problems = {name: outcome.problem for name, outcome in outcomes.items() if outcome.problem is not None}
    if problems and not any(outcome.samples for outcome in outcomes.values()):
        raise FailedError("; ".join(f"{name}: {problem}" for name, problem in problems.items()))
    result: dict[str, Any] = {"samples": {name: outcome.samples for name, outcome in outcomes.items()}}
    return {**result, "problems": problems} if problems else result


async def interval(host: Host, request: Request) -> dict[str, Any]:
    """Change how often a collector runs, until the agent ends."""
    args = _read(request, _IntervalArgs)
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
    return {"collector": args.collector, "seconds": seconds, "previous_seconds": before_s}


COMMANDS: Final[Mapping[str, Handler]] = {
    "collect": collect,
    "interval": interval,
    "ping": ping,
}


def _read(request: Request, shape: type[S]) -> S:
    try:
        return msgspec.convert(request.args, shape)
    except msgspec.ValidationError as error:
        raise RefusedError(f"arguments: {error}") from error


def _check_collector(host: Host, name: str) -> None:
    if name not in host.scheduler.intervals_s:
        raise RefusedError(
            f"no collector {name!r} runs here; there are {', '.join(sorted(host.scheduler.intervals_s))}"
        )
