"""The yardstick: reads what the broker delivers and acknowledges it at once, nothing else."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time

import structlog

from hub.link import Filter, Link, LinkOptions


async def consume(port: int, expected: int, receive_max: int, idle_s: float) -> None:
    """Say ready; at the end how many came, how long it took, and what it cost."""
    ready = asyncio.Event()
    link = Link(
        LinkOptions("127.0.0.1", port, "bench-null", receive_max=receive_max, session_expiry_s=0),
        [Filter("iot/v1/#")],
        on_connect=ready.set,
    )
    running = asyncio.create_task(link.run())
    await ready.wait()
    print("ready", flush=True)
    count, began, ended, cpu = 0, 0.0, 0.0, 0.0
    while count < expected:
        try:
            async with asyncio.timeout(idle_s if count else 60):
                batch = await link.batch()
        except TimeoutError:
            break
        if not count:
            began, cpu = time.perf_counter(), time.process_time()
        count += len(batch.messages)
        link.acknowledge(batch)
        ended = time.perf_counter()
    used = time.process_time() - cpu
    print(json.dumps({"messages": count, "seconds": ended - began, "cpu_s": used}), flush=True)
    running.cancel()
    await asyncio.wait({running})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("messages", type=int)
    parser.add_argument("--receive-max", type=int, default=20_000)
    parser.add_argument("--idle-s", type=float, default=3.0)
    given = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(consume(given.port, given.messages, given.receive_max, given.idle_s))
