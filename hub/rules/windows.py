"""Sliding windows over series, kept up sample by sample, and the statistics that subscribers ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wire.point import SeriesKey


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
    first: float
    last: float


class Windows:
    """Statistics for those who ask, for the stats topics. Windows of rules and subscribers with one length are shared."""

    def subscribe(self, node: str, metric: str, over_ns: int) -> int:
        """Keep statistics of the series whose node and ``measurement.field`` match these globs; returns a number.

        Windows begin to fill with the next samples.

        Raises:
            ValueError: no metric, or a window of no length.
        """
        raise NotImplementedError

    def unsubscribe(self, number: int) -> None:
        """Forget a subscription; numbers that are unknown are passed over."""
        raise NotImplementedError

    def stats(self, now_ns: int) -> list[WindowStats]:
        """Statistics of subscribed series, of those that had a sample since the last call."""
        raise NotImplementedError
