"""``processes``: what runs on this host, the biggest first."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Final, Literal

import msgspec
import psutil

from agent.commands.base import Answer, Host, Request
from agent.threads import in_thread

#: CPU use is what was spent in this time.
_MEASURED_S: Final = 0.5
#: Never the command line, which may hold secrets.
_ATTRIBUTES: Final = ("pid", "name", "username", "status", "cpu_times", "memory_info", "create_time")


class ProcessesArgs(msgspec.Struct, forbid_unknown_fields=True):
    """Which processes to show, and how many."""

    top: Annotated[int, msgspec.Meta(ge=1, le=500)] = 20
    by: Literal["cpu", "memory"] = "cpu"
    #: Only those whose name contains this.
    name: str = ""


async def processes(_host: Host, _request: Request, args: ProcessesArgs) -> Answer:
    """The processes with most CPU or memory use; command lines and environments are never read."""
    before, started_s = await in_thread("processes", _read), time.monotonic()
    await asyncio.sleep(_MEASURED_S)
    now, elapsed_s = await in_thread("processes", _read), time.monotonic() - started_s
    rows = [
        {**row, "cpu_percent": round(100 * max(0.0, row["cpu_s"] - before.get(key, row)["cpu_s"]) / elapsed_s, 1)}
        for key, row in now.items()
        if args.name in row["name"]
    ]
    key = "cpu_percent" if args.by == "cpu" else "rss_bytes"
    rows.sort(key=lambda row: (-row[key], -row["rss_bytes"], row["pid"]))
    return Answer({"processes": rows[: args.top], "total": len(now), "shown": min(len(rows), args.top)})


def _read() -> dict[tuple[int, float], dict[str, Any]]:
    """By pid and start, because pids come again."""
    found = {}
    for process in psutil.process_iter(_ATTRIBUTES):
        about = process.info
        times, memory, started_s = about["cpu_times"], about["memory_info"], about["create_time"] or 0.0
        found[(about["pid"], started_s)] = {
            "pid": about["pid"],
            "name": _plain(about["name"] or ""),
            "user": about["username"] or "",
            "status": about["status"],
            "cpu_s": round(times.user + times.system, 2) if times is not None else 0.0,
            "rss_bytes": memory.rss if memory is not None else 0,  # None: not ours to read
            "started": int(started_s * 1000),
        }
    return found


def _plain(name: str) -> str:
    """A name that can travel as UTF-8: processes choose their own."""
    return name.encode("utf-8", "backslashreplace").decode()
