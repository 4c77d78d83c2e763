"""An InfluxDB 1.x for benchmarks, on free loopback ports, stopped and started as often as a benchmark likes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Self

import psutil

from bench.broker import free_port

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
"""
_START_LIMIT_S = 60.0


class Influxd:
    """One folder and port; ``start`` returns when it answers, and the database exists."""

    def __init__(self, folder: Path, database: str = "iot") -> None:
        program = shutil.which("influxd")
        if program is None:
            raise SystemExit("influxd is not installed: apt-get install influxdb")
        folder.mkdir(parents=True, exist_ok=True)
        self.database = database
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        config = folder / "influxd.conf"
        config.write_text(_CONFIG.format(folder=folder, port=port, rpc_port=free_port()))
        self._argv = [program, "-config", str(config)]
        self._log = folder / "output.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            process = self._process = subprocess.Popen(self._argv, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_LIMIT_S
        while process.poll() is None and time.monotonic() < deadline:
            try:
                self.ask(f'CREATE DATABASE "{self.database}"')
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise SystemExit(f"influxd did not start; see {self._log}")

    @property
    def process(self) -> psutil.Process:
        """The process that runs now."""
        if self._process is None:
            raise RuntimeError("influxd does not run")
        return psutil.Process(self._process.pid)

    def version(self) -> str:
        """As it says itself."""
        with urllib.request.urlopen(f"{self.url}/ping", timeout=30) as answer:
            return f"InfluxDB {answer.headers['X-Influxdb-Version']}"

    def count(self) -> int:
        """Messages of the load that it holds."""
        series = self.ask("SELECT count(value0) FROM bench")
        return int(series[0]["values"][0][1]) if series else 0

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: nothing is finished."""
        self._end(signal.SIGKILL)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series of the answer to one InfluxQL statement; OSError when the server is away."""
        body = urllib.parse.urlencode({"q": query, "db": self.database, "epoch": "ns"}).encode()
        with urllib.request.urlopen(f"{self.url}/query", data=body, timeout=30) as answer:
            (result,) = json.loads(answer.read())["results"]
        found: list[dict[str, Any]] = result.get("series", [])
        return found

    def settings(self) -> dict[str, str]:
        """Variables with which the hub writes to it."""
        return {
            "IOTHUB_STORE__KIND": "influx",
            "IOTHUB_STORE__INFLUX__URL": self.url,
            "IOTHUB_STORE__INFLUX__DATABASE": self.database,
        }

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
