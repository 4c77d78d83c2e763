"""Which resolution answers which part of a query: pure arithmetic on times.

            start      minute         hour                          hour       minute    stop
              │   raw    │   minutes    │            hours            │   minutes   │ raw │
              └──────────┴──────────────┴─────────────────────────────┴─────────────┴─────┘
                                              the mark: minutes and hours after it do not exist yet; raw answers there

A resolution takes part when its width divides the windows of the query; then every row of it lies within one window.
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.store.partition import HOUR_NS, MINUTE_NS, ceil, floor

#: Half open, in nanoseconds.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tiers:
    """Spans that together make up the query's range, each instant in one of them."""

    raw: tuple[Span, ...]
    minutes: tuple[Span, ...] = ()
    hours: tuple[Span, ...] = ()

    @property
    def rolled_up(self) -> Span | None:
        """From the first to the last instant answered from roll-ups."""
        spans = self.minutes + self.hours
        return (min(start for start, _ in spans), max(stop for _, stop in spans)) if spans else None


def choose_tiers(start_ns: int, stop_ns: int, every_ns: int | None, mark_ns: int) -> Tiers:
    """The coarsest rows for each part of ``start_ns <= t < stop_ns``; ``mark_ns`` is where roll-ups end."""
    minutes_from, minutes_to = ceil(start_ns, MINUTE_NS), min(floor(stop_ns, MINUTE_NS), floor(mark_ns, MINUTE_NS))
    if every_ns is None or every_ns % MINUTE_NS or minutes_from >= minutes_to:
        return Tiers(_some((start_ns, stop_ns)))
    raw = _some((start_ns, minutes_from), (minutes_to, stop_ns))
    hours_from, hours_to = ceil(minutes_from, HOUR_NS), floor(minutes_to, HOUR_NS)
    if every_ns % HOUR_NS or hours_from >= hours_to:
        return Tiers(raw, _some((minutes_from, minutes_to)))
    return Tiers(raw, _some((minutes_from, hours_from), (hours_to, minutes_to)), ((hours_from, hours_to),))


def _some(*spans: Span) -> tuple[Span, ...]:
    return tuple(span for span in spans if span[0] < span[1])
