"""``services`` and ``service-restart``: systemd's services, by ``systemctl`` and never through a shell."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Final

import msgspec

from agent.commands.base import Answer, FailedError, Host, Request
from agent.programs import Ended, Program, run

_SUFFIX: Final = ".service"
_NAME: Final = "^[A-Za-z0-9@_][A-Za-z0-9@_.:-]{0,199}$"
_COLUMNS: Final = 5
_MOST: Final = 500
_LIST_BYTES: Final = 1 << 20
_ERROR_CHARACTERS: Final = 500


class ServicesArgs(msgspec.Struct, forbid_unknown_fields=True):
    """Which services to list."""

    #: A shell glob over names without ``.service``.
    name: str = "*"


class ServiceRestartArgs(msgspec.Struct, forbid_unknown_fields=True):
    """Which service to restart."""

    #: Its name, with or without ``.service``. The pattern lets no option and no path through.
    service: Annotated[str, msgspec.Meta(pattern=_NAME)]

    def __post_init__(self) -> None:
        if "\n" in self.service:  # which $ lets through at the end
            raise ValueError("a name has no line ends")
        self.service = self.service.removesuffix(_SUFFIX)


async def services(_host: Host, _request: Request, args: ServicesArgs) -> Answer:
    """What systemd knows of its services."""
    text = await _systemctl("list-units", "--type=service", "--all", "--plain", "--no-legend", "--no-pager", "--full")
    found = []
    for line in text.splitlines():
        unit, load, active, sub, *description = line.split(None, _COLUMNS - 1)
        name = unit.removesuffix(_SUFFIX)
        if fnmatchcase(name, args.name):
            found.append(
                {"name": name, "load": load, "active": active, "sub": sub, "description": "".join(description)}
            )
    shown = found[:_MOST]
    return Answer({"services": shown, **({"left_out": len(found) - _MOST} if len(found) > _MOST else {})})


async def service_restart(_host: Host, _request: Request, args: ServiceRestartArgs) -> Answer:
    """Restart one service and say what became of it."""
    await _systemctl("restart", "--", args.service + _SUFFIX)
    state = await _systemctl("show", "--property=ActiveState,SubState", "--", args.service + _SUFFIX)
    told = dict(line.split("=", 1) for line in state.splitlines() if "=" in line)
    return Answer(
        {"service": args.service, "active": told.get("ActiveState", ""), "sub": told.get("SubState", "")}, code=0
    )


async def _systemctl(*words: str) -> str:
    """Standard output of one call.

    Raises:
        FailedError: it ended with anything but 0; the text is what it said.
    """
    said: dict[str, list[str]] = {"stdout": [], "stderr": []}

    async def keep(stream: str, text: str) -> None:
        said[stream].append(text)

    ended = Ended()
    await run(Program(argv=("systemctl", *words)), keep, ended, max_bytes=_LIST_BYTES)
    if ended.error or ended.code != 0:
        why = ended.error or "".join(said["stderr"]).strip()[:_ERROR_CHARACTERS]
        raise FailedError(f"systemctl {words[0]}: {why or f'ended with {ended.code}'}", code=ended.code)
    return "".join(said["stdout"])
