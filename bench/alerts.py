"""``scripts/bench alerts``: from publishing a sample to the alert on its topic, at a steady load with many rules.

    load, 20,000/s ──▶ Mosquitto ──▶ hub, 1,000 rules ──▶ iot/v1/{node}/alert/{rule} ──▶ Mosquitto ──▶ this process
    crossings ───────▶     ▲                                                              noted ◀─────────┘
    due

The load crosses no threshold but is looked at by rules; beside it some nodes cross theirs again and again, at moments
that are known. A sample counts from the moment it was *due*, so that a sender that is held up hides nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.broker import Broker
from bench.hub import HubProcess
from bench.latency import _go, _line, _process, _wait_stored
from bench.load import Load, connect, encoded, packets, send

_QUANTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "max_ms": 1.0}
_NODES = 20


class Crossings:
    """Nodes whose value crosses a threshold up and down, and when what was said of it; ``with`` listens."""

    def __init__(self, port: int, every_s: float) -> None:
        self._every_s = every_s
        self._port = port
        self._due_s: dict[tuple[str, str], float] = {}
        self.took_ms: list[float] = []
        self._stop = threading.Event()
        self._sender = threading.Thread(target=self._send)
        argv = [
            "mosquitto_sub",
            "-V",
            "5",
            "-p",
            str(port),
            "-q",
            "1",
            "-F",
            "%U %t %p",
            "-t",
            "iot/v1/+/alert/crossing",
        ]
        self._listener = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def start(self) -> None:
        self._sender.start()

    def stop(self) -> None:
        self._stop.set()
        self._sender.join()
        time.sleep(1)  # for what is under way
        self._listener.terminate()
        self._listener.wait()
        self._reader.join()

    @property
    def unanswered(self) -> int:
        return len(self._due_s)

    def _send(self) -> None:
        with contextlib.closing(connect(self._port, "bench-crossings")) as link:
            began_s, turn = time.time(), 0
            while not self._stop.is_set():
                due_s = began_s + turn * self._every_s
                time.sleep(max(due_s - time.time(), 0))
                node, up = f"crossing-{turn % _NODES}", (turn // _NODES) % 2 == 0
                self._due_s[node, "firing" if up else "resolved"] = due_s
                content = json.dumps({"ts": int(due_s * 1000), "values": {"level": 100 if up else 0}})
                link.sendall(encoded([(f"iot/v1/{node}/telemetry/tank", content.encode())], qos=0)[0])
                turn += 1

    def _read(self) -> None:
        for line in self._listener.stdout or ():
            at_s, topic, content = line.split(" ", 2)
            due_s = self._due_s.pop((topic.split("/")[2], json.loads(content)["state"]), None)
            if due_s is not None:
                self.took_ms.append((float(at_s) - due_s) * 1000)


def rules(count: int) -> str:
    """One rule that is crossed; the others look at the load, each at a value of one of its nodes, and find nothing."""
    lines = ['[rules.crossing]\nmetric = "tank.level"\nabove = 50\n']
    lines += [
        f'[rules.load-{i}]\nmetric = "bench.value{i % 5}"\nnodes = ["node-{i:05d}"]\nabove = 1e9\nfor = "1m"\n'
        for i in range(count - 1)
    ]
    return "\n".join(lines)


def measure(rate: float, seconds: float, rule_count: int, topics: int, every_s: float) -> dict[str, Any]:
    """One run; all figures."""
    now_ms = int(time.time() * 1000)
    warm = Load(messages=topics, topics=topics, first_ms=now_ms - 7_200_000)
    load = Load(int(rate * seconds), topics=topics, first_ms=now_ms - 3_600_000, rate=rate)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iothub-bench-")))
        broker = stack.enter_context(Broker(folder / "broker"))
        rule_file = folder / "rules.toml"
        rule_file.write_text(rules(rule_count), encoding="utf-8")
        settings = {
            "IOTHUB_LOG__LEVEL": "warning",
            "IOTHUB_RULES__FILE": str(rule_file),
            "IOTHUB_RULES__SHIPPED": "false",
            # The same alerts come and go on purpose.
            "IOTHUB_ALERTS__FLAP_WINDOW": "1ms",
        }
        hub = stack.enter_context(HubProcess(folder / "state", broker.port, settings))
        hub.wait_linked()
        with contextlib.closing(connect(broker.port, "bench-warm")) as link:
            send(link, packets(warm), warm)
        _wait_stored(hub, warm.messages)
        crossings = Crossings(broker.port, every_s)
        sender = stack.enter_context(_process("bench.load", str(broker.port), json.dumps(asdict(load))))
        _line(sender.stdout)
        cpu_s = hub.cpu_s()
        crossings.start()
        _go(sender)
        sent = json.loads(_line(sender.stdout))
        crossings.stop()
        cpu_s = hub.cpu_s() - cpu_s
        _wait_stored(hub, warm.messages + load.messages)
        _go(sender)
    took = np.array(crossings.took_ms)
    return {
        "rules": rule_count,
        "rate_wanted": rate,
        "rate_sent": round(load.messages / sent["seconds"]),
        "alerts": len(took),
        "never_said": crossings.unanswered,
        **{name: round(float(np.quantile(took, quantile)), 1) for name, quantile in _QUANTILES.items()},
        "hub_cpu_us_per_message": round(cpu_s / load.messages * 1e6, 1),
    }


def show(results: dict[str, Any]) -> None:
    """The table for people."""
    table = Table(title=f"alerts: sample to alert topic, {results['rules']:,} rules")
    table.add_column("")
    table.add_column("", justify="right")
    for label, key in (
        ("messages/s wanted", "rate_wanted"),
        ("messages/s sent", "rate_sent"),
        ("changes of alerts", "alerts"),
        ("never said", "never_said"),
        ("p50, ms", "p50_ms"),
        ("p90, ms", "p90_ms"),
        ("p99, ms", "p99_ms"),
        ("longest, ms", "max_ms"),
        ("hub, CPU µs/message", "hub_cpu_us_per_message"),
    ):
        table.add_row(label, f"{results[key]:,}")
    Console().print(table)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench alerts")
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--topics", type=int, default=1000)
    parser.add_argument("--every", type=float, default=0.02, help="seconds between two crossings")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    results = measure(given.rate, given.seconds, given.rules, given.topics, given.every)
    if given.json:
        print(json.dumps(results))
    else:
        show(results)
    if results["never_said"]:
        sys.exit("alerts: some changes were never said")
