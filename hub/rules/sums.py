"""Sums that stay exact while samples come and go, so that a window's mean never drifts.

:class:`ExactSum` holds its value as a few non-overlapping floats (J. R. Shewchuk, *Adaptive Precision Floating-Point
Arithmetic*, 1997; what :func:`math.fsum` does in one go): taking away what was added leaves no residue, whatever the
sizes of the others. :class:`Total` is count and sum, :class:`Moments` distances and their squares from a centre near
the mean, :class:`Line` adds what a line of least squares needs. Adding and removing is O(1); moving the centre is O(n),
and due once the window has moved far.

Distances are summed, and never made from the mean: a mean of 1e9 has no digits left for a scatter of 1e-6.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    #: All samples that were added, time and value; asked only when the centre moves.
    Samples = Callable[[], Iterable[tuple[int, float]]]

#: The centre is moved when it is further from the mean than this many standard deviations, squared.
_FAR: Final = 1000.0
#: Moves that bring the centre near: the first is by a mean that rounding may have spoilt.
_MOVES: Final = 2
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


class Moments:
    """Count, and distances from a centre with their squares."""

    def __init__(self) -> None:
        self._begin(0, 0.0)

    def add(self, ts_ns: int, value: float) -> None:
        if not self.count:
            self._begin(ts_ns, value)
        self._take(ts_ns, value, 1)

    def remove(self, ts_ns: int, value: float) -> None:
        """Take a sample away that was added."""
        self._take(ts_ns, value, -1)

    def mean(self) -> float:
        return self._centre + self._offset()

    def squares(self, samples: Samples) -> float:
        """Sum of the squared distances from the mean; exact where those from a sample are whole numbers."""
        self._come_near(samples)
        apart = self._apart.value()
        return max(0.0, self.count * self._squares.value() - apart * apart) / self.count

    # -- private -----------------------------------------------------------------------------------------------------

    def _begin(self, start_ns: int, centre: float) -> None:
        self.count = 0
        self._start_ns = start_ns
        self._centre = centre
        self._apart = ExactSum()
        self._squares = ExactSum()

    def _take(self, ts_ns: int, value: float, sign: int) -> None:  # noqa: ARG002  times matter to lines
        self.count += sign
        apart = value - self._centre
        self._apart.add(sign * apart)
        self._squares.add(sign * apart * apart)

    def _offset(self) -> float:
        """From the centre to the mean."""
        return self._apart.value() / self.count

    def _come_near(self, samples: Samples) -> None:
        """Move the centre where it is so far from the mean that the difference of squares would lose digits."""
        for _ in range(_MOVES):
            apart = self._apart.value()
            about_centre = apart * apart
            if about_centre <= _FAR * (self.count * self._squares.value() - about_centre):
                return
            self._move(samples)

    def _move(self, samples: Samples) -> None:
        """To the sample nearest the mean: no further from it than the samples are on average."""
        centre, offset = self._centre, self._offset()
        nearest = min((value for _, value in samples()), key=lambda value: abs(value - centre - offset))
        self._begin(next(ts_ns for ts_ns, _ in samples()), nearest)
        for ts_ns, value in samples():
            self._take(ts_ns, value, 1)


class Line(Moments):
    """The line of least squares through samples; times are counted from a start near the window."""

    def slope(self, samples: Samples, newest_ns: int, over_ns: int) -> float:
        """Units a second; 0 where all samples are of one time."""
        if newest_ns - self._start_ns > _TURNS * over_ns:
            self._move(samples)
        self._come_near(samples)
        # Times are whole ns: their sums are exact integers, however large.
        spread = self.count * self._times_squared - self._times * self._times
        if not spread:
            return 0.0
        together = self.count * self._products.value() - self._times / _NS * self._apart.value()
        return together / (spread / _NS / _NS)

    def at(self, ts_ns: int, slope: float) -> float:
        """Where the line is at ``ts_ns``."""
        return self.mean() + slope * (ts_ns - self._start_ns - self._times / self.count) / _NS

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
