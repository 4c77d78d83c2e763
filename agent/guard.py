"""Runs one program and ends with it whatever it started: a process of its own between the agent and the program.

    agent ──▶ guard ──▶ program ──▶ children, also those in sessions of their own or whose parents have gone
                │ child subreaper: orphans below it become its children, so that it sees all and nobody slips away
                └ SIGTERM (or the agent's death): SIGTERM to all, then SIGKILL after the grace

A process group would not do: one call of ``setsid`` leaves it. Standard library only, started with ``python -I -S`` for
its size. How the program ended goes to a pipe as one JSON object: ``code``, ``signal`` or ``error``, and ``left`` when
some could not be ended (programs that changed their user, such as ``sudo``, take no signals from an agent without
rights). Without Linux there is no subreaper: then the process group is all that is ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_WAKING: Final = (signal.SIGTERM, signal.SIGCHLD)
#: After SIGKILL: how long until those that are left are given up.
_LAST_S: Final = 3.0
_STEP_S: Final = 0.05


def main() -> None:
    """Run what ``argv[1]`` says, JSON: ``argv user folder variables grace_s report parent``."""
    wanted: dict[str, Any] = json.loads(sys.argv[1])
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAKING)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != wanted["parent"]:  # it died before it could tell
        return
    try:
        program = _start(wanted)
    except (OSError, KeyError, ValueError, subprocess.SubprocessError) as error:
        _report(wanted, {"error": f"{error}"})
        return
    status = _watch(program.pid)
    ended, left = _end_all(program.pid, status, wanted["grace_s"])
    outcome: dict[str, int] = {}
    if ended is not None:
        code = os.waitstatus_to_exitcode(ended)
        outcome = {"code": code} if code >= 0 else {"signal": -code}
    _report(wanted, {**outcome, "left": left} if left else outcome)


def _start(wanted: dict[str, Any]) -> subprocess.Popen[bytes]:
    who: dict[str, Any] = {}
    if wanted["user"] is not None:
        import pwd  # noqa: PLC0415  not on Windows

        account = pwd.getpwnam(wanted["user"])
        who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return subprocess.Popen(
        wanted["argv"],
        cwd=wanted["folder"],
        env=wanted["variables"],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, ()),  # noqa: PLW1509  no threads here
        **who,
    )


def _watch(pid: int) -> int | None:
    """Wait for the program's end: its status; None when told to end it."""
    while True:
        if signal.sigwait(_WAKING) == signal.SIGTERM:
            return None
        status = _reap(pid)
        if status is not None:
            return status


def _end_all(pid: int, status: int | None, grace_s: float) -> tuple[int | None, int]:
    """End all that is left; the program's status and how many could not be ended."""
    if not Path("/proc/self/stat").exists():  # nobody to ask who is below us
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        return (os.waitpid(pid, 0)[1] if status is None else status), 0
    left: list[int] = []
    for number, limit_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _LAST_S)):
        deadline_s = time.monotonic() + limit_s
        told: set[int] = set()
        while (left := _descendants()) and time.monotonic() < deadline_s:
            for each in left:
                # SIGTERM once each; SIGKILL again and again, because new ones may be born meanwhile.
                if number == signal.SIGKILL or each not in told:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(each, number)
                    told.add(each)
            signal.sigtimedwait((signal.SIGCHLD,), _STEP_S)
            reaped = _reap(pid)
            status = reaped if status is None else status
    reaped = _reap(pid)
    return (reaped if status is None else status), len(left)


def _reap(pid: int) -> int | None:
    """Collect all children that have ended, our own and the adopted; the status of ``pid`` where it is among them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if ended == 0:
                break
            if ended == pid:
                found = status
    return found


def _descendants() -> list[int]:
    """All processes below this one that still run."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        state, parent = text[text.rindex(")") + 2 :].split()[:2]
        if state not in "ZX":  # who has ended has no children any more: they are ours now
            children.setdefault(int(parent), []).append(int(entry.parent.name))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError):  # not Linux
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _report(wanted: dict[str, Any], outcome: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the agent has gone
        os.write(wanted["report"], json.dumps(outcome).encode())


if __name__ == "__main__":
    main()
