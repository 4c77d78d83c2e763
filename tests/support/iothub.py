"""The real ``iothub`` command as people run it: ``up`` in a process of its own, other commands beside it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from hub.supervise.keeper import MARK
from tests.support.processes import marked
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: Free ports, so that tests run beside each other and beside a hub that somebody uses.
PORTS = {"IOTHUB_MQTT__PORT": "0", "IOTHUB_API__PORT": "0", "IOTHUB_DASHBOARD__PORT": "0"}
#: Rows come soon after the start.
FAST = {"IOTHUB_AGENT__COLLECTORS__CPU__INTERVAL": "1s"}
#: Tests that look at no page start without: it takes two seconds of a core.
NO_PAGES = {"IOTHUB_DASHBOARD__ENABLED": "false"}


class IotHub:
    """One state directory, and what runs in it."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.state = folder / "var"
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("IOTHUB_")}
        self._environment |= {**PORTS, **FAST, **NO_PAGES, **(variables or {})}
        self._up: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []
        #: Lines that ``up`` wrote, standard output and error.
        self.said: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self.said)

    @property
    def pid(self) -> int:
        assert self._up is not None
        return self._up.pid

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "hub.cli", "--state", str(self.state), *words]

    def start(self, *words: str, timeout_s: float = 60.0) -> None:
        """Run ``iothub up`` and return once it has printed its summary."""
        self.said.clear()
        self.launch(*words)
        wait_until(lambda: "Ctrl-C stops" in self.text or self._ended(), timeout_s, "iothub up is ready")
        assert not self._ended(), f"iothub up ended:\n{self.text}"

    def launch(self, *words: str) -> None:
        """Run ``iothub up`` without waiting."""
        self._up = subprocess.Popen(
            self.argv("up", *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment,
        )
        reader = threading.Thread(target=self._read, args=(self._up,))
        reader.start()
        self._readers.append(reader)

    def wait(self, timeout_s: float = 60.0) -> int:
        """Exit code of ``up``, which ends by itself."""
        assert self._up is not None
        code = self._up.wait(timeout_s)
        for reader in self._readers:
            reader.join(timeout_s)
        return code

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Stop ``up``; its exit code."""
        assert self._up is not None
        self._up.send_signal(how)
        return self.wait()

    def run(self, *words: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run another command to its end."""
        return subprocess.run(
            self.argv(*words), capture_output=True, text=True, env=self._environment, timeout=timeout_s, check=False
        )

    def json(self, *words: str) -> Any:
        """What a reading command prints with ``--json``."""
        done = self.run(*words, "--json")
        assert done.returncode == 0, f"{done.stderr}{done.stdout}"
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def following(self, *words: str) -> Iterator[list[str]]:
        """Run a command that goes on; the lines it has printed so far."""
        lines: list[str] = []
        with subprocess.Popen(
            self.argv(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self._environment
        ) as process:
            assert process.stdout is not None
            reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
            reader.start()
            try:
                yield lines
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(60)
                reader.join(60)

    def left(self) -> list[str]:
        """Processes of this state directory that still run."""
        return [f"{process.pid} {process.name()}" for process in marked(MARK, f"{self.state}#")]

    def cleanup(self) -> None:
        """End what a failed test left."""
        if self._up is not None and not self._ended():
            self._up.kill()
            self._up.wait()
            wait_until(lambda: not self.left(), 60, "the keeper ends what is left")
        for reader in self._readers:
            reader.join(60)

    def _ended(self) -> bool:
        return self._up is None or self._up.poll() is not None

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            self.said.extend(process.stdout)
