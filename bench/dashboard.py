"""``scripts/bench dashboard``: the pages before 1,000 nodes and a month of their history, in real Chromium.

    history ─▶ store ─▶ hub ◀── API ── dashboard ◀── Chromium     how long pages and charts take
    load ─▶ Mosquitto ─▶ hub                     ◀── ten viewers   what they cost the ingest, and what one does

A page is painted when what a viewer came for can be seen: the table, the chart, the form. Chromium has loaded the front
end before (nobody logs in without), everything else is asked anew. The ingest runs as fast as it goes, by turns while
nobody looks, while ten viewers of Overview look from machines of their own (all that their browsers send and receive,
without the browsers), and while ten Chromiums look from this machine, on what processor time nobody else wants.
Making the history takes some minutes; ``--folder`` keeps it for six hours of further runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from bench import history
from bench.audience import Browsers, Dashboard, Watchers, line
from bench.broker import mosquitto
from bench.hub import HubProcess
from bench.load import Load, connect, encoded, send
from wire.messages import NodeState, Status, encode
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOPICS: Final = Topics()
_LOG_RECORDS: Final = 2_000
_VIEWERS: Final = 10
_LOOK_S: Final = 10.0
_PULSE_S: Final = 20.0
#: What is wanted: seconds, and a share.
LIMITS: Final = {"page": 2.5, "explore_1": 1.0, "explore_20": 2.0, "ingest_ratio": 0.9}


def _be_born(port: int, nodes: int) -> None:
    """All nodes are online, and the first of them has written a log."""
    now_ms = int(time.time() * 1000)
    info = {"host": "simulated", "os": "bench", "cores": 4}
    birth = encode(Status(NodeState.ONLINE, ts=now_ms, session="bench", version="1.0", info=info))
    names = [history.node(i) for i in range(nodes)]
    load = Load(messages=nodes, topics=nodes)
    link = connect(port, "bench-births")
    send(link, encoded([(_TOPICS.status(name), birth) for name in names], retain=True), load)
    records = [
        (
            _TOPICS.log(names[i % nodes]),
            json.dumps({"ts": now_ms - i * 500, "level": "info", "message": f"record {i}"}).encode(),
        )
        for i in range(_LOG_RECORDS)
    ]
    send(link, encoded(records), Load(messages=_LOG_RECORDS, topics=nodes))
    link.close()


@contextlib.contextmanager
def _heard(port: int, nodes: int) -> Iterator[None]:
    """All nodes go on sending, so that none falls silent: each a message every 20 s."""
    load = Load(messages=nodes, topics=nodes, values=1)
    topics = [_TOPICS.telemetry(history.node(i), "cpu") for i in range(nodes)]
    ended = threading.Event()

    def beat() -> None:
        link = connect(port, "bench-pulse")
        while True:
            send(link, encoded([(topic, b'{"usage": 42.0}') for topic in topics]), load)
            if ended.wait(_PULSE_S):
                break
        link.close()

    thread = threading.Thread(target=beat, name="pulse")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _ingest_rate(hub: HubProcess, port: int, messages: int, nodes: int) -> tuple[float, float]:
    """Messages a second until all are durable and acknowledged, and CPU µs of the hub a message."""
    load = Load(messages=messages, topics=nodes, first_ms=int(time.time() * 1000) - 600_000)
    argv = [sys.executable, "-m", "bench.load", str(port), json.dumps(asdict(load))]
    before = hub.metric("iothub_messages_received_total")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sender:
        line(sender.stdout)
        began, cpu = time.perf_counter(), hub.cpu_s()
        for _ in range(2):  # one line to begin, one to end
            if sender.stdin is not None:
                print("go", file=sender.stdin, flush=True)
        while hub.metric("iothub_messages_received_total") - before < messages:
            time.sleep(0.1)
            if time.perf_counter() - began > 300:
                raise SystemExit("the hub did not store everything within 300 s")
        return messages / (time.perf_counter() - began), (hub.cpu_s() - cpu) / messages * 1e6


def _cost(hub: HubProcess, dashboard: Dashboard, seconds: float) -> dict[str, float]:
    """Requests at the API and CPU a second."""
    cpu, own, asked = hub.cpu_s(), dashboard.cpu_s(), hub.metric("iothub_http_requests_total")
    began = time.perf_counter()
    time.sleep(seconds)
    asked = hub.metric("iothub_http_requests_total") - asked
    took = time.perf_counter() - began
    return {
        "requests_per_s": asked / took,
        "hub_cpu": (hub.cpu_s() - cpu) / took,
        "dashboard_cpu": (dashboard.cpu_s() - own) / took,
    }


def _with_viewers(
    hub: HubProcess, port: int, dashboard: Dashboard, token: str, given: argparse.Namespace
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    _ingest_rate(hub, port, given.messages // 4, given.nodes)  # the series are made
    for key, count in (("one_viewer", 1), ("ten_viewers", _VIEWERS)):
        with Watchers(dashboard.url, token, count) as watchers:
            found[key] = _cost(hub, dashboard, _LOOK_S)
        found[key]["redraws_per_s"] = watchers.redraws_per_s
    rates: dict[str, list[tuple[float, float]]] = {"nobody": [], "elsewhere": [], "here": []}
    redraws = []
    with Browsers(dashboard.url, token, _VIEWERS) as browsers:
        for _ in range(given.rounds):
            browsers.look_away()
            rates["nobody"].append(_ingest_rate(hub, port, given.messages, given.nodes))
            with Watchers(dashboard.url, token, _VIEWERS) as watchers:
                rates["elsewhere"].append(_ingest_rate(hub, port, given.messages, given.nodes))
            redraws.append(watchers.redraws_per_s)
            browsers.look()
            rates["here"].append(_ingest_rate(hub, port, given.messages, given.nodes))
    found["ingest"] = {who: [rate for rate, _ in each] for who, each in rates.items()}
    found["ingest_cpu_us"] = {who: [cpu for _, cpu in each] for who, each in rates.items()}
    found["ingest_redraws_per_s"] = redraws
    for who in ("elsewhere", "here"):
        # Of neighbours: whatever else the machine does weighs on all of them.
        pairs = list(zip(rates[who], rates["nobody"], strict=True))
        found[f"ingest_ratio_{who}"] = statistics.median(one / other for (one, _), (other, _) in pairs)
        found[f"cpu_ratio_{who}"] = statistics.median(other / one for (_, one), (_, other) in pairs)
    return found


def measure(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    from bench import viewers  # noqa: PLC0415  who only makes the history needs no browser

    made = history.ready(folder, given.nodes, given.samples)
    results: dict[str, Any] = {"history": asdict(made)}
    keep = {"IOTHUB_STORE__RETENTION__RAW": f"{history.KEEP.raw:.0f}s", "IOTHUB_LOG__LEVEL": "warning"}
    with (
        tempfile.TemporaryDirectory(prefix="iothub-bench-") as broken,
        mosquitto(Path(broken)) as (port, _),
        HubProcess(folder / history.STATE, port, keep) as hub,
        Dashboard(hub.url) as dashboard,
        contextlib.ExitStack() as stack,
    ):
        hub.wait_linked()
        _be_born(port, given.nodes)
        stack.enter_context(_heard(port, given.nodes))
        token = hub.token()
        if "pages" in given.only:
            with viewers.chromium() as browser:
                results["pages"] = viewers.pages_s(browser, dashboard.url, token, given.rounds)
        if "explore" in given.only:
            with viewers.chromium() as browser:
                results["explore_1"] = viewers.explore_s(browser, dashboard.url, token, 1, given.rounds)
                results["explore_20"] = viewers.explore_s(browser, dashboard.url, token, 20, given.rounds)
        if "ingest" in given.only:
            results |= _with_viewers(hub, port, dashboard, token, given)
    return results


def show(results: dict[str, Any]) -> None:
    """The table for people."""
    made = results["history"]
    table = Table(title=f"{made['nodes']:,} nodes, {made['stored']:,} stored samples over {history.DAYS} days")
    for name in ("", "median", "worst", "wanted"):
        table.add_column(name, justify="right" if name else "left")
    for path, times in results.get("pages", {}).items():
        later = times[1:]  # the first also loaded the front end
        shown = path.partition("?")[0] or "overview"
        table.add_row(
            f"{shown}, first useful paint",
            f"{statistics.median(later):.2f} s",
            f"{max(later):.2f} s",
            f"≤ {LIMITS['page']} s",
        )
    for key, label in (("explore_1", "Explore 30 days, 1 series"), ("explore_20", "Explore 30 days, 20 series")):
        if times := results.get(key):
            table.add_row(label, f"{statistics.median(times):.2f} s", f"{max(times):.2f} s", f"≤ {LIMITS[key]} s")
    if "ingest" in results:
        rate, cpu = (
            {who: statistics.median(each) for who, each in results[key].items()} for key in ("ingest", "ingest_cpu_us")
        )
        table.add_row("ingest, nobody looks", f"{rate['nobody']:,.0f}/s", f"{cpu['nobody']:.1f} µs", "")
        for who, label in (("elsewhere", "ten look from elsewhere"), ("here", "ten Chromiums on these processors")):
            table.add_row(f"ingest, {label}", f"{rate[who]:,.0f}/s", f"{cpu[who]:.1f} µs", "")
            wanted = f"≥ {LIMITS['ingest_ratio']}" if who == "elsewhere" else ""
            table.add_row(
                "  by that of nobody: rate, CPU a message",
                f"{results[f'ingest_ratio_{who}']:.3f}",
                f"{results[f'cpu_ratio_{who}']:.3f}",
                wanted,
            )
        redraws = statistics.median(results["ingest_redraws_per_s"])
        table.add_row("  redraws of live parts meanwhile", f"{redraws:.1f}/s", "", "")
        for key, label in (("one_viewer", "one viewer"), ("ten_viewers", "ten viewers")):
            cost = results[key]
            table.add_row(
                f"{label}: redraws, requests at the API",
                f"{cost['redraws_per_s']:.1f}/s",
                f"{cost['requests_per_s']:.1f}/s",
                "",
            )
            table.add_row(
                f"{label}: CPU of hub, of dashboard", f"{cost['hub_cpu']:.2f}", f"{cost['dashboard_cpu']:.2f}", ""
            )
    Console().print(table)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench dashboard")
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=50_000_000, help="in the store, over 30 days")
    parser.add_argument("--messages", type=int, default=300_000, help="of 5 values, for each run of the ingest")
    parser.add_argument("--rounds", type=int, default=3, help="how often each page is opened")
    parser.add_argument("--folder", type=Path, default=None, help="keeps the history (default: none is kept)")
    parser.add_argument(
        "--only", nargs="+", choices=("pages", "explore", "ingest"), default=["pages", "explore", "ingest"]
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iothub-bench-")), "month")
        results = measure(folder, given)
    if given.json:
        print(json.dumps(results))
    else:
        show(results)
