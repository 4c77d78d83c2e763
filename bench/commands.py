"""``scripts/bench commands``: many nodes are commanded at once; how long until the hub has every result.

    POST /commands ─▶ hub ─▶ Mosquitto ─▶ simulated nodes ─▶ accepted, done ─▶ Mosquitto ─▶ hub: in the journal

The clock starts before the request and stops when the fleet run has ended, by which time all of it is on the disk.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.broker import Broker
from bench.hub import HubProcess

#: What the project promises for 1,000 nodes.
_PROMISED_S = 10.0
_LIMIT_S = 100.0


def measure(nodes: int, connections: int) -> dict[str, Any]:
    """One run; all figures."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iothub-bench-")))
        broker = stack.enter_context(Broker(folder / "broker"))
        hub = stack.enter_context(HubProcess(folder / "state", broker.port, {"IOTHUB_LOG__LEVEL": "warning"}))
        hub.wait_linked()
        argv = [sys.executable, "-m", "bench.commanded", str(broker.port), str(nodes), str(connections)]
        crowd = stack.enter_context(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        stack.callback(_end, crowd)
        if crowd.stdout is None or not crowd.stdout.readline():
            raise SystemExit("the simulated nodes ended early; the error stands above")
        _wait_online(hub, nodes)
        cpu_s, began = hub.cpu_s(), time.perf_counter()
        run = hub.post("commands", {"command": "ping", "nodes": ["node-*"]})
        while (found := hub.get(f"fleet-runs/{run['id']}"))["ended"] is None:
            if time.perf_counter() - began > _LIMIT_S:
                break
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        cpu_s = hub.cpu_s() - cpu_s
        took_s = _took(hub, run["id"])
        head = hub.get("audit/head")
    return {
        "nodes": nodes,
        "connections": connections,
        "done": found["states"].get("done", 0),
        "seconds": round(seconds, 2),
        "p50_s": round(float(np.quantile(took_s, 0.5)), 3),
        "p99_s": round(float(np.quantile(took_s, 0.99)), 3),
        "hub_cpu_s": round(cpu_s, 2),
        "journal_rows": head["number"],
    }


def _took(hub: HubProcess, run: str) -> list[float]:
    """From request to end, of every command."""
    found, page = [], None
    while True:
        answer = hub.get("commands", run=run, limit=1000, **({"page": page} if page else {}))
        for each in answer["items"]:
            ended = datetime.fromisoformat(each["ended"]) if each["ended"] else None
            if ended is not None:
                found.append((ended - datetime.fromisoformat(each["requested"])).total_seconds())
        page = answer["next"]
        if page is None:
            return found or [float("nan")]


def _wait_online(hub: HubProcess, nodes: int) -> None:
    deadline = time.monotonic() + 60
    while hub.metrics().get('iothub_nodes_by_state{state="online"}', 0.0) < nodes:
        if time.monotonic() > deadline:
            raise SystemExit("the hub did not hear all births within 60 s")
        time.sleep(0.2)


def _end(crowd: subprocess.Popen[str]) -> None:
    if crowd.poll() is None:
        crowd.kill()


def show(results: dict[str, Any]) -> None:
    """The table for people."""
    table = Table(title=f"commands: {results['nodes']:,} nodes at once, on {results['connections']} connections")
    table.add_column("")
    table.add_column("", justify="right")
    for label, key in (
        ("results of nodes", "done"),
        ("until the last result is recorded, s", "seconds"),
        ("one command, p50, s", "p50_s"),
        ("one command, p99, s", "p99_s"),
        ("hub, CPU s", "hub_cpu_s"),
        ("rows of the journal", "journal_rows"),
    ):
        table.add_row(label, f"{results[key]:,}")
    Console().print(table)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench commands")
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    results = measure(given.nodes, given.connections)
    if given.json:
        print(json.dumps(results))
    else:
        show(results)
    if results["done"] < given.nodes:
        sys.exit("commands: some nodes have no result")
    if results["seconds"] > _PROMISED_S * max(given.nodes / 1000, 1):
        sys.exit(f"commands: slower than {_PROMISED_S:g} s for 1,000 nodes")
