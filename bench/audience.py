"""Who takes part in ``scripts/bench dashboard`` as a process of its own: the dashboard, and those who look at it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from typing import IO, Final, Self

import psutil

#: Of the session.
COOKIE: Final = "iothub_session"
_READY: Final = "dashboard ready "
#: What came at the start is over.
_PAUSE_S: Final = 3.0


class Dashboard:
    """``python -m dashboard`` before a hub."""

    def __init__(self, api_url: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("IOTHUB_")} | {
            "IOTHUB_DASHBOARD__API_URL": api_url,
            "IOTHUB_DASHBOARD__PORT": "0",
        }
        argv = [sys.executable, "-m", "dashboard"]
        self._process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)
        self.url = line(self._process.stdout).removeprefix(_READY).strip()

    def cpu_s(self) -> float:
        """User and system time so far."""
        used = psutil.Process(self._process.pid).cpu_times()
        return float(used.user + used.system)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)


class _Lookers:
    """A process that holds open Overviews, from when it has said so."""

    def __init__(self, module: str, url: str, token: str, count: int) -> None:
        argv = [sys.executable, "-m", module, url, token, str(count)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line(self._process.stdout)

    def end(self) -> str:
        """End it; what it said last."""
        return self._process.communicate("end\n", timeout=60)[0]


class Watchers(_Lookers):
    """Open Overviews seen from elsewhere: the WebSockets of browsers, without browsers."""

    def __init__(self, url: str, token: str, count: int) -> None:
        super().__init__("bench.watchers", url, token, count)
        #: Redraws of live parts a second, of all together; known at the end.
        self.redraws_per_s = 0.0

    def __enter__(self) -> Self:
        time.sleep(_PAUSE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.redraws_per_s = float(self.end())


class Browsers(_Lookers):
    """Open Overviews in a Chromium that uses what processor time nobody else wants."""

    def __init__(self, url: str, token: str, count: int) -> None:
        super().__init__("bench.viewers", url, token, count)
        self._browsers = psutil.Process(self._process.pid).children(recursive=True)
        for each in self._browsers:
            os.sched_setscheduler(each.pid, os.SCHED_IDLE, os.sched_param(0))

    def look_away(self) -> None:
        """Stop them where they are."""
        for each in self._browsers:
            each.suspend()

    def look(self) -> None:
        """Go on."""
        for each in self._browsers:
            each.resume()
        time.sleep(_PAUSE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._browsers:
            each.resume()
        self.end()


def given_to_lookers() -> argparse.Namespace:
    """What such a process is given: ``url``, ``token`` and ``count``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("count", type=int)
    return parser.parse_args()


def line(stream: IO[str] | None) -> str:
    line = stream.readline() if stream is not None else ""
    if not line:
        raise SystemExit("a benchmark process ended early; its error stands above")
    return line
