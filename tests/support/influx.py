"""Real time-series servers for tests, each on a free loopback port with its data in a test's own folder.

``IOTHUB_TEST_INFLUXD=/path/to/influxd`` takes any influxd in place of Debian's 1.6.7, of any generation up to 2.x.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import httpx

from hub.store.influx import InfluxStore
from hub.store.influx_http import Access
from hub.store.influx_target import Target
from tests.support.mosquitto import Process, free_port
from tests.support.stores import NOON
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "IOTHUB_TEST_INFLUXD"
TOKEN = "test-token-of-the-hub"
ORG = "iothub"

_CONFIG_1 = """\
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
{http}
"""
_names = itertools.count()


class Influxd(Process):
    """An InfluxDB 1.x or 2.x. ``http`` are lines for the section ``[http]`` of 1.x."""

    def __init__(self, folder: Path, *, http: str = "") -> None:
        program = os.environ.get(VARIABLE) or shutil.which("influxd")
        assert program, f"these tests need InfluxDB: apt-get install influxdb, or {VARIABLE}=/path/to/influxd"
        said = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
        found = re.search(r"v?(\d+)\.\d+", said)
        assert found is not None, said
        self.generation = int(found[1])
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        if self.generation == 1:
            config = folder / "influxd.conf"
            config.write_text(_CONFIG_1.format(folder=folder, port=port, rpc_port=free_port(), http=http))
            argv = [program, "-config", str(config)]
        else:
            argv = [
                program,
                f"--http-bind-address=127.0.0.1:{port}",
                f"--bolt-path={folder}/influxd.bolt",
                f"--engine-path={folder}/engine",
                "--reporting-disabled",
            ]
        super().__init__(argv, port=port, log=folder / "influxd.log")
        self._is_set_up = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        super().start()
        wait_until(self._answers, 60, "influxd answers /ping")
        if self.generation > 1 and not self._is_set_up:
            self._set_up()
        self._is_set_up = True

    def create(self, name: str = "") -> str:
        """A new database, or bucket; its name."""
        name = name or f"test{next(_names)}"
        if self.generation == 1:
            self.ask(f'CREATE DATABASE "{name}"')
        else:
            (org,) = self._json("GET", "/api/v2/orgs", {"org": ORG})["orgs"]
            self._json("POST", "/api/v2/buckets", body={"name": name, "orgID": org["id"], "retentionRules": []})
        return name

    def create_policy(self, database: str, name: str) -> None:
        """A retention policy of 1.x that keeps for ever, or the bucket that is one on 2.x."""
        if self.generation == 1:
            self.ask(f'CREATE RETENTION POLICY "{name}" ON "{database}" DURATION INF REPLICATION 1')
        else:
            self.create(f"{database}/{name}")

    def run_flux(self, program: str) -> None:
        """On 2.x alone."""
        answer = self._request("POST", "/api/v2/query", params={"org": ORG}, json={"query": program, "type": "flux"})
        assert answer.is_success, answer.text

    def target(self, database: str, **access: Any) -> Target:
        """Where the hub is to write."""
        token = {"token": TOKEN} if self.generation > 1 else {}
        return Target(Access(**{"url": self.url, **token, **access}), database, org=ORG if self.generation > 1 else "")

    def ask(self, query: str, database: str = "") -> list[dict[str, Any]]:
        """The series of the answer to one InfluxQL statement."""
        answer = self._json("POST", "/query", {"db": database, "epoch": "ns"}, form={"q": query})
        (result,) = answer["results"]
        assert "error" not in result, result
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def write(self, database: str, lines: str) -> int:
        """Write lines as another program would; the status."""
        parameters = {"db": database, "precision": "ns"}
        return self._request("POST", "/write", params=parameters, content=lines.encode()).status_code

    # -- private ------------------------------------------------------------------------------------------------------

    def _answers(self) -> bool:
        try:
            return self._request("GET", "/ping").status_code == 204
        except httpx.TransportError:
            return False

    def _set_up(self) -> None:
        body = {"username": "admin", "password": "test-password", "org": ORG, "bucket": "first", "token": TOKEN}
        self._json("POST", "/api/v2/setup", body=body)

    def _json(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        *,
        body: Any = None,
        form: dict[str, str] | None = None,
    ) -> Any:
        answer = self._request(method, path, params=query or {}, json=body, data=form)
        assert answer.is_success, answer.text
        return answer.json()

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Token {TOKEN}"} if self.generation > 1 else {}
        return httpx.request(method, self.url + path, headers=headers, timeout=30, **more)


def opened(server: Influxd, database: str, **access: Any) -> InfluxStore:
    """A store in this database, not open yet; its clock stands still."""
    return InfluxStore(server.target(database, **access), clock_ns=lambda: NOON)


class VictoriaMetrics(Process):
    """A VictoriaMetrics: takes line protocol, cannot be asked by InfluxQL."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("victoria-metrics")
        assert program, "these tests need VictoriaMetrics: apt-get install victoria-metrics"
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        data, address = f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}"
        argv = [program, data, address, "-retentionPeriod=100y"]
        super().__init__(argv, port=port, log=folder / "victoria-metrics.log")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def exported(self, name: str) -> dict[str, dict[int, float]]:
        """Samples of a metric: by node, by time in ms."""
        httpx.get(f"{self.url}/internal/force_flush", timeout=30)
        answer = httpx.get(f"{self.url}/api/v1/export", params={"match[]": name}, timeout=30)
        rows = [json.loads(line) for line in answer.text.splitlines()]
        return {row["metric"]["node"]: dict(zip(row["timestamps"], row["values"], strict=True)) for row in rows}
