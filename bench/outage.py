"""``scripts/bench outage``: InfluxDB stopped for a while under load, the hub killed once in between.

    load ─▶ Mosquitto ─▶ hub ─▶ spool ─▶ InfluxDB
    probe: a message with the present time, five times a second; its lag is how old the newest one in InfluxDB is

    ├─ before ─┼──────────── InfluxDB stopped ────────────┼─ until the spool is empty ─┤
                          hub killed -9 and started

Then every sample that was published is compared with what InfluxDB holds.
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
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import verify
from bench.broker import Broker
from bench.hub import HubProcess
from bench.influxd import Influxd
from bench.load import Load, connect, encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BEFORE_S = 10.0
_AFTER_S = 60.0
_PROBE_EVERY_S = 0.2
_LAG_LIMIT_S = 2.0
_DRAIN_LIMIT_S = 600.0


class Sender:
    """``bench.load`` as a process: its messages are ready on entering."""

    def __init__(self, port: int, load: Load) -> None:
        argv = [sys.executable, "-m", "bench.load", str(port), json.dumps(asdict(load))]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._line()

    def go(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()

    def seconds(self) -> float:
        """Wait for the last acknowledgement of the broker; how long it took from ``go``."""
        return float(json.loads(self._line())["seconds"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        with self._process:
            pass

    def _line(self) -> str:
        stream: IO[str] | None = self._process.stdout
        if stream is None or not (line := stream.readline()):
            raise SystemExit("the sender ended early; its error stands above")
        return line


class Probe:
    """Publishes the present time, and watches when it can be read from InfluxDB."""

    def __init__(self, broker: Broker, influx: Influxd) -> None:
        self._broker = broker
        self._influx = influx
        self._ended = threading.Event()
        #: When it was looked (Unix seconds), and the age of the newest sample; None while InfluxDB does not answer.
        self.lags: list[tuple[float, float | None]] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=work) for work in (self._publish, self._watch)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()

    def recovery_s(self, since_s: float) -> float | None:
        """Seconds from ``since_s`` until the lag is below 2 s for good; None when it never is."""
        late = [at for at, lag in self.lags if at >= since_s and (lag is None or lag >= _LAG_LIMIT_S)]
        fine = [at for at, lag in self.lags if at > max(late, default=since_s)]
        return fine[0] - since_s if fine else None

    def worst_s(self, since_s: float) -> float:
        """Largest lag from then on."""
        return max((lag for at, lag in self.lags if at >= since_s and lag is not None), default=float("nan"))

    def _publish(self) -> None:
        with contextlib.closing(connect(self._broker.port, "bench-probe")) as link:
            while not self._ended.wait(_PROBE_EVERY_S):
                now_ms = int(time.time() * 1000)
                message = f'{{"ts":{now_ms},"values":{{"n":1}}}}'.encode()
                link.sendall(encoded([("iot/v1/probe/telemetry/live", message)])[0])

    def _watch(self) -> None:
        while not self._ended.wait(_PROBE_EVERY_S):
            at = time.time()
            lag = None
            with contextlib.suppress(OSError):
                found = self._influx.ask('SELECT last("n") FROM "live"')
                lag = at - found[0]["values"][0][0] / 1e9 if found else None
            self.lags.append((at, lag))


def measure(
    folder: Path, *, outage_s: float, rate: float, topics: int, values: int, before_s: float, after_s: float
) -> dict[str, Any]:
    """The whole story; figures by name."""
    load = Load(
        messages=int(rate * (before_s + outage_s + after_s)),
        topics=topics,
        values=values,
        rate=rate,
        first_ms=int(time.time() * 1000) - 3_600_000,
    )
    influx = Influxd(folder / "influx")
    hub_settings = {"IOTHUB_LOG__LEVEL": "info", **influx.settings()}
    with Broker(folder / "broker") as broker, influx:
        hub = HubProcess(folder / "state", broker.port, hub_settings)
        probe = Probe(broker, influx)
        with Sender(broker.port, load) as sender, hub, probe.running():
            hub.wait_linked()
            sender.go()
            time.sleep(before_s)
            influx.stop()
            time.sleep(outage_s / 2)
            hub.kill()
            hub.start()
            time.sleep(outage_s / 2)
            spooled_bytes = hub.metric("iothub_spool_bytes")
            spooled_hours = hub.metric("iothub_spool_hours")
            said = _store_link(hub)
            influx.start()
            back_s = time.time()
            drained_s = _wait(lambda: not hub.metric("iothub_spool_bytes"), "the spool is not empty") - back_s
            sent_s = sender.seconds()
            _wait(lambda: hub.metric("iothub_spool_bytes") == 0 and _settled(hub), "the hub does not settle")
            rss_bytes = hub.rss_bytes()
            time.sleep(1.0)
        verdict, disordered = _compare(load, influx)
        damaged = [path.name for path in (folder / "state" / "spool").rglob("*.damaged")]
    books = verify.books(folder / "state")
    return {
        "outage_s": outage_s,
        "messages": load.messages,
        "messages_per_s": load.messages / sent_s,
        "samples_expected": verdict.expected,
        "samples_stored": verdict.stored,
        "lost": verdict.lost,
        "duplicated": verdict.twice + verdict.extra,
        "changed": verdict.changed,
        "disordered": disordered,
        "damaged_segments": len(damaged),
        "unaccounted": books.unaccounted(),
        "spooled_mib": spooled_bytes / 2**20,
        "spooled_hours": spooled_hours,
        "health_said": said,
        "drained_after_s": drained_s,
        "lag_below_2s_after_s": probe.recovery_s(back_s),
        "worst_lag_while_draining_s": probe.worst_s(back_s + (probe.recovery_s(back_s) or 0)),
        "hub_rss_mb": rss_bytes / 2**20,
    }


def _store_link(hub: HubProcess) -> str:
    return str(next(link["detail"] for link in hub.health()["links"] if link["name"] == "store"))


def _settled(hub: HubProcess) -> bool:
    before = hub.metric("iothub_messages_received_total")
    time.sleep(1.0)
    # The probe goes on: five a second.
    return hub.metric("iothub_messages_received_total") - before < 20


def _wait(condition: Callable[[], bool], what: str) -> float:
    deadline = time.monotonic() + _DRAIN_LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} after {_DRAIN_LIMIT_S:.0f} s")
        time.sleep(0.1)
    return time.time()


def _compare(load: Load, influx: Influxd) -> tuple[verify.Verdict, int]:
    """What was published with what InfluxDB holds, and the number of times that do not ascend."""
    wanted = verify.expected(load)
    total = np.zeros(6, np.int64)
    disordered = 0
    for node in sorted({node for node, _, _ in wanted}):
        found = {}
        for series in influx.ask(f'SELECT * FROM "bench" WHERE "node" = \'{node}\''):  # noqa: S608  our own names
            ts_ns = np.array([row[0] for row in series["values"]], np.int64)
            disordered += int((np.diff(ts_ns) <= 0).sum())
            for i, name in enumerate(series["columns"]):
                if name.startswith("value"):
                    values = np.array([row[i] for row in series["values"]], float)
                    there = ~np.isnan(values)
                    found[node, "bench", name] = verify.Samples(ts_ns[there], values[there])
        verdict = verify.compare({key: samples for key, samples in wanted.items() if key[0] == node}, found)
        total += np.array(verdict)
    return verify.Verdict(*total.tolist()), disordered


def show(results: dict[str, Any]) -> None:
    """The table for people."""
    table = Table(title=f"InfluxDB stopped for {results['outage_s']:.0f} s, the hub killed once in between")
    table.add_column("")
    table.add_column("", justify="right")
    for name, found in results.items():
        shown = f"{found:,.2f}" if isinstance(found, float) else f"{found:,}" if isinstance(found, int) else str(found)
        table.add_row(name.replace("_", " "), shown)
    Console().print(table)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench outage")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long InfluxDB is away")
    parser.add_argument("--rate", type=float, default=5000.0, help="messages a second")
    parser.add_argument("--topics", type=int, default=1000)
    parser.add_argument("--values", type=int, default=1, help="values in one message")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="iothub-bench-") as folder:
        results = measure(
            Path(folder),
            outage_s=given.seconds,
            rate=given.rate,
            topics=given.topics,
            values=given.values,
            before_s=_BEFORE_S,
            after_s=_AFTER_S,
        )
    if given.json:
        print(json.dumps(results))
    else:
        show(results)
