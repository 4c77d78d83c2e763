"""When to try again, and when to say so. Pure: random numbers and clocks are handed in."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: A connection that held this long ends the trouble before it; one that breaks sooner continues it.
STABLE_S: Final = 30.0
_SAY_AGAIN_S: Final = 60.0
_SAY_AT_LEAST_EVERY_S: Final = 3600.0
#: Different reasons said at once within one outage; after that only the clock decides.
_REASONS: Final = 5


class Backoff:
    """Delays that double from ``first_s`` to ``longest_s``, each a random half to whole of that.

    The jitter keeps a thousand nodes from knocking in step after a broker restart.
    """

    def __init__(self, first_s: float, longest_s: float, jitter: Callable[[], float] = random.random) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._jitter = jitter
        self._next_s = first_s

    def next_s(self) -> float:
        """Seconds to wait now; longer at each call until :meth:`reset`."""
        delay_s = self._next_s
        self._next_s = min(delay_s * 2, self._longest_s)
        return delay_s * (0.5 + self._jitter() / 2)

    def reset(self) -> None:
        """Start over with the shortest delay."""
        self._next_s = self._first_s


class Outage:
    """Decides which of many failures are told: the first, each new reason, then at growing intervals; and the recovery.

    A link that flaps counts as one outage until it held for :data:`STABLE_S`. Times are monotonic seconds.
    """

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._up_since_s: float | None = None
        self._said = False
        self._next_say_s = 0.0
        self._interval_s = _SAY_AGAIN_S
        self._reasons: set[str] = set()

    def lost(self, now_s: float, reason: str) -> bool:
        """Note a failure; whether to say it."""
        if self._since_s is None:
            self._since_s = now_s
            if self._up_since_s is None or now_s - self._up_since_s >= STABLE_S:
                self._next_say_s, self._interval_s = now_s, _SAY_AGAIN_S
                self._reasons.clear()
        is_new = reason not in self._reasons and len(self._reasons) < _REASONS
        if not is_new and now_s < self._next_say_s:
            return False
        self._reasons.add(reason)
        self._next_say_s = now_s + self._interval_s
        self._interval_s = min(self._interval_s * 2, _SAY_AT_LEAST_EVERY_S)
        self._said = True
        return True

    def down_s(self, now_s: float) -> float:
        """Seconds since the first failure of this outage."""
        return 0.0 if self._since_s is None else now_s - self._since_s

    def back(self, now_s: float) -> float | None:
        """Note a recovery; seconds it was down when that is worth saying."""
        if self._since_s is None:
            self._up_since_s = now_s
            return None
        down_s, said = now_s - self._since_s, self._said
        self._since_s, self._up_since_s, self._said = None, now_s, False
        return down_s if said else None
