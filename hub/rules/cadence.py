"""How often a series comes, learned from it, and how long a silence of it is one too many (``absent = "auto"``).

An interval is the longer of two: between arrivals, and between sample times. So a node that sends what it measured in
parcels is not thought to be quick between them, nor one that catches up on hours in seconds.

    typical   moving average of the intervals, outages cut to 4 of it
    longest   the longest interval of late, which fades
    deadline  the longer of 2.5 × typical and 1.5 × longest: 2.5 intervals where they are regular
"""

from __future__ import annotations

from typing import Final

from wire.point import NS_PER_S

#: Intervals before anything is said.
LEARNED: Final = 4
LEAST_NS: Final = 2 * NS_PER_S
MOST_NS: Final = 7 * 86_400 * NS_PER_S
_TYPICALS: Final = 2.5
_LONGESTS: Final = 1.5
_CUT: Final = 4.0
_STEP: Final = 1 / 8
_FADE: Final = 1 / 16


class Cadence:
    """What is known of one series; two numbers and a count."""

    __slots__ = ("count", "longest_ns", "typical_ns")

    def __init__(self, count: int = 0, typical_ns: float = 0.0, longest_ns: float = 0.0) -> None:
        self.count = count
        self.typical_ns = typical_ns
        self.longest_ns = longest_ns

    def learn(self, interval_ns: int) -> None:
        """Take one interval."""
        if interval_ns <= 0:
            return
        self.count += 1
        if self.count == 1:
            self.typical_ns = self.longest_ns = float(interval_ns)
            return
        # The first few may be those of a start; they weigh as much as each other.
        interval = min(float(interval_ns), _CUT * self.typical_ns)
        self.typical_ns += (interval - self.typical_ns) * max(_STEP, 1 / self.count)
        faded = self.longest_ns - max(0.0, self.longest_ns - self.typical_ns) * _FADE
        self.longest_ns = max(interval, faded)

    def deadline_ns(self) -> int | None:
        """Longest silence that is nothing unusual; None while too little is known."""
        if self.count < LEARNED:
            return None
        wanted = max(_TYPICALS * self.typical_ns, _LONGESTS * self.longest_ns)
        return round(min(max(wanted, LEAST_NS), MOST_NS))
