"""The dashboard of a real ``iothub up`` and a real Chromium before it, for tests of pages."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.iothub import IotHub

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from playwright.sync_api import ViewportSize


#: What a device or its surroundings may send; on a page it is text.
HOSTILE = "<img src=x onerror=\"document.title='broken in'\"> **bold** [link](javascript:alert(1)) :red[x] $x^2$"
DEVICE = "boiler-7"
RULES = """
[rules.cpu-here]
metric = "cpu.usage"
tags = { core = "" }
above = 0.1
message = "{node} works: {value:.1f} %"

[rules.room-hot]
metric = "room.temperature"
above = { warning = 30, critical = 40 }
clear = 28
"""
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


class Pages:
    """A hub with its dashboard, this host's agent and one device that sends what it should not."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self.hub = IotHub(folder, {"IOTHUB_DASHBOARD__ENABLED": "true", **(variables or {})})
        self.url = self.api_url = self.password = self.host = ""

    def start(self) -> None:
        """Run it until this host is online."""
        self.hub.state.mkdir(mode=0o700, parents=True)
        (self.hub.state / "rules.toml").write_text(RULES, encoding="utf-8")
        self.hub.start()
        self.url = self._said(r"dashboard +(\S+)")
        self.api_url = self._said(r"API +(\S+)")
        self.password = self._said(r"user admin, password (\S+)")
        self.host = self._said(r"this host +node ([^,]+),")
        port = self._said(r"broker +127\.0\.0\.1:(\d+)")
        account = self.post("/nodes", {"node": DEVICE, "groups": ["lab"]})["credentials"]
        self._device = Device(port, account)

    @property
    def device(self) -> Device:
        return self._device

    def api(self) -> httpx.Client:
        """A client of the API as administrator."""
        body = {"user": "admin", "password": self.password, "scope": "full"}
        token = httpx.post(f"{self.api_url}/api/v1/token", json=body, timeout=60).raise_for_status().json()["token"]
        return httpx.Client(base_url=f"{self.api_url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def get(self, path: str, **params: Any) -> Any:
        with self.api() as api:
            return api.get(path, params=params).raise_for_status().json()

    def post(self, path: str, body: Any) -> Any:
        with self.api() as api:
            return api.post(path, json=body, timeout=60).raise_for_status().json()

    def _said(self, pattern: str) -> str:
        found = re.search(pattern, self.hub.text)
        assert found is not None, f"{pattern} is not in {self.hub.text}"
        return found[1]


@dataclass(frozen=True)
class Device:
    """Publishes by Debian's own client."""

    port: str
    account: dict[str, str]

    def send(self, topic: str, payload: str) -> None:
        name, password = self.account["username"], self.account["password"]
        subprocess.run(
            [
                *("mosquitto_pub", "-V", "5", "-p", self.port, "-u", name, "-P", password),
                *("-i", self.account["client_id"], "-q", "1", "-t", f"iot/v1/{name}/{topic}", "-m", payload),
            ],
            check=True,
            timeout=20,
        )
