"""``scripts/bench backlog``: messages queued for a hub that was away; how fast and how lean it catches up.

    load ──▶ Mosquitto: queue of the absent hub        hub starts ──▶ drains ──▶ all stored once?

The rate counts from the first message that is durable to the last; memory is the peak of the whole hub process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import verify
from bench.broker import Broker
from bench.hub import HubProcess
from bench.load import Load, connect, send_in_parts

_IDLE_LIMIT_S = 30.0


def measure(messages: int, topics: int, values: int) -> dict[str, Any]:
    """One run; all figures."""
    first_ms = int(time.time() * 1000) - 7_200_000
    load = Load(messages=messages, topics=topics, values=values, first_ms=first_ms)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iothub-bench-")))
        broker = stack.enter_context(Broker(folder / "broker", queued=messages + 10_000))
        hub = HubProcess(folder / "state", broker.port, {"IOTHUB_LOG__LEVEL": "warning"})
        stack.callback(hub.kill)
        hub.start()
        hub.wait_linked()
        hub.stop()
        with contextlib.closing(connect(broker.port, "bench-load")) as link:
            queued_s = send_in_parts(link, load)
        broker_mb = broker.process.memory_info().rss / 2**20
        began = time.perf_counter()
        hub.start()
        started_s = time.perf_counter() - began
        drained_s, cpu_us = _drain(hub, messages)
        peak_mb = _peak_bytes(hub) / 2**20
        hub.stop()
        verdict = verify.compare(verify.expected(load), verify.stored(hub.state))
        books = verify.books(hub.state)
    return {
        "messages": messages,
        "values_a_message": values,
        "queued_per_s": round(messages / queued_s),
        "broker_rss_mb": round(broker_mb),
        "hub_start_s": round(started_s, 2),
        "drained_s": round(drained_s, 2),
        "drained_per_s": round(messages / drained_s),
        "hub_cpu_us_per_message": round(cpu_us, 1),
        "hub_peak_rss_mb": round(peak_mb),
        "values_expected": verdict.expected,
        "lost": verdict.lost,
        "duplicated": verdict.twice,
        "changed": verdict.changed,
        "ledger_stored": books.total("stored"),
        "ledger_unaccounted": books.unaccounted(),
        "ok": verdict.ok and books.total("stored") == messages and books.unaccounted() == 0,
    }


def _drain(hub: HubProcess, messages: int) -> tuple[float, float]:
    """Seconds and CPU µs a message until all are durable, from when the hub's API answered."""
    began = ended = time.perf_counter()
    cpu_s, done = hub.cpu_s(), 0.0
    while done < messages and time.perf_counter() - ended < _IDLE_LIMIT_S:
        time.sleep(0.1)
        now_done = hub.metrics().get('iothub_messages_total{outcome="stored"}', 0.0)
        if now_done != done:
            done, ended = now_done, time.perf_counter()
    return ended - began, (hub.cpu_s() - cpu_s) / messages * 1e6


def _peak_bytes(hub: HubProcess) -> int:
    """High-water mark of the resident memory, as Linux keeps it; elsewhere what is resident now."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{hub.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return hub.rss_bytes()


def show(results: dict[str, Any]) -> None:
    """The table for people."""
    title = f"backlog: {results['messages']:,} messages of {results['values_a_message']} values for an absent hub"
    table = Table(title=title)
    table.add_column("")
    table.add_column("", justify="right")
    for label, key in (
        ("queued at the broker, messages/s", "queued_per_s"),
        ("broker with the queue, RSS MiB", "broker_rss_mb"),
        ("hub ready after, s", "hub_start_s"),
        ("drained within, s", "drained_s"),
        ("drained, messages/s", "drained_per_s"),
        ("hub, CPU µs/message", "hub_cpu_us_per_message"),
        ("hub, peak RSS MiB", "hub_peak_rss_mb"),
        ("values expected", "values_expected"),
        ("lost", "lost"),
        ("duplicated", "duplicated"),
        ("changed", "changed"),
        ("ledger: messages stored", "ledger_stored"),
        ("ledger: unaccounted for", "ledger_unaccounted"),
    ):
        table.add_row(label, f"{results[key]:,}")
    Console().print(table)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench backlog")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--topics", type=int, default=1000)
    parser.add_argument("--values", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    results = measure(given.messages, given.topics, given.values)
    if given.json:
        print(json.dumps(results))
    else:
        show(results)
    if not results["ok"]:
        sys.exit("backlog: something was lost, repeated or not accounted for")
