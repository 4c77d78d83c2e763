"""``logs``: the end of a log that the settings name, and what is added to it, by ``tail`` and ``journalctl``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from agent.commands.base import Answer, FailedError, Host, RefusedError, Request, own_schema
from agent.programs import Ended, Program, run

if TYPE_CHECKING:
    from agent.config_commands import CommandSettings


class LogsArgs(msgspec.Struct, forbid_unknown_fields=True):
    """Which log, how much of it, and whether to go on."""

    source: str
    lines: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 100
    #: Send what is added too, until the time limit or ``cancel``.
    follow: bool = False


async def logs(host: Host, request: Request, args: LogsArgs) -> Answer:
    """Send the last lines of a log as output and, with ``follow``, those that come."""
    sources = host.settings.logs
    if args.source not in sources:
        known = ", ".join(sorted(sources)) or "none; agent.commands.logs in the settings names them"
        raise RefusedError(f"no log {args.source!r} here; there are {known}")
    ended, most = Ended(), host.settings.max_output_bytes
    program = Program(argv=_argv(sources[args.source], args))
    try:
        await run(program, request.output, ended, max_bytes=most, stop_when_full=args.follow)
    finally:
        request.facts.update(ended.facts())
    if ended.error or (ended.code != 0 and not (args.follow and ended.dropped_bytes)):
        raise FailedError(ended.error or f"{program.argv[0]} ended with {ended.code}", code=ended.code)
    return Answer()


def schema(model: type[LogsArgs], settings: CommandSettings) -> dict[str, Any]:
    """With the sources of this node."""
    made = own_schema(model, settings)
    made["properties"] = {**made["properties"], "source": {"enum": sorted(settings.logs)}}
    return made


def _argv(source: str, args: LogsArgs) -> tuple[str, ...]:
    lines = str(args.lines)
    if source.startswith("/"):
        # -F: by name, so that a log that is rotated is followed.
        return ("tail", "-n", lines, *(["-F"] if args.follow else []), "--", source)
    _, _, unit = source.partition(":")
    argv = ["journalctl", "--no-pager", "--quiet", "--output=short-iso", f"--lines={lines}"]
    argv += ["--follow"] if args.follow else []
    return (*argv, f"--unit={unit}") if unit else tuple(argv)
