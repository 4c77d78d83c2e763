"""Runs a program for a command: output in pieces as it comes, bounded; whatever ends the command ends all it started.

    run() ──▶ guard (agent/guard.py) ──▶ program      cancelled (time limit, ``cancel``, stop): SIGTERM to the guard,
      ▲ pipes: standard output and error, how it ended        which ends everything; the rest of the output is read

The program sees none of the agent's environment, which may hold passwords, and no standard input.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent import guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_LOG: Final = logging.getLogger(__name__)
#: Of one output reply.
_PIECE_BYTES: Final = 16 << 10
_GRACE_S: Final = 2.0
#: For the guard to end everything, past the grace.
_GUARD_S: Final = 6.0
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run."""

    argv: tuple[str, ...]
    #: None: as the agent's own.
    user: str | None = None
    folder: str = "/"
    #: Beside PATH, LANG, HOME and USER.
    variables: Mapping[str, str] | None = None
    grace_s: float = _GRACE_S


@dataclass(slots=True)
class Ended:
    """How a program ended; filled while it runs, so that it is true also when that is cut short."""

    #: None while it runs, and when a signal ended it.
    code: int | None = None
    signal: int | None = None
    #: Why it could not be started.
    error: str = ""
    output_bytes: int = 0
    #: Of the output, past the limit and not passed on.
    dropped_bytes: int = 0
    #: Processes that could not be ended.
    left: int = 0

    def facts(self) -> dict[str, int]:
        """For the result: only what is worth telling."""
        told = {"truncated_bytes": self.dropped_bytes, "processes_left": self.left}
        return {"output_bytes": self.output_bytes, **{name: value for name, value in told.items() if value}}


async def run(
    program: Program,
    output: Callable[[str, str], Awaitable[None]],
    ended: Ended,
    *,
    max_bytes: int,
    stop_when_full: bool = False,
) -> None:
    """Run a program to its end and pass its output on.

    Args:
        program: what to run.
        ended: is filled.
        output: takes ``(stream, text)``; slow when the way out is, and then the program waits too.
        max_bytes: of output; what goes past is read, counted and dropped.
        stop_when_full: end the program there instead.
    """
    report, told = os.pipe()
    try:
        process = await _start(program, told)
    finally:
        os.close(told)
    try:
        reading = asyncio.gather(
            *(
                _pass_on(name, stream, output, ended, max_bytes, process if stop_when_full else None)
                for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
                if stream is not None
            )
        )
        try:
            await asyncio.shield(reading)
            await process.wait()
        except asyncio.CancelledError:
            ending = asyncio.create_task(_wait_for_end(process, reading, program), name="program ends")
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:  # the agent stops meanwhile; this is bounded, too
                await ending
            raise
        finally:
            # Also the pipes that a process which could not be ended still holds open.
            process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001  asyncio has no other way
            reading.cancel()
            _read_report(report, ended)
    finally:
        os.close(report)


async def _start(program: Program, told: int) -> asyncio.subprocess.Process:
    wanted = {
        "argv": program.argv,
        "user": program.user,
        "folder": program.folder,
        "variables": _variables(program),
        "grace_s": program.grace_s,
        "report": told,
        "parent": os.getpid(),
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        str(Path(guard.__file__)),
        json.dumps(wanted),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": _PATH},
        pass_fds=(told,),
        start_new_session=True,  # Ctrl-C in the agent's terminal is the agent's
    )


def _variables(program: Program) -> dict[str, str]:
    home, user = os.environ.get("HOME", "/"), os.environ.get("USER", "")
    if program.user is not None:
        import pwd  # noqa: PLC0415  not on Windows

        with contextlib.suppress(KeyError):  # the guard says that there is no such user
            home, user = pwd.getpwnam(program.user).pw_dir, program.user
    path = os.environ.get("PATH", _PATH)
    return {"PATH": path, "LANG": "C.UTF-8", "HOME": home, "USER": user, **(program.variables or {})}


async def _pass_on(  # noqa: PLR0917  only called above
    name: str,
    stream: asyncio.StreamReader,
    output: Callable[[str, str], Awaitable[None]],
    ended: Ended,
    max_bytes: int,
    stop: asyncio.subprocess.Process | None,
) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while True:
        piece = await stream.read(_PIECE_BYTES)
        room = max(0, max_bytes - ended.output_bytes)
        kept = piece[:room]
        ended.output_bytes += len(kept)
        ended.dropped_bytes += len(piece) - len(kept)
        if text := decoder.decode(kept, final=not piece):
            await output(name, text)
        if not piece:
            return
        if ended.dropped_bytes and stop is not None:
            _end(stop)


async def _wait_for_end(
    process: asyncio.subprocess.Process, reading: asyncio.Future[list[None]], program: Program
) -> None:
    """Tell the guard to end everything, and read what is left until it has."""
    _end(process)
    try:
        async with asyncio.timeout(program.grace_s + _GUARD_S):
            await asyncio.shield(reading)
            await process.wait()
    except TimeoutError:
        if process.returncode is None:
            _LOG.error("%s: its guard does not end and is killed", program.argv[0])


def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)


def _read_report(report: int, ended: Ended) -> None:
    os.set_blocking(report, False)
    with contextlib.suppress(BlockingIOError, ValueError):  # a guard that was killed says nothing
        outcome = json.loads(os.read(report, 65_536) or b"{}")
        ended.code = outcome.get("code")
        ended.signal = outcome.get("signal")
        ended.error = outcome.get("error", "")
        ended.left = outcome.get("left", 0)
