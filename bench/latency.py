"""``scripts/bench latency``: from publishing a message to its being durable, at a steady rate.

    load ──▶ Mosquitto ──▶ tap ──▶ hub ──▶ store ──▶ ledger ─┐
     due                    ▲ noted ◀──────── PUBACK ────────┘

The hub acknowledges a message to the broker only when it is durable, and a tap on the wire between the two notes when
that is: nothing is asked of the hub that it does not do anyway. A message counts from the moment it was *due*, so that
a sender which is held up hides nothing. What the tap costs is part of the figure.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.broker import Broker
from bench.hub import HubProcess
from bench.load import Load, connect, packets, send

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUANTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p999_ms": 0.999, "max_ms": 1.0}


def measure(rate: float, seconds: float, topics: int, values: int) -> dict[str, Any]:
    """One run; all figures."""
    now_ms = int(time.time() * 1000)
    warm = Load(messages=topics, topics=topics, values=values, first_ms=now_ms - 7_200_000)
    load = Load(int(rate * seconds), topics=topics, values=values, first_ms=now_ms - 3_600_000, rate=rate)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iothub-bench-")))
        broker = stack.enter_context(Broker(folder / "broker"))
        times_file = folder / "times.npy"
        tap = stack.enter_context(_process("bench.tap", str(broker.port), str(times_file)))
        hub = stack.enter_context(
            HubProcess(folder / "state", int(_line(tap.stdout)), {"IOTHUB_LOG__LEVEL": "warning"})
        )
        hub.wait_linked()
        with contextlib.closing(connect(broker.port, "bench-warm")) as link:
            send(link, packets(warm), warm)  # a running system, not the birth of its series
        _wait_stored(hub, warm.messages)
        sender = stack.enter_context(_process("bench.load", str(broker.port), json.dumps(asdict(load))))
        _line(sender.stdout)
        cpu_s = hub.cpu_s()
        _go(sender)
        sent = json.loads(_line(sender.stdout))
        _wait_stored(hub, warm.messages + load.messages)
        cpu_us = (hub.cpu_s() - cpu_s) / load.messages * 1e6
        _go(sender)
        hub.stop()
        tap.wait(30)
        acknowledged_s = np.load(times_file)[warm.messages :]
    due_s = sent["began_s"] + np.arange(load.messages) / rate
    took_ms = (acknowledged_s[: load.messages] - due_s) * 1000
    done = took_ms[~np.isnan(took_ms)]
    return {
        "messages": load.messages,
        "values_a_message": values,
        "rate_wanted": rate,
        "rate_sent": round(load.messages / sent["seconds"]),
        "never_acknowledged": int(load.messages - len(done)),
        **{name: round(float(np.quantile(done, quantile)), 1) for name, quantile in _QUANTILES.items()},
        "hub_cpu_us_per_message": round(cpu_us, 1),
    }


@contextlib.contextmanager
def _process(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _line(stream: IO[str] | None) -> str:
    line = stream.readline() if stream is not None else ""
    if not line:
        raise SystemExit("a benchmark process ended early; its error stands above")
    return line


def _go(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        process.stdin.write("go\n")
        process.stdin.flush()


def _wait_stored(hub: HubProcess, messages: int) -> None:
    """Wait until so many are stored; looked at seldom, because each look costs the hub something."""
    deadline = time.monotonic() + 60
    while hub.metrics().get('iothub_messages_total{outcome="stored"}', 0.0) < messages:
        if time.monotonic() > deadline:
            raise SystemExit("the hub did not store all within 60 s")
        time.sleep(1)


def show(results: dict[str, Any]) -> None:
    """The table for people."""
    title = f"latency: {results['messages']:,} messages of {results['values_a_message']} values, published to durable"
    table = Table(title=title)
    table.add_column("")
    table.add_column("", justify="right")
    for label, key in (
        ("messages/s wanted", "rate_wanted"),
        ("messages/s sent", "rate_sent"),
        ("p50, ms", "p50_ms"),
        ("p90, ms", "p90_ms"),
        ("p99, ms", "p99_ms"),
        ("p99.9, ms", "p999_ms"),
        ("longest, ms", "max_ms"),
        ("never acknowledged", "never_acknowledged"),
        ("hub, CPU µs/message", "hub_cpu_us_per_message"),
    ):
        table.add_row(label, f"{results[key]:,}")
    Console().print(table)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench latency")
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--topics", type=int, default=1000)
    parser.add_argument("--values", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    results = measure(given.rate, given.seconds, given.topics, given.values)
    if given.json:
        print(json.dumps(results))
    else:
        show(results)
    if results["never_acknowledged"]:
        sys.exit("latency: some messages were never acknowledged")
