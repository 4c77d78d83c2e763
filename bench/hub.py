"""The real hub as a process that can be killed and started again in the same state directory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_START_LIMIT_S = 120.0


class HubProcess:
    """``iothub hub`` in ``state``, on a broker that somebody else runs.

    Args:
        settings: variables ``IOTHUB_…`` laid over those that a benchmark needs.
        program: Python arguments that run the ``iothub`` command.
    """

    def __init__(
        self,
        state: Path,
        broker_port: int,
        settings: Mapping[str, str] | None = None,
        *,
        program: Sequence[str] = ("-m", "hub.cli"),
    ) -> None:
        self.state = state
        #: What the hub logged over all runs, one JSON object a line.
        self.log = state.with_name(f"{state.name}.log")
        self._argv = [sys.executable, *program, "--state", str(state), "hub", "--json"]
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("IOTHUB_")} | {
            "IOTHUB_BROKER__MODE": "external",
            "IOTHUB_MQTT__PORT": str(broker_port),
            "IOTHUB_API__PORT": "0",
            "IOTHUB_LOG__FORMAT": "json",
            **(settings or {}),
        }
        self._process: subprocess.Popen[str] | None = None
        self._url = ""

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start and return once its API answers; the broker may still be out of reach."""
        if (line := self.launch()) is None:
            raise RuntimeError(f"the hub ended with exit code {self.wait()}:\n{self.said()[-4000:]}")
        self._url = json.loads(line)["running"]["api_url"]

    def launch(self) -> str | None:
        """Start; the announcement, or None when the process ended without one."""
        if self.running:
            raise RuntimeError("the hub runs already")
        with self.log.open("ab") as log:
            process = self._process = subprocess.Popen(
                self._argv, env=self._environment, stdout=subprocess.PIPE, stderr=log, text=True, process_group=0
            )
        if process.stdout is None:
            raise RuntimeError("the hub has no standard output")
        return process.stdout.readline() or None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def process(self) -> psutil.Process:
        if self._process is None:
            raise RuntimeError("the hub does not run")
        return psutil.Process(self._process.pid)

    def stop(self) -> None:
        """SIGTERM, and wait until it has stored what it has."""
        self._signal(signal.SIGTERM)
        if (code := self.wait()) != 0:
            raise RuntimeError(f"the hub ended with exit code {code}:\n{self.said()[-4000:]}")

    def kill(self) -> None:
        """SIGKILL: nothing is finished."""
        self._signal(signal.SIGKILL)
        self.wait()

    def wait(self, timeout_s: float = 180.0) -> int:
        """Exit code of a hub that ends by itself; one that does not is still there to be killed."""
        process = self._process
        if process is None:
            return 0
        code = process.wait(timeout_s)
        self._process = None
        if process.stdout is not None:
            process.stdout.close()
        return code

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.running and kind is None:
            self.stop()
        else:
            self.kill()

    # -- what it says -------------------------------------------------------------------------------------------------

    def said(self) -> str:
        """The log of all runs."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def metric(self, name: str) -> float:
        """Sum of all samples of one metric."""
        lines = self._ask("/metrics").decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def metrics(self) -> dict[str, float]:
        """All samples, by name with labels."""
        lines = (line.rpartition(" ") for line in self._ask("/metrics").decode().splitlines() if line[:1] != "#")
        return {name: float(value) for name, _, value in lines}

    def get(self, path: str, **query: str | int) -> Any:
        """A JSON answer of the API, asked with the token of the local CLI."""
        return json.loads(self._ask(f"/api/v1/{path}?{urllib.parse.urlencode(query)}"))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send JSON to the API; its answer."""
        return json.loads(self._ask(f"/api/v1/{path}", json.dumps(body).encode()))

    @property
    def url(self) -> str:
        """Base URL of its API."""
        return self._url

    def token(self) -> str:
        """That of the local CLI."""
        return (self.state / "secrets" / "cli-token").read_text(encoding="utf-8").strip()

    def health(self) -> dict[str, Any]:
        """``/health`` with its links, whatever the status."""
        found: dict[str, Any] = json.loads(self._ask("/health"))
        return found

    def wait_linked(self) -> None:
        """Wait until the broker has confirmed its subscriptions: what is published from now on reaches it."""
        deadline = time.monotonic() + _START_LIMIT_S
        while self.metric("iothub_link_subscribed") != 1:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the hub did not reach the broker:\n{self.said()[-4000:]}")
            time.sleep(0.05)

    def wait_heard_broker(self) -> None:
        """Wait until the broker has told its own counters."""
        deadline = time.monotonic() + _START_LIMIT_S
        while self.metric("iothub_broker_held_messages") == 0:
            if time.monotonic() > deadline:
                raise RuntimeError("the broker did not tell its counters")
            time.sleep(0.05)

    def cpu_s(self) -> float:
        """User and system time so far."""
        used = self.process.cpu_times()
        return float(used.user + used.system)

    def rss_bytes(self) -> int:
        """Memory it holds now."""
        return int(self.process.memory_info().rss)

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                found: bytes = answer.read()
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            with error:
                found = error.read()
        return found

    def _signal(self, number: signal.Signals) -> None:
        """To the whole group: a program that runs the hub as its child has to go with it."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
