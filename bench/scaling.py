"""``scripts/bench scaling``: does the cost of a value stay the same as things get bigger?

Topics of a thousand nodes at most, and once more with a node for each: then presence, ledger and rules grow too.

The real hub behind a real broker, at QoS 1 into the embedded store. Each row is preceded by one message a topic, so
that what is measured is a running system and not the birth of its series. CPU is that of the whole hub process.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.broker import mosquitto
from bench.ingest import Hub, hub_run
from bench.load import Load

#: (what grows, topics, nodes, values a sample, samples a message)
_ROWS = (
    *(("topics", topics, min(topics, 1_000), 5, 1) for topics in (10, 1_000, 10_000, 100_000)),
    *(("topics, each of a node of its own", topics, 0, 5, 1) for topics in (10, 1_000, 10_000, 100_000)),
    *(("values a sample", 1_000, 0, values, 1) for values in (1, 5, 50, 500)),
    *(("samples a message", 1_000, 0, 5, samples) for samples in (1, 20, 200)),
)


def measure(total_values: int, wanted: str = "") -> list[dict[str, Any]]:
    """One row a step; the number of messages is chosen so that each step stores about as many values."""
    results = []
    for what, topics, nodes, values, samples in _ROWS:
        if wanted not in what:
            continue
        messages = max(total_values // (values * samples), 1_000)
        with (
            tempfile.TemporaryDirectory(prefix="iothub-bench-") as folder,
            mosquitto(Path(folder, "broker")) as (port, _),
        ):
            hub = Hub(Path(folder, "state"), port, "duck", {})
            try:
                now_ms = int(time.time() * 1000)
                first = Load(topics, topics, values, samples=samples, first_ms=now_ms - 20_000, nodes=nodes)
                hub_run(hub, port, first)
                load = Load(messages, topics, values, samples=samples, first_ms=now_ms - 10_000, nodes=nodes)
                run = hub_run(hub, port, load)
            finally:
                hub.stop()
        results.append(
            {
                "grows": what,
                "topics": topics,
                "values": values,
                "samples": samples,
                "messages": messages,
                "stored_values": run["values"],
                "cpu_us_per_message": run["cpu_us"],
                "cpu_us_per_value": run["cpu_us"] / (values * samples),
                "rss_mb": run["rss_mb"],
            }
        )
    return results


def against_first(results: list[dict[str, Any]]) -> list[float]:
    """Cost of a value of each row ÷ that of the first row in which the same thing grows."""
    first: dict[str, float] = {}
    return [row["cpu_us_per_value"] / first.setdefault(row["grows"], row["cpu_us_per_value"]) for row in results]


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench scaling")
    parser.add_argument("--values", type=int, default=1_000_000, help="values stored in each step")
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    results = measure(given.values, given.only)
    if given.json:
        print(json.dumps(results))
        return
    table = Table(title=f"about {given.values:,} values a row, QoS 1, embedded store")
    for name in ("grows", "topics", "values", "samples", "CPU µs/message", "CPU µs/value", "÷ first", "RSS MiB"):
        table.add_column(name, justify="left" if name == "grows" else "right")
    for row, ratio in zip(results, against_first(results), strict=True):
        table.add_row(
            row["grows"],
            f"{row['topics']:,}",
            str(row["values"]),
            str(row["samples"]),
            f"{row['cpu_us_per_message']:.1f}",
            f"{row['cpu_us_per_value']:.2f}",
            f"{ratio:.2f}",
            f"{row['rss_mb']:.0f}",
        )
    Console().print(table)
