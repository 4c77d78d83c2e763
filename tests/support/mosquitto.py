"""A real Mosquitto on a free loopback port, for tests of any folder.

``with Mosquitto(tmp_path) as broker:`` starts one that lets anybody in and keeps its state in the folder, so that
``broker.kill()`` or ``broker.stop()`` followed by ``broker.start()`` behaves as on a real machine: same port and files.
The broker with accounts and rights, as ``iothub up`` runs it, is in ``tests/support/secured.py``.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Self

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SEARCH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether something accepts connections on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A program that listens on a loopback port; started, stopped and killed as often as a test likes."""

    def __init__(self, argv: Sequence[str], *, port: int, log: Path, cwd: Path | None = None) -> None:
        self.argv = list(argv)
        self.port = port
        #: Standard output and error of all runs.
        self.log = log
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start and return once the port accepts."""
        assert self._process is None, "already running"
        with self.log.open("ab") as log:
            process = subprocess.Popen(self.argv, cwd=self._cwd, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._process = process
        try:
            wait_until(lambda: process.poll() is not None or accepts(self.port), what=f"{self.argv[0]} accepts")
            assert process.poll() is None, f"{self.argv[0]} ended: {self.log.read_text(errors='replace')[-2000:]}"
        except BaseException:
            self.kill()
            raise

    def stop(self) -> int:
        """Send SIGTERM, wait and return the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL: nothing is saved."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(how)
        return process.wait(timeout=60)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Mosquitto(Process):
    """A broker without accounts. ``lines`` are added to its configuration."""

    def __init__(self, folder: Path, *, lines: Sequence[str] = (), port: int | None = None) -> None:
        program = shutil.which("mosquitto", path=_SEARCH)
        assert program is not None, "these tests need Mosquitto: apt-get install mosquitto"
        folder.mkdir(parents=True, exist_ok=True)
        port = port or free_port()
        config = folder / "mosquitto.conf"
        text = [
            f"listener {port} 127.0.0.1",
            "allow_anonymous true",
            "persistence true",
            f"persistence_location {folder}/",
            "log_dest stderr",
            "log_type all",
            "set_tcp_nodelay true",
            "max_queued_messages 1000000",
            "max_inflight_messages 1000",
            *(["user root"] if os.geteuid() == 0 else []),
            *lines,
        ]
        config.write_text("\n".join(text) + "\n", encoding="utf-8")
        super().__init__([program, "-c", str(config)], port=port, log=folder / "mosquitto.log")
