"""CPU: use of all cores together and of each, where the time went, and load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psutil

from agent.collectors.base import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: Linux counts guest time in user time too.
_COUNTED_TWICE: Final = frozenset({"guest", "guest_nice"})
#: Waiting for a disk is not using the CPU.
_NOT_BUSY: Final = frozenset({"idle", "iowait"})


class CpuCollector:
    """``cpu``: the total without tags, and one series a core."""

    name = "cpu"
    interval_s = 10.0

    def __init__(
        self,
        read_total: Callable[[], Any] = psutil.cpu_times,
        read_cores: Callable[[], Sequence[Any]] = lambda: psutil.cpu_times(percpu=True),
        read_load: Callable[[], tuple[float, float, float]] = psutil.getloadavg,
    ) -> None:
        self._read_total = read_total
        self._read_cores = read_cores
        self._read_load = read_load
        self._total: dict[str, float] = {}
        self._cores: list[dict[str, float]] = []

    def collect(self, now_s: float) -> list[Sample]:  # noqa: ARG002  the times themselves say how much time passed
        load1, load5, load15 = self._read_load()
        total: dict[str, float] = self._read_total()._asdict()
        cores: list[dict[str, float]] = [core._asdict() for core in self._read_cores()]
        shares = percentages(self._total, total) if self._total else {}
        samples = [Sample("cpu", {**shares, "load1": load1, "load5": load5, "load15": load15})]
        if len(self._cores) == len(cores):  # else cores were switched on or off: start anew
            for index, (before, after) in enumerate(zip(self._cores, cores, strict=True)):
                if (usage := percentages(before, after).get("usage")) is not None:
                    samples.append(Sample("cpu", {"usage": usage}, {"core": str(index)}))
        self._total, self._cores = total, cores
        return samples


def percentages(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Share of each state between two readings, and ``usage``: all that is neither idle nor waiting for a disk.

    Readings are seconds since boot in each state, as ``psutil.cpu_times()`` gives them. Empty when no time passed. A
    state that went back (Linux lets iowait do that) counts as standing still.
    """
    spent = {
        state: max(0.0, seconds - before.get(state, 0.0))
        for state, seconds in after.items()
        if state not in _COUNTED_TWICE
    }
    total = sum(spent.values())
    if total <= 0:
        return {}
    busy = sum(seconds for state, seconds in spent.items() if state not in _NOT_BUSY)
    shares = {f"{state}_percent": 100 * seconds / total for state, seconds in spent.items() if state != "idle"}
    return {"usage": 100 * busy / total, **shares}
