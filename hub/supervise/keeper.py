"""Ends the children of an ``iothub up`` that was killed: nothing is left behind, not even after ``kill -9``.

    iothub up ──pipe──▶ keeper            every process that up starts carries IOTHUB_UP={run} in its environment
        ┊ starts a child ──"pid"──▶       remember it (a broker that gave up root hides its environment in containers)
        ┊ dies                            the pipe closes: end what is known or marked, SIGTERM, after a limit SIGKILL
        ┊ stops in order ──"quit"──▶      nothing to do: exit

Why not ``PR_SET_PDEATHSIG``: it exists on Linux only, needs code between fork and exec, reaches direct children only,
and sends one signal, so that a child that hangs while it stops is left over. The mark is inherited by all descendants
and is there from exec on; a keeper in a session of its own outlives whatever ended its parent.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

#: Name of the environment variable that marks the processes of one run.
MARK: Final = "IOTHUB_UP"
_QUIT: Final = b"quit\n"
_TERM_LIMIT_S: Final = 20.0
#: A process just forked carries the mark from its exec on; looking again finds it.
_LOOK_AGAIN_S: Final = 0.2


class Keeper:
    """The keeper process of one run; a context manager around everything that starts children."""

    def __init__(self, mark: str, log: Path) -> None:
        self._mark = mark
        self._log = log

    def __enter__(self) -> Self:
        environment = {key: value for key, value in os.environ.items() if key != MARK}
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hub.supervise.keeper", self._mark],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        return self

    def watch(self, pid: int) -> None:
        """A child was started."""
        if self._process.stdin is not None:
            # A keeper that is gone is no reason to stop: an ordered stop still ends the children.
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(b"%d\n" % pid)
                self._process.stdin.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(_QUIT, timeout=_TERM_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def end_all(
    wanted: Callable[[str], bool],
    known: Sequence[psutil.Process] = (),
    *,
    limit_s: float = _TERM_LIMIT_S,
    looks: int = 2,
) -> list[str]:
    """End the ``known`` processes and those whose mark is ``wanted``; returns what was ended.

    SIGTERM, then SIGKILL after ``limit_s``; returns when none was found ``looks`` times in a row.
    """
    ended: dict[int, str] = {}
    deadline = time.monotonic() + limit_s
    quiet = 0
    while True:
        found = [*_marked(wanted), *(process for process in known if process.is_running())]
        late = time.monotonic() > deadline
        signalled = [process for process in found if _signal(process, ended, late=late)]
        quiet = 0 if signalled else quiet + 1
        if quiet == looks:
            return list(ended.values())
        time.sleep(_LOOK_AGAIN_S)


def main() -> int:
    """Wait until the pipe on standard input closes, then end what carries the mark in ``argv[1]``."""
    mark = sys.argv[1]
    known: list[psutil.Process] = []
    for line in sys.stdin.buffer:
        if line == _QUIT:
            return 0
        with contextlib.suppress(psutil.NoSuchProcess):
            known.append(psutil.Process(int(line)))
    ended = end_all(lambda value: value == mark, known)
    if ended:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        sys.stderr.write(f"{now} warning: iothub up was killed; ended what it had started: {', '.join(ended)}\n")
    return 0


def _signal(process: psutil.Process, ended: dict[int, str], *, late: bool) -> bool:
    """Send what is due; whether the process still lived."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if late:
            process.kill()
        elif process.pid not in ended:
            process.terminate()
        ended.setdefault(process.pid, f"{process.name()} (pid {process.pid})")
    except psutil.NoSuchProcess:
        return False
    return True


def _marked(wanted: Callable[[str], bool]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(MARK)
        except (psutil.Error, OSError):
            # Ended just now, or another user's: none of ours.
            continue
        if mark is not None and wanted(mark) and process.pid != os.getpid():
            found.append(process)
    return found


if __name__ == "__main__":
    sys.exit(main())
