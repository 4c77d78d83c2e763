"""Sums that stay exact while samples come and go, so that a window's mean never drifts.

:class:`ExactSum` holds its value as a few non-overlapping floats (J. R. Shewchuk, *Adaptive Precision Floating-Point
Arithmetic*, 1997; what :func:`math.fsum` does in one go): taking away what was added leaves no residue, whatever the
sizes of the others. :class:`Total` is count and sum, :class:`Moments` adds the sum of squares about a centre near the
mean, :class:`Line` what a line of least squares needs. Adding and removing is O(1); moving the centre is O(n), and due
once the window has moved far.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The centre is moved when it is further from the mean than this many standard deviations, squared.
_FAR: Final = 1000.0
#: Distances of so many units in the last place are rounding, not distance.
_ROUNDING: Final = 8
#: A line counts its times anew when the window has moved by so many of its lengths.
_TURNS: Final = 4
_NS: Final = 1e9


class ExactSum:
    """A sum of floats, to be added to and taken from; terms must be below about 1e300."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[float] = []

    def add(self, term: float) -> None:
        parts = self._parts
        kept = 0
        for part in parts:
            if abs(term) < abs(part):
                total = part + term
                rest = term - (total - part)
            else:
                total = term + part
                rest = part - (total - term)
            if rest:
                parts[kept] = rest
                kept += 1
            term = total
        parts[kept:] = [term]

    def value(self) -> float:
        return math.fsum(self._parts)


class Total:
    """Count and sum."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = ExactSum()

    def add(self, ts_ns: int, value: float) -> None:  # noqa: ARG002  times matter to lines
        self.count += 1
        self._sum.add(value)

    def remove(self, ts_ns: int, value: float) -> None:  # noqa: ARG002
        """Take a sample away that was added."""
        self.count -= 1
        self._sum.add(-value)

    def sum(self) -> float:
        return self._sum.value()

    def mean(self) -> float:
        return self._sum.value() / self.count


class Moments(Total):
    """With squares about a centre."""

    def __init__(self) -> None:
        super().__init__()
        self._begin(0, 0.0)

    def add(self, ts_ns: int, value: float) -> None:
        if not self.count:
            self._begin(ts_ns, value)
        self._take(ts_ns, value, 1)

    def remove(self, ts_ns: int, value: float) -> None:
        self._take(ts_ns, value, -1)

    def squares(self, samples: Iterable[tuple[int, float]]) -> float:
        """Sum of the squared distances from the mean; ``samples`` are all that were added, in case the centre moves."""
        if self._is_far():
            self._move(samples)
        offset = self.mean() - self._centre
        return max(0.0, self._squares.value() - self.count * offset * offset)

    # -- private -----------------------------------------------------------------------------------------------------

    def _begin(self, start_ns: int, centre: float) -> None:
        self.count = 0
        self._start_ns = start_ns
        self._centre = centre
        self._sum = ExactSum()
        self._squares = ExactSum()

    def _take(self, ts_ns: int, value: float, sign: int) -> None:  # noqa: ARG002  times matter to lines
        self.count += sign
        self._sum.add(sign * value)
        apart = value - self._centre
        self._squares.add(sign * apart * apart)

    def _is_far(self) -> bool:
        """Whether the centre is so far from the mean that the difference of squares would lose digits."""
        mean = self.mean()
        offset = mean - self._centre
        if abs(offset) <= _ROUNDING * math.ulp(mean):
            return False
        about_centre = self.count * offset * offset
        return about_centre > _FAR * (self._squares.value() - about_centre)

    def _move(self, samples: Iterable[tuple[int, float]]) -> None:
        mean, first = self.mean(), True
        for ts_ns, value in samples:
            if first:
                self._begin(ts_ns, mean)
                first = False
            self._take(ts_ns, value, 1)


class Line(Moments):
    """The line of least squares through samples; times are counted from a start near the window."""

    def slope(self, samples: Iterable[tuple[int, float]], newest_ns: int, over_ns: int) -> float:
        """Units a second; 0 where all samples are of one time."""
        if newest_ns - self._start_ns > _TURNS * over_ns or self._is_far():
            self._move(samples)
        # Times are whole ns: their sums are exact integers, however large.
        spread = self.count * self._times_squared - self._times * self._times
        if not spread:
            return 0.0
        apart = (self.mean() - self._centre) * self.count
        together = self.count * self._products.value() - self._times / _NS * apart
        return together / (spread / _NS / _NS)

    def at(self, ts_ns: int, slope: float) -> float:
        """Where the line is at ``ts_ns``."""
        middle_ns = self._start_ns + self._times / self.count
        return self.mean() + slope * (ts_ns - middle_ns) / _NS

    # -- private -----------------------------------------------------------------------------------------------------

    def _begin(self, start_ns: int, centre: float) -> None:
        super()._begin(start_ns, centre)
        self._times = 0
        self._times_squared = 0
        self._products = ExactSum()

    def _take(self, ts_ns: int, value: float, sign: int) -> None:
        super()._take(ts_ns, value, sign)
        since = ts_ns - self._start_ns
        self._times += sign * since
        self._times_squared += sign * since * since
        self._products.add(sign * (since / _NS) * (value - self._centre))
