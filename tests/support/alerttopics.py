"""What a running hub publishes about alerts, heard by Debian's own client."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from typing import TYPE_CHECKING, Any

from hub.runfile import read_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.iothub import IotHub


class Said:
    """What the hub publishes about alerts, with the time at which it came."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def of(self, node: str, rule: str) -> list[tuple[float, dict[str, Any]]]:
        found = []
        for line in list(self.lines):
            at_s, topic, payload = line.split(" ", 2)
            if topic == f"iot/v1/{node}/alert/{rule}":
                found.append((float(at_s), json.loads(payload)))
        return found

    def states(self, node: str, rule: str) -> list[str]:
        return [said["state"] for _, said in self.of(node, rule)]


@contextlib.contextmanager
def listening(hub: IotHub) -> Iterator[Said]:
    running = read_run(hub.state / "run.json")
    assert running is not None
    password = (hub.state / "secrets" / "mqtt-operator").read_text(encoding="utf-8").strip()
    login = ["-V", "5", "-p", str(running.broker_port), "-u", "operator", "-P", password]
    argv = ["mosquitto_sub", *login, "-q", "1", "-F", "%U %t %p", "-t", "iot/v1/+/alert/+"]
    said = Said()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=lambda: said.lines.extend(process.stdout or ()))
        reader.start()
        try:
            yield said
        finally:
            process.terminate()
            reader.join(60)
