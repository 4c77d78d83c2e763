"""What each disk reads and writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from agent.collectors.base import Sample, matches_any
from agent.rates import Rates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: Devices that are a part or a view of others, or no disk.
IGNORED_DEVICES: Final = ("fd*", "loop*", "ram*", "sr*", "zram*")
#: No disk does more.
_MOST_PER_S: Final = {"reads": 1e8, "writes": 1e8, "read_bytes": 1e12, "write_bytes": 1e12, "busy_ms": 1100.0}
_SYS_BLOCK: Final = Path("/sys/block")


class DiskIoCollector:
    """``diskio``: rates of each whole disk (tag ``device``); partitions are parts of it and left out."""

    name = "diskio"
    interval_s = 10.0

    def __init__(
        self,
        ignored_devices: Iterable[str] = IGNORED_DEVICES,
        # nowrap off: psutil would take every counter that fell for one that wrapped
        read: Callable[[], Mapping[str, Any] | None] = lambda: psutil.disk_io_counters(perdisk=True, nowrap=False),
        is_whole: Callable[[str], bool] | None = None,
    ) -> None:
        self._ignored = tuple(ignored_devices)
        self._read = read
        self._is_whole = is_whole or is_whole_disk
        self._rates = Rates(_MOST_PER_S)

    def collect(self, now_s: float) -> list[Sample]:
        samples: list[Sample] = []
        disks = {
            name: counters
            for name, counters in (self._read() or {}).items()  # None: a machine without any
            if not matches_any(name, self._ignored) and self._is_whole(name)
        }
        for name, counters in disks.items():
            rates = self._rates.update(name, now_s, _counters(counters))
            if rates is None:
                continue
            busy_ms_per_s = rates.pop("busy_ms", None)
            values = {f"{field}_per_s": rate for field, rate in rates.items()}
            if busy_ms_per_s is not None:
                values["busy_percent"] = min(100.0, busy_ms_per_s / 10)
            samples.append(Sample("diskio", {**values}, {"device": name}))
        self._rates.keep(disks)
        return samples


def is_whole_disk(name: str) -> bool:
    """Whether the kernel lists ``name`` as a disk of its own; where it has no such list, all are."""
    return not _SYS_BLOCK.is_dir() or (_SYS_BLOCK / name.replace("/", "!")).exists()


def _counters(counters: Any) -> dict[str, int]:
    named = {
        "reads": counters.read_count,
        "writes": counters.write_count,
        "read_bytes": counters.read_bytes,
        "write_bytes": counters.write_bytes,
    }
    if (busy_ms := getattr(counters, "busy_time", None)) is not None:  # Linux and FreeBSD
        named["busy_ms"] = busy_ms
    return named
