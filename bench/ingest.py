"""``scripts/bench ingest``: the hub against a consumer that only reads and acknowledges, on the same broker.

    load ──▶ Mosquitto ──▶ null consumer    rate of the broker and the link alone
    load ──▶ Mosquitto ──▶ hub ──▶ store    the real process: decode, guard, presence, ledger, rejects, durable write

Both runs use the same messages, of 5 number values each with its own ``ts``. CPU is that of whole processes. A message
counts when it is durable and acknowledged: in InfluxDB, or in the spool if InfluxDB could not take it; the second rate
lasts until the spool is empty again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil
from rich.console import Console
from rich.table import Table

from bench.broker import mosquitto
from bench.influxd import Influxd
from bench.load import Load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_VALUES = 5
HUB = ("-m", "hub.cli")
#: Between two looks at the hub's counters, which cost it 2 ms each; when it was done it says itself.
_LOOK_S = 0.5


def _line(stream: IO[str] | None) -> str:
    line = stream.readline() if stream is not None else ""
    if not line:
        raise SystemExit("a benchmark process ended early; its error stands above")
    return line


@contextlib.contextmanager
def _load(port: int, load: Load) -> Iterator[subprocess.Popen[str]]:
    """A process that has its messages ready, sends them at one line, and ends at the next."""
    argv = [sys.executable, "-m", "bench.load", str(port), json.dumps(asdict(load))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        _line(process.stdout)
        try:
            yield process
        finally:
            with contextlib.suppress(BrokenPipeError):
                _go(process)


def _cpu_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _go(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        process.stdin.write("go\n")
        process.stdin.flush()


def null_run(port: int, load: Load) -> dict[str, float]:
    """Messages a second and CPU µs a message of the null consumer."""
    argv = [sys.executable, "-m", "bench.null_consumer", str(port), str(load.messages)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as consumer:
        _line(consumer.stdout)
        with _load(port, load) as sender:
            _go(sender)
            seen = json.loads(_line(consumer.stdout))
            _line(sender.stdout)
    return {
        "messages": seen["messages"],
        "rate": seen["messages"] / seen["seconds"],
        "cpu_us": seen["cpu_s"] / seen["messages"] * 1e6,
    }


class Hub:
    """The real hub as a process, its counters read from ``/metrics``."""

    def __init__(self, state: Path, port: int, store: str, more: Mapping[str, str]) -> None:
        environment = {
            **os.environ,
            "IOTHUB_BROKER__MODE": "external",
            "IOTHUB_MQTT__PORT": str(port),
            "IOTHUB_API__PORT": "0",
            "IOTHUB_STORE__KIND": store,
            "IOTHUB_LOG__LEVEL": "warning",
            **more,
        }
        argv = [sys.executable, *HUB, "--state", str(state), "hub", "--json"]
        self._process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)
        running = json.loads(_line(self._process.stdout))["running"]
        self._url = running["api_url"]
        self.process = psutil.Process(self._process.pid)
        while self.metric("iothub_link_subscribed") != 1:
            time.sleep(0.05)

    def metric(self, name: str, label: str = "") -> float:
        """Sum of the samples of one metric whose labels contain ``label``."""
        with urllib.request.urlopen(f"{self._url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name and label in line
        )

    def cpu_s(self) -> float:
        """User and system time so far."""
        return _cpu_s(self.process)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._process.terminate()
        if self._process.wait(timeout=60) != 0:
            raise SystemExit(f"the hub ended with exit code {self._process.returncode}")


def hub_run(hub: Hub, port: int, load: Load, beside: Mapping[str, psutil.Process] | None = None) -> dict[str, float]:
    """Messages a second until all are durable and acknowledged, CPU µs a message, and what was stored.

    Args:
        beside: processes whose CPU is wanted, too, by name: ``cpu_us_NAME``.
    """
    values = hub.metric("iothub_values_stored_total")
    before = hub.metric("iothub_messages_total", "stored")
    with _load(port, load) as sender:
        processes = {"load": psutil.Process(sender.pid), **(beside or {})}
        cpu, cpu_beside = hub.cpu_s(), {name: _cpu_s(process) for name, process in processes.items()}
        began = moved = time.time()
        _go(sender)
        done = 0.0
        while done < load.messages and time.time() - moved < 60:
            time.sleep(_LOOK_S)
            now_done = hub.metric("iothub_messages_total", "stored") - before
            if now_done != done:
                done, moved = now_done, time.time()
        ended = max(began, hub.metric("iothub_last_stored_timestamp_seconds"))
        most_spooled = spooled = hub.metric("iothub_spool_bytes")
        while spooled:
            time.sleep(_LOOK_S)
            spooled = hub.metric("iothub_spool_bytes")
        written = time.time() if most_spooled else ended
        _line(sender.stdout)
        used = {name: _cpu_s(process) - cpu_beside[name] for name, process in processes.items()}
    per_message = 1e6 / max(done, 1)
    return {
        "messages": done,
        "rate": done / (ended - began),
        "rate_written": done / (written - began),
        "cpu_us": (hub.cpu_s() - cpu) * per_message,
        "values": hub.metric("iothub_values_stored_total") - values,
        "rss_mb": hub.process.memory_info().rss / 2**20,
        **{f"cpu_us_{name}": seconds * per_message for name, seconds in used.items()},
    }


def measure(messages: int, topics: int, store: str) -> dict[str, Any]:
    """Both qualities of service, null consumer and hub in turn."""
    results: dict[str, Any] = {"messages": messages, "topics": topics, "values_a_message": _VALUES, "store": store}
    with tempfile.TemporaryDirectory(prefix="iothub-bench-") as folder:
        for qos in (0, 1):
            # As from nodes whose clocks are right: others would be alerts, a thousand of them.
            first_ms = int(time.time() * 1000)
            load = Load(messages=messages, topics=topics, values=_VALUES, qos=qos, first_ms=first_ms)
            # A broker each: no queue, session or retained message of one run may weigh on the next.
            with mosquitto(Path(folder, f"null{qos}")) as (port, _):
                null = null_run(port, load)
            with (
                mosquitto(Path(folder, f"hub{qos}")) as (port, broker),
                Influxd(Path(folder, f"influx{qos}")) if store == "influx" else contextlib.nullcontext() as database,
            ):
                hub = Hub(Path(folder, f"state{qos}"), port, store, database.settings() if database else {})
                beside = {"broker": broker} | ({"database": database.process} if database else {})
                try:
                    run = hub_run(hub, port, load, beside)
                finally:
                    hub.stop()
                if database:
                    results["server"] = database.version()
                    run["in_database"] = database.count()
            results[f"qos{qos}"] = {
                "hub_messages_per_s": run["rate"],
                "hub_messages_per_s_until_written": run["rate_written"],
                "hub_values_per_s": run["rate"] * run["values"] / max(run["messages"], 1),
                "hub_cpu_us_per_message": run["cpu_us"],
                "hub_rss_mb": run["rss_mb"],
                "received": run["messages"],
                "values_stored": run["values"],
                "null_messages_per_s": null["rate"],
                "null_cpu_us_per_message": null["cpu_us"],
                "hub_to_null": run["rate"] / null["rate"],
                "broker_cpu_us_per_message": run["cpu_us_broker"],
                "load_cpu_us_per_message": run["cpu_us_load"],
            }
            if "in_database" in run:
                results[f"qos{qos}"] |= {
                    "database_cpu_us_per_message": run["cpu_us_database"],
                    "messages_in_database": run["in_database"],
                }
    return results


def show(results: dict[str, Any]) -> None:
    """The table for people."""
    table = Table(title=f"{results['messages']:,} messages of 5 values into {results.get('server', results['store'])}")
    for name in ("", "QoS 0", "QoS 1"):
        table.add_column(name, justify="right" if name else "left")
    rows = (
        ("hub, messages/s", "hub_messages_per_s", "{:,.0f}"),
        ("hub, messages/s until in the database", "hub_messages_per_s_until_written", "{:,.0f}"),
        ("hub, values/s", "hub_values_per_s", "{:,.0f}"),
        ("hub, CPU µs/message", "hub_cpu_us_per_message", "{:.1f}"),
        ("hub, RSS MiB", "hub_rss_mb", "{:.0f}"),
        ("messages received", "received", "{:,.0f}"),
        ("values stored", "values_stored", "{:,.0f}"),
        ("messages in the database", "messages_in_database", "{:,.0f}"),
        ("broker, CPU µs/message", "broker_cpu_us_per_message", "{:.1f}"),
        ("database, CPU µs/message", "database_cpu_us_per_message", "{:.1f}"),
        ("load, CPU µs/message", "load_cpu_us_per_message", "{:.1f}"),
        ("null consumer, messages/s", "null_messages_per_s", "{:,.0f}"),
        ("null consumer, CPU µs/message", "null_cpu_us_per_message", "{:.1f}"),
        ("hub rate ÷ null rate", "hub_to_null", "{:.2f}"),
    )
    for label, key, form in rows:
        if key not in results["qos0"]:
            continue
        table.add_row(label, *(form.format(results[f"qos{qos}"][key]) for qos in (0, 1)))
    Console().print(table)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench ingest")
    parser.add_argument("--messages", type=int, default=400_000)
    parser.add_argument("--topics", type=int, default=1000)
    parser.add_argument("--store", choices=("duck", "influx", "memory"), default="duck")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    results = measure(given.messages, given.topics, given.store)
    if given.json:
        print(json.dumps(results))
    else:
        show(results)
