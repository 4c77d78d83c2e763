"""``shell``: command lines that this node's settings name, with arguments that match their patterns; never others.

Without ``script`` no shell sees them: each ``{x}`` becomes part of exactly one argument of the program. With it, the
text of the settings is run by ``/bin/sh`` and arguments are its variables (``"$x"``), so that they are never read as
text of the script.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import msgspec

from agent.commands.base import Answer, FailedError, Host, RefusedError, Request, convert
from agent.config_commands import PLACEHOLDER
from agent.programs import Ended, Program, run

if TYPE_CHECKING:
    from agent.config_commands import CommandSettings, ShellSettings


class ShellArgs(msgspec.Struct, forbid_unknown_fields=True):
    """Which command line, and its arguments, beside ``name`` in the request."""

    name: str
    args: dict[str, str] = {}


async def shell(host: Host, request: Request, args: ShellArgs) -> Answer:
    """Run a named command line; its exit code is the command's, and anything but 0 is a failure."""
    named = host.settings.shell.get(args.name)
    if named is None:
        known = ", ".join(sorted(host.settings.shell)) or "none; agent.commands.shell in the settings names them"
        raise RefusedError(f"no command line {args.name!r} here; there are {known}")
    program, ended = _program(named, args.args), Ended()
    try:
        await run(program, request.output, ended, max_bytes=host.settings.max_output_bytes)
    finally:
        request.facts.update(ended.facts())
    if ended.error:
        raise FailedError(f"{program.argv[0]} could not be started: {ended.error}")
    if ended.code is None:
        raise FailedError(f"ended by signal {ended.signal}" if ended.signal else "ended without a word")
    if ended.code != 0:
        raise FailedError(f"ended with {ended.code}", code=ended.code)
    return Answer(code=0)


def read(args: dict[str, Any], model: type[ShellArgs]) -> ShellArgs:
    """``{"name": "df", "path": "/"}``: all beside the name are the command line's own."""
    rest = {key: _text(key, value) for key, value in args.items() if key != "name"}
    return convert({"name": args["name"], "args": rest} if "name" in args else {"args": rest}, model)


def shown(args: ShellArgs) -> dict[str, Any]:
    """As they were given."""
    return {**args.args, "name": args.name}


def schema(_model: type[ShellArgs], settings: CommandSettings) -> dict[str, Any]:
    """One alternative a command line."""
    return {"oneOf": [_schema(name, named) for name, named in sorted(settings.shell.items())]}


def as_root(settings: CommandSettings) -> list[str]:
    """Command lines that would run as root, because nobody said as whom."""
    if os.name != "posix" or os.geteuid() != 0:
        return []
    return sorted(name for name, named in settings.shell.items() if named.user is None)


def _schema(name: str, named: ShellSettings) -> dict[str, Any]:
    patterns = {key: {"type": "string", "pattern": f"^(?:{pattern})$"} for key, pattern in named.args.items()}
    return {
        "type": "object",
        "properties": {"name": {"const": name}, **patterns},
        "required": ["name", *patterns],
        "additionalProperties": False,
    }


def _text(key: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise RefusedError(f"arguments: {key} must be text or a number")


def _program(named: ShellSettings, given: dict[str, str]) -> Program:
    if unknown := given.keys() - named.args.keys():
        raise RefusedError(f"arguments: no {', '.join(sorted(unknown))} here; {_wanted(named)}")
    if missing := named.args.keys() - given.keys():
        raise RefusedError(f"arguments: {', '.join(sorted(missing))} missing; {_wanted(named)}")
    for key, value in given.items():
        if "\0" in value or re.fullmatch(named.args[key], value) is None:
            raise RefusedError(f"arguments: {key} = {value[:80]!r} does not match {named.args[key]!r}")
    if named.user is not None and os.geteuid() != 0:
        raise FailedError(f"it runs as {named.user!r}, and only an agent that runs as root can change to that")
    if named.script:
        return Program(argv=("/bin/sh", "-c", named.run[0]), user=named.user, folder=named.folder, variables=given)
    argv = tuple(_filled(part, given) for part in named.run)
    return Program(argv=argv, user=named.user, folder=named.folder)


def _filled(part: str, given: dict[str, str]) -> str:
    filled = PLACEHOLDER.sub(lambda match: given[match[1]], part)
    if filled.startswith("-") and not part.startswith("-"):
        raise RefusedError(f"arguments: {filled[:80]!r} would be read as an option")
    return filled


def _wanted(named: ShellSettings) -> str:
    return f"it takes {', '.join(sorted(named.args))}" if named.args else "it takes none"
