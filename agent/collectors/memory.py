"""Memory and swap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psutil

from agent.collectors.base import Sample
from agent.rates import Rates

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.point import Value

#: No memory moves pages to a disk faster.
_MOST_BYTES_PER_S: Final = 100e9
#: Fields that some systems have and some have not.
_OPTIONAL: Final = ("free", "active", "inactive", "buffers", "cached", "shared", "slab", "wired")


class MemoryCollector:
    """``memory`` and ``swap``."""

    name = "memory"
    interval_s = 10.0

    def __init__(
        self,
        read_memory: Callable[[], Any] = psutil.virtual_memory,
        read_swap: Callable[[], Any] = psutil.swap_memory,
    ) -> None:
        self._read_memory = read_memory
        self._read_swap = read_swap
        self._rates = Rates({"in_bytes": _MOST_BYTES_PER_S, "out_bytes": _MOST_BYTES_PER_S})

    def collect(self, now_s: float) -> list[Sample]:
        memory = self._read_memory()
        values: dict[str, Value] = {
            "total_bytes": memory.total,
            "available_bytes": memory.available,
            "used_bytes": memory.used,
            "used_percent": memory.percent,
        }
        for name in _OPTIONAL:
            if (amount := getattr(memory, name, None)) is not None:
                values[f"{name}_bytes"] = amount
        return [Sample("memory", values), self._swap(now_s)]

    def _swap(self, now_s: float) -> Sample:
        swap = self._read_swap()
        values: dict[str, Value] = {
            "total_bytes": swap.total,
            "used_bytes": swap.used,
            "free_bytes": swap.free,
            "used_percent": swap.percent,
        }
        rates = self._rates.update("swap", now_s, {"in_bytes": swap.sin, "out_bytes": swap.sout})
        values.update({f"{name}_per_s": rate for name, rate in (rates or {}).items()})
        return Sample("swap", values)
