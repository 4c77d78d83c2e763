"""``scripts/bench faults``: nodes, broker and hub are killed -9 at random while points flow; then they are counted.

    faulty_node × n ──▶ Mosquitto ──▶ hub ──▶ store
       outbox ✝           ✝            ✝
         └── how many points there are ──▶ expected ─▶ compare ◀─ stored ◀── fresh look into the file

Generated is what an outbox had on its disk. ``--trim-at-puback`` is the proof that the comparison can fail: nodes then
free messages when the broker has acknowledged them, as most do, and what a killed broker had not saved is lost.
``--matrix`` instead runs the fault tests (tests/faults) at length.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import verify
from bench.broker import Broker
from bench.faulty_node import FIELD, MEASUREMENT, journal_file, outbox_file, quiet_file
from bench.hub import HubProcess
from wire.outbox_file import OutboxFile
from wire.point import NS_PER_MS

if TYPE_CHECKING:
    from bench.verify import Samples, Series

#: Node ids in each process.
_IDS = 2
#: How many of the three die at once: mostly one, sometimes two, now and then all.
_TOGETHER = (1, 1, 1, 1, 1, 1, 2, 2, 3)
_DRAIN_LIMIT_S = 300.0


class NodeProcess:
    """One process of :mod:`bench.faulty_node`."""

    def __init__(self, folder: Path, port: int, base_ms: int, names: list[str], *, trim: bool) -> None:
        self.names = names
        self._folder = folder
        self._arguments = [str(port), str(folder), str(base_ms)]
        self._more = [*names, *(["--trim-at-puback"] if trim else [])]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, rate: float) -> None:
        argv = [sys.executable, "-m", "bench.faulty_node", *self._arguments, str(rate), *self._more]
        with (self._folder / f"{self.names[0]}.log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log)

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.send_signal(how)
            process.wait(60)

    def waiting(self) -> int | None:
        """Messages that wait in its outboxes; None until it says so."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"the process of {self.names} ended; see {self._folder}")
        with contextlib.suppress(FileNotFoundError):
            said = json.loads((self._folder / f"{self.names[0]}.status").read_text())
            return int(said["waiting"]) if said["pid"] == self._process.pid else None
        return None


class Chaos:
    """The whole chain, and what is done to it."""

    def __init__(self, folder: Path, given: argparse.Namespace) -> None:
        self._dice = random.Random(given.seed)
        self._rate = given.rate / given.processes
        self._kills = given.kills
        self._gap_s = given.seconds / max(1, given.kills)
        self.killed: Counter[str] = Counter()
        self.folder = folder
        self.nodes_folder = folder / "nodes"
        self.nodes_folder.mkdir(parents=True)
        self.broker = Broker(folder / "broker")
        self.hub = HubProcess(folder / "state", self.broker.port, {"IOTHUB_LOG__LEVEL": "warning"})
        self.base_ms = int(time.time() * 1000) - 6 * 3_600_000
        self.nodes = [
            NodeProcess(
                self.nodes_folder,
                self.broker.port,
                self.base_ms,
                [f"chaos-{process}-{i}" for i in range(_IDS)],
                trim=given.trim_at_puback,
            )
            for process in range(given.processes)
        ]

    async def run(self) -> dict[str, float]:
        """Start, kill, drain, stop; how long it took."""
        await asyncio.to_thread(self.broker.start)
        await asyncio.to_thread(self.hub.start)
        await asyncio.to_thread(self.hub.wait_linked)
        for node in self.nodes:
            node.start(self._rate)
        began = time.monotonic()
        while self.killed.total() < self._kills:
            await asyncio.sleep(self._gap_s * self._dice.uniform(0.3, 1.7))
            victims = self._dice.sample(("node", "broker", "hub"), self._dice.choice(_TOGETHER))
            await asyncio.gather(*(self._kill(victim) for victim in victims))
        chaos_s = time.monotonic() - began
        quiet_file(self.nodes_folder).touch()
        began = time.monotonic()
        await self._drain()
        drain_s = time.monotonic() - began
        for node in self.nodes:
            node.end(signal.SIGTERM)
        await asyncio.to_thread(self.hub.stop)
        self.broker.stop()
        return {"chaos_s": chaos_s, "drain_s": drain_s}

    def close(self) -> None:
        """End what still runs."""
        for node in self.nodes:
            node.end()
        self.hub.kill()
        self.broker.kill()

    async def _kill(self, victim: str) -> None:
        """Kill -9, and start again after up to a second."""
        self.killed[victim] += 1
        down_s = self._dice.uniform(0, 1)
        if victim == "node":
            node = self._dice.choice(self.nodes)
            node.end()
            await asyncio.sleep(down_s)
            node.start(self._rate)
            return
        server = self.broker if victim == "broker" else self.hub
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(down_s)
        await asyncio.to_thread(server.start)

    async def _drain(self) -> None:
        """Wait until the outboxes are empty and the hub has nothing more to do."""
        deadline, before = time.monotonic() + _DRAIN_LIMIT_S, -1.0
        while time.monotonic() < deadline:
            waiting = [node.waiting() for node in self.nodes]
            stored = await asyncio.to_thread(self.hub.metric, "iothub_values_stored_total")
            if not any(wait is None or wait for wait in waiting) and stored == before:
                return
            before = stored
            await asyncio.sleep(1)


def generated(folder: Path, nodes: list[NodeProcess], base_ms: int) -> dict[Series, Samples]:
    """What the outboxes had on their disks, as it must be stored."""
    found: dict[Series, Samples] = {}
    for name in (name for node in nodes for name in node.names):
        outbox = OutboxFile(outbox_file(folder, name), max_bytes=None, sync=False)
        last = outbox.last_seq
        outbox.close()
        lines = journal_file(folder, name).read_text().split()
        last = max(last, *map(int, lines)) if lines else last
        numbers = np.arange(1, last + 1)
        found[name, MEASUREMENT, FIELD] = verify.Samples((base_ms + numbers) * NS_PER_MS, numbers.astype(np.float64))
    return found


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """One run; all figures."""
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iothub-faults-")))
        chaos = Chaos(folder, given)
        try:
            took = asyncio.run(chaos.run())
        finally:
            chaos.close()
        wanted = generated(chaos.nodes_folder, chaos.nodes, chaos.base_ms)
        verdict = verify.compare(wanted, verify.stored(chaos.hub.state))
        books = verify.books(chaos.hub.state)
    data = [row for node, row in books.rows.items() if node.startswith("chaos-")]
    received = sum(row.stored + row.duplicate for row in data)
    return {
        "trim_at_puback": given.trim_at_puback,
        "seed": given.seed,
        "kills": dict(chaos.killed),
        **{key: round(value, 1) for key, value in took.items()},
        "generated": verdict.expected,
        "generated_per_s": round(verdict.expected / took["chaos_s"]),
        "stored": verdict.stored,
        "lost": verdict.lost,
        "duplicated": verdict.twice,
        "extra": verdict.extra,
        "changed": verdict.changed,
        "transmissions": round(received / max(1, verdict.expected), 2),
        "ledger_unaccounted": books.unaccounted(),
        "ledger_missing": books.total("missing"),
        "ledger_refused": books.refused(),
        "ok": verdict.ok and books.unaccounted() == 0 and (given.trim_at_puback or books.total("missing") == 0),
    }


def show(results: dict[str, Any]) -> None:
    """The table for people."""
    what = "freed at PUBACK" if results["trim_at_puback"] else "freed at the hub's receipt"
    killed = results["kills"]
    table = Table(title=f"faults: {sum(killed.values())} kill -9 in {results['chaos_s']:.0f} s, messages {what}")
    table.add_column("")
    table.add_column("", justify="right")
    for label, value in (
        ("killed: nodes, broker, hub", ", ".join(f"{killed.get(k, 0)}" for k in ("node", "broker", "hub"))),
        ("points generated", f"{results['generated']:,}"),
        ("  a second", f"{results['generated_per_s']:,}"),
        ("points stored", f"{results['stored']:,}"),
        ("lost", f"{results['lost']:,}"),
        ("duplicated", f"{results['duplicated']:,}"),
        ("never generated", f"{results['extra']:,}"),
        ("changed", f"{results['changed']:,}"),
        ("deliveries of each", f"{results['transmissions']:.2f}"),
        ("drained within, s", f"{results['drain_s']:.1f}"),
        ("ledger: unaccounted for", f"{results['ledger_unaccounted']:,}"),
        ("ledger: missing", f"{results['ledger_missing']:,}"),
        ("ledger: refused", f"{sum(results['ledger_refused'].values()):,}"),
    ):
        table.add_row(label, value)
    Console().print(table)


def matrix() -> int:
    """The fault tests at the length that the project promises."""
    environment = {**os.environ, "FAULT_SCALE": "20"}
    argv = [sys.executable, "-m", "pytest", "tests/faults", "-v", "--timeout", "1800", "--durations", "0"]
    return subprocess.run(argv, env=environment, check=False).returncode


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench faults")
    parser.add_argument("--kills", type=int, default=50, help="processes killed, singly and together")
    parser.add_argument("--rate", type=float, default=2000.0, help="points a second, over all nodes")
    parser.add_argument("--processes", type=int, default=4, help="of nodes, two node ids each")
    parser.add_argument("--seconds", type=float, default=150.0, help="about how long the kills take")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1000))
    parser.add_argument("--trim-at-puback", action="store_true", help="free at PUBACK: must lose, or nothing is proved")
    parser.add_argument("--matrix", action="store_true", help="run the fault tests at length instead")
    parser.add_argument("--folder", type=Path, help="an empty one for files and logs, which then stay")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    given = arguments(argv)
    if given.matrix:
        sys.exit(matrix())
    results = measure(given)
    if given.json:
        print(json.dumps(results))
    else:
        show(results)
    if not results["ok"] and not given.trim_at_puback:
        sys.exit("faults: something was lost, repeated or not accounted for")
    if given.trim_at_puback and not results["lost"]:
        sys.exit("faults: nothing was lost, so this run proves nothing; give it more kills")
