"""CPU load of this host that tests begin and end, published by a device."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Self

import psutil

from hub.runfile import read_run
from tests.support.device import Device
from wire.settings import MqttSettings

if TYPE_CHECKING:
    from tests.support.iothub import IotHub


class Load:
    """CPU load of this host that begins and ends when a test says so: a child that burns, measured by a device.

    What it took within the last two seconds, in per cent of a core, is published four times a second.
    """

    NODE = "stove"

    def __init__(self, hub: IotHub) -> None:
        running = read_run(hub.state / "run.json")
        assert running is not None
        password = hub.state / "secrets" / "mqtt-operator"
        self._mqtt = MqttSettings(port=running.broker_port, username="operator", password_file=password)
        self._child: psutil.Popen | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish)
        #: Unix ms and value of each sample.
        self.sent: list[tuple[int, float]] = []

    def burn(self) -> None:
        self._child = psutil.Popen([sys.executable, "-c", "while True: pass"])

    def rest(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait(60)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(60)
        self.rest()

    def _publish(self) -> None:
        took: deque[tuple[float, float]] = deque(maxlen=8)
        with Device(self._mqtt, client_id="operator-stove") as device:
            while not self._ended.wait(0.25):
                took.append((time.monotonic(), self._took_s()))
                (from_s, before_s), (to_s, now_s) = took[0], took[-1]
                value = 100 * max(now_s - before_s, 0) / (to_s - from_s) if len(took) > 1 else 0.0
                at_ms = int(time.time() * 1000)
                sample = json.dumps({"ts": at_ms, "values": {"cpu_percent": value}})
                assert device.publish(f"iot/v1/{self.NODE}/telemetry/load", sample.encode()) == 0
                self.sent.append((at_ms, value))

    def _took_s(self) -> float:
        child = self._child
        if child is None:
            return 0.0
        with contextlib.suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            return float(times.user + times.system)
        return 0.0
