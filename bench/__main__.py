"""``scripts/bench NAME``: runs one benchmark; each prints a table, with ``--json`` one JSON object."""

from __future__ import annotations

import importlib
import sys

#: Name → module with ``main(argv)``; imported when it is wanted.
BENCHMARKS = {
    "alerts": "bench.alerts",
    "backlog": "bench.backlog",
    "commands": "bench.commands",
    "dashboard": "bench.dashboard",
    "faults": "bench.faults",
    "ingest": "bench.ingest",
    "latency": "bench.latency",
    "outage": "bench.outage",
    "rules": "bench.rules",
    "scaling": "bench.scaling",
    "store": "bench.store",
}


def main() -> int:
    name, *rest = sys.argv[1:] or [""]
    if name not in BENCHMARKS:
        print(f"usage: scripts/bench {{{','.join(BENCHMARKS)}}} [--json]", file=sys.stderr)
        return 2
    importlib.import_module(BENCHMARKS[name]).main(rest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
