"""All sliding windows, of rules and of those who subscribe to statistics; windows of one length are shared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from hub.rules.asking import Fn
from hub.rules.metric import Metric, matches, parse_metric
from hub.rules.window import Window
from hub.store.select import glob_matcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.point import SeriesKey

_FIGURES: Final = (Fn.MEAN, Fn.MIN, Fn.STDDEV)


@dataclass(frozen=True, slots=True)
class WindowStats:
    """What the samples of one series come to over the last while: those with ``at_ns - over_ns < t <= at_ns``."""

    key: SeriesKey
    field: str
    over_ns: int
    #: Time of the newest sample.
    at_ns: int
    count: int
    mean: float
    min: float
    max: float
    sum: float
    #: Of a sample (n - 1); None below two samples.
    stddev: float | None
    last: float


class SeriesWindow(Window):
    """A window that knows whose it is."""

    def __init__(self, key: SeriesKey, field: str, over_ns: int) -> None:
        super().__init__(over_ns)
        self.key = key
        self.field = field
        #: Somebody subscribed to its statistics.
        self.subscribed = False
        #: A rule compares what it comes to.
        self.ruled = False
        self.touched = False


class _Subscription(NamedTuple):
    node: str
    metric: Metric
    over_ns: int

    def wants(self, key: SeriesKey, field: str) -> bool:
        return (
            glob_matcher(self.node)(key.node)
            and matches(self.metric.measurement, key.measurement)
            and matches(self.metric.field, field)
        )


class Windows:
    """Statistics for those who ask, for the stats topics.

    Args:
        changed: called when other series are wanted than before.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._changed = changed
        self._all: dict[tuple[SeriesKey, str, int], SeriesWindow] = {}
        self._subscriptions: dict[int, _Subscription] = {}
        self._number = 0
        #: Windows with subscribers that took a sample since the last :meth:`stats`.
        self.touched: list[SeriesWindow] = []

    def subscribe(self, node: str, metric: str, over_ns: int) -> int:
        """Keep statistics of the series whose node and ``measurement.field`` match these globs; returns a number.

        A window that a rule has is full from the start; others begin to fill with the next samples.

        Raises:
            ValueError: no metric, or a window of no length.
        """
        if over_ns <= 0:
            raise ValueError("a window must be longer than nothing")
        self._number += 1
        self._subscriptions[self._number] = _Subscription(node, parse_metric(metric), over_ns)
        self._look_again()
        return self._number

    def unsubscribe(self, number: int) -> None:
        """Forget a subscription; numbers that are unknown are passed over."""
        if self._subscriptions.pop(number, None) is not None:
            self._look_again()

    def stats(self, now_ns: int) -> list[WindowStats]:  # noqa: ARG002  windows end at their newest sample
        """Statistics of subscribed series, of those that had a sample since the last call."""
        touched, self.touched = self.touched, []
        for window in touched:
            window.touched = False
        return [_stats(window) for window in touched if window.subscribed]

    # -- for the engine ----------------------------------------------------------------------------------------------

    @property
    def any_subscribed(self) -> bool:
        """Whether anybody wants statistics."""
        return bool(self._subscriptions)

    def wanted(self, key: SeriesKey, field: str) -> list[SeriesWindow]:
        """The windows that subscribers want of a series."""
        lengths = dict.fromkeys(s.over_ns for s in self._subscriptions.values() if s.wants(key, field))
        found = []
        for over_ns in lengths:
            window = self.window(key, field, over_ns)
            window.need(*_FIGURES)
            window.subscribed = True
            found.append(window)
        return found

    def window(self, key: SeriesKey, field: str, over_ns: int) -> SeriesWindow:
        """The window of a series of this length; made when there is none."""
        place = (key, field, over_ns)
        window = self._all.get(place)
        if window is None:
            window = self._all[place] = SeriesWindow(key, field, over_ns)
        return window

    def find(self, key: SeriesKey, field: str, over_ns: int) -> SeriesWindow | None:
        """The window of a series of this length, where there is one."""
        return self._all.get((key, field, over_ns))

    def ruled(self) -> list[SeriesWindow]:
        """Those that rules compare, which outlive a restart."""
        return [window for window in self._all.values() if window.ruled]

    def drop_unused(self, before_ns: int | None = None) -> set[SeriesKey]:
        """Let go of what neither rules nor subscribers want, or subscribers and nothing came since; of which series."""
        gone = {
            place
            for place, window in self._all.items()
            if not window.ruled
            and (not window.subscribed or (before_ns is not None and (not window or window.newest_ns < before_ns)))
        }
        for place in gone:
            del self._all[place]
        return {key for key, _, _ in gone}

    def _look_again(self) -> None:
        for (key, field, over_ns), window in self._all.items():
            window.subscribed = any(s.over_ns == over_ns and s.wants(key, field) for s in self._subscriptions.values())
            if window.subscribed:
                window.need(*_FIGURES)
        self.drop_unused()
        self._changed()


def _stats(window: SeriesWindow) -> WindowStats:
    def figure(fn: Fn) -> float:
        value = window.value(fn)
        if value is None:
            raise AssertionError(fn)
        return value

    return WindowStats(
        window.key,
        window.field,
        window.over_ns,
        window.newest_ns,
        len(window),
        figure(Fn.MEAN),
        figure(Fn.MIN),
        figure(Fn.MAX),
        figure(Fn.SUM),
        window.value(Fn.STDDEV),
        figure(Fn.LAST),
    )
