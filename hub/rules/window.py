"""One sliding window over one series: the samples with ``newest - over < t <= newest``, and what they come to.

Each sample is taken in and let go once: O(1) a sample on average. Late samples within the window are put in their place
(O(n), they are rare); older ones, and times that are there already, change nothing.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeVar

from hub.rules.asking import Fn
from hub.rules.sums import Line, Moments, Total
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    _Figures = TypeVar("_Figures", Total, Moments, Line)

#: A window holds no more samples than this; the oldest leave early.
MAX_SAMPLES: Final = 100_000
#: Squares of sums of larger values would overflow: while there are any, all is computed anew each time.
_HUGE: Final = 1e140
#: Share of the window that the samples must span before a line means anything.
_SPAN: Final = 0.5
_LEAST: Final = {Fn.STDDEV: 2, Fn.DELTA: 2, Fn.RATE: 2, Fn.SLOPE: 2, Fn.PREDICT: 2}


class Window:
    """Samples and running figures; the figures are those that somebody needs."""

    def __init__(self, over_ns: int) -> None:
        self.over_ns = over_ns
        self._times: deque[int] = deque()
        self._values: deque[float] = deque()
        self._huge = 0
        self._total: Total | None = None
        self._moments: Moments | None = None
        self._line: Line | None = None
        self._extremes: _Extremes | None = None
        #: Those of the first three that are kept up.
        self._figures: tuple[Total | Moments, ...] = ()

    def __len__(self) -> int:
        return len(self._times)

    @property
    def newest_ns(self) -> int:
        """Time of the newest sample; there must be one."""
        return self._times[-1]

    def need(self, *fns: Fn) -> None:
        """Keep up what these functions need, from now on and for the samples that are there."""
        for fn in fns:
            if fn in {Fn.MEAN, Fn.SUM} and self._total is None:
                self._total = self._filled(Total())
            elif fn is Fn.STDDEV and self._moments is None:
                self._moments = self._filled(Moments())
            elif fn in {Fn.SLOPE, Fn.PREDICT} and self._line is None:
                self._line = self._filled(Line())
            elif fn in {Fn.MIN, Fn.MAX} and self._extremes is None:
                self._extremes = _Extremes(self.samples())
        self._figures = tuple(f for f in (self._total, self._moments, self._line) if f is not None)

    def samples(self) -> Iterator[tuple[int, float]]:
        """Times and values, oldest first."""
        return zip(self._times, self._values, strict=True)

    def columns(self) -> tuple[list[int], list[float]]:
        """As :meth:`samples`, times and values apart."""
        return list(self._times), list(self._values)

    def add(self, ts_ns: int, value: float) -> bool:
        """Take a sample; False where it changes nothing: too old, or its time is there already."""
        times = self._times
        if times and ts_ns <= times[-1]:
            return self._insert(ts_ns, value)
        times.append(ts_ns)
        self._values.append(value)
        self._count(ts_ns, value)
        if self._extremes is not None:
            self._extremes.add(ts_ns, value)
        self._let_go(ts_ns - self.over_ns)
        return True

    def value(self, fn: Fn, *, least: int = 1, ahead_ns: int = 0) -> float | None:
        """What the samples come to; None where they are too few (or span too little for a line)."""
        return self.reader(fn, least=least, ahead_ns=ahead_ns)()

    def reader(self, fn: Fn, *, least: int = 1, ahead_ns: int = 0) -> Callable[[], float | None]:
        """:meth:`value` for many calls: what can be found out once is."""
        self.need(fn)
        enough = max(least, _LEAST.get(fn, 1))
        read: Callable[[], float | None] = {
            Fn.MEAN: self._mean,
            Fn.MIN: lambda: self._kept_extremes().least(),
            Fn.MAX: lambda: self._kept_extremes().most(),
            Fn.SUM: self._sum,
            Fn.COUNT: lambda: float(len(self._times)),
            Fn.STDDEV: self._stddev,
            Fn.LAST: lambda: self._values[-1],
            Fn.DELTA: lambda: self._values[-1] - self._values[0],
            Fn.RATE: lambda: (self._values[-1] - self._values[0]) / ((self._times[-1] - self._times[0]) / NS_PER_S),
            Fn.SLOPE: lambda: self._on_line(None),
            Fn.PREDICT: lambda: self._on_line(ahead_ns),
        }[fn]
        return lambda: read() if len(self._times) >= enough else None

    # -- private -----------------------------------------------------------------------------------------------------

    def _sum(self) -> float | None:
        return _anew(Fn.SUM, self._values) if self._huge or self._total is None else self._total.sum()

    def _mean(self) -> float | None:
        return _anew(Fn.MEAN, self._values) if self._huge or self._total is None else self._total.mean()

    def _stddev(self) -> float | None:
        moments = self._moments
        if self._huge or moments is None:
            return _anew(Fn.STDDEV, self._values)
        return math.sqrt(moments.squares(self.samples) / (moments.count - 1))

    def _kept_extremes(self) -> _Extremes:
        if self._extremes is None:
            raise AssertionError("nobody said that they are needed")
        return self._extremes

    def _on_line(self, ahead_ns: int | None) -> float | None:
        """The slope, or where the line is so far ahead."""
        newest_ns, line = self._times[-1], self._line
        if newest_ns - self._times[0] < _SPAN * self.over_ns or self._huge or line is None:
            return None
        slope = line.slope(self.samples, newest_ns, self.over_ns)
        return slope if ahead_ns is None else line.at(newest_ns + ahead_ns, slope)

    def _filled(self, figures: _Figures) -> _Figures:
        for ts_ns, value in self.samples():
            if abs(value) <= _HUGE:
                figures.add(ts_ns, value)
        return figures

    def _count(self, ts_ns: int, value: float) -> None:
        if -_HUGE <= value <= _HUGE:
            for figures in self._figures:
                figures.add(ts_ns, value)
        else:
            self._huge += 1

    def _let_go(self, until_ns: int) -> None:
        times = self._times
        while times[0] <= until_ns or len(times) > MAX_SAMPLES:
            ts_ns, value = times.popleft(), self._values.popleft()
            if -_HUGE <= value <= _HUGE:
                for figures in self._figures:
                    figures.remove(ts_ns, value)
            else:
                self._huge -= 1
            if self._extremes is not None:
                self._extremes.let_go(ts_ns)

    def _insert(self, ts_ns: int, value: float) -> bool:
        if ts_ns <= self._times[-1] - self.over_ns or len(self._times) >= MAX_SAMPLES:
            return False
        at = len(self._times)
        for earlier in reversed(self._times):
            if earlier == ts_ns:
                return False
            if earlier < ts_ns:
                break
            at -= 1
        self._times.insert(at, ts_ns)
        self._values.insert(at, value)
        self._count(ts_ns, value)
        if self._extremes is not None:
            self._extremes = _Extremes(self.samples())
        return True


class _Extremes:
    """Least and most of a window: two queues, of which every sample that can never again be one has left."""

    def __init__(self, samples: Iterable[tuple[int, float]]) -> None:
        self._rising: deque[tuple[int, float]] = deque()
        self._falling: deque[tuple[int, float]] = deque()
        for ts_ns, value in samples:
            self.add(ts_ns, value)

    def add(self, ts_ns: int, value: float) -> None:
        while self._rising and self._rising[-1][1] >= value:
            self._rising.pop()
        while self._falling and self._falling[-1][1] <= value:
            self._falling.pop()
        self._rising.append((ts_ns, value))
        self._falling.append((ts_ns, value))

    def let_go(self, ts_ns: int) -> None:
        for queue in (self._rising, self._falling):
            if queue and queue[0][0] <= ts_ns:
                queue.popleft()

    def least(self) -> float:
        return self._rising[0][1]

    def most(self) -> float:
        return self._falling[0][1]


def _anew(fn: Fn, values: Iterable[float]) -> float:
    """As floats can: infinite where the exact figure is beyond them."""
    samples = list(values)
    total = sum(map(Fraction, samples))
    try:
        if fn is Fn.STDDEV:
            return statistics.stdev(samples)
        return float(total if fn is Fn.SUM else total / len(samples))
    except OverflowError:
        return -math.inf if fn is not Fn.STDDEV and total < 0 else math.inf
