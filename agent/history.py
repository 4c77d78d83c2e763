"""What the outbox holds and has room for, in bytes, messages and hours."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.outgoing import Outbox
    from wire.point import Value

_HOUR_S: Final = 3600.0
#: The present rate is that of the last ten minutes, and unknown before one has passed: the start is no usual minute.
_LONGEST_S: Final = 600.0
_SHORTEST_S: Final = 60.0


class History:
    """Turns what an outbox says about itself into figures to be published.

    Args:
        clock_s: monotonic.
        clock_ms: Unix time in ms.
    """

    def __init__(
        self, outbox: Outbox, *, clock_s: Callable[[], float] = time.monotonic, clock_ms: Callable[[], int]
    ) -> None:
        self._outbox = outbox
        self._clock_s = clock_s
        self._clock_ms = clock_ms
        #: When so many bytes had been taken.
        self._readings: deque[tuple[float, int]] = deque()

    def figures(self) -> dict[str, Value]:
        """``outbox_left_hours``: until it is full at the present rate if nothing leaves it; left out while unknown."""
        outbox, now_s = self._outbox, self._clock_s()
        oldest_ms = outbox.oldest_ms
        held_s = max(0.0, (self._clock_ms() - oldest_ms) / 1000) if oldest_ms is not None else 0.0
        values: dict[str, Value] = {
            "outbox_messages": outbox.waiting,
            "outbox_bytes": outbox.waiting_bytes,
            "outbox_held_hours": held_s / _HOUR_S,
        }
        per_s = self._per_s(now_s, outbox.taken_bytes)
        if per_s:
            values["outbox_left_hours"] = max(0, outbox.max_bytes - outbox.waiting_bytes) / per_s / _HOUR_S
        return values

    def _per_s(self, now_s: float, taken_bytes: int) -> float | None:
        """Bytes a second."""
        readings = self._readings
        readings.append((now_s, taken_bytes))
        while readings[0][0] < now_s - _LONGEST_S and readings[1][0] <= now_s - _SHORTEST_S:
            readings.popleft()
        then_s, then_bytes = readings[0]
        elapsed_s = now_s - then_s
        return (taken_bytes - then_bytes) / elapsed_s if elapsed_s >= _SHORTEST_S else None
