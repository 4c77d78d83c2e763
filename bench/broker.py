"""A Mosquitto for benchmarks: the settings that ship, without accounts, on a free loopback port."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
user root
persistence true
persistence_location {folder}/
autosave_interval {autosave_s}
max_queued_messages {queued}
max_queued_bytes 1073741824
max_inflight_messages 10000
set_tcp_nodelay true
sys_interval 1
log_dest file {folder}/mosquitto.log
"""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """One folder and port; started, stopped and killed as often as a benchmark likes.

    Args:
        autosave_s: as ``broker.autosave_interval_s``: what a kill -9 may lose of the queue.
        queued: as ``broker.max_queued_messages``.
        lines: added to the configuration.
    """

    def __init__(
        self, folder: Path, *, autosave_s: int = 30, queued: int = 1_000_000, lines: Sequence[str] = ()
    ) -> None:
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if program is None:
            raise SystemExit("mosquitto is not installed: scripts/up installs it")
        self._argv = [program, "-c", str(folder / "mosquitto.conf")]
        self._log = folder / "output.log"
        self._journal = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config = _CONFIG.format(port=self.port, folder=folder, autosave_s=autosave_s, queued=queued)
        (folder / "mosquitto.conf").write_text(config + "".join(f"{line}\n" for line in lines))

    @property
    def process(self) -> psutil.Process:
        """The process that runs now."""
        if self._process is None:
            raise RuntimeError("the broker does not run")
        return psutil.Process(self._process.pid)

    def start(self) -> None:
        """Start and return once the port accepts; with a large file of persisted messages that takes seconds."""
        with self._log.open("ab") as log:
            process = self._process = subprocess.Popen(self._argv, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise SystemExit(f"mosquitto ended with exit code {process.returncode}; see {self._log}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise SystemExit("mosquitto did not start within 60 s")

    def stop(self) -> None:
        """SIGTERM: what is queued is saved."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: what came since the last save is gone."""
        self._end(signal.SIGKILL)

    def said(self) -> str:
        """What it logged over all runs."""
        return self._journal.read_text(encoding="utf-8", errors="replace") if self._journal.exists() else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.send_signal(how)
            process.wait(timeout=60)


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Port and process of a running broker."""
    with Broker(folder) as broker:
        yield broker.port, broker.process
