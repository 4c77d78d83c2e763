"""Ranges of time as people choose them, and as the API and a link carry them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

#: What the picker offers: shown → as the API takes it.
PRESETS: Final = {
    "Last 15 minutes": "-15m",
    "Last hour": "-1h",
    "Last 6 hours": "-6h",
    "Last 24 hours": "-1d",
    "Last 7 days": "-7d",
    "Last 30 days": "-30d",
    "Last 90 days": "-90d",
    "Last year": "-365d",
}
CUSTOM: Final = "Own range"
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SHORTEST: Final = timedelta(seconds=1)
#: Steps that people read easily, in the order of their length.
STEPS: Final = ("1s", "10s", "30s", "1m", "5m", "15m", "1h", "6h", "1d", "7d", "30d")


@dataclass(frozen=True)
class Range:
    """From ``start`` up to ``stop``, both as the API takes them: relative to now, or ISO 8601."""

    start: str
    stop: str = "now"

    def instants(self, now: datetime) -> tuple[datetime, datetime]:
        """Both ends as times in UTC."""
        return instant(self.start, now), instant(self.stop, now)

    def before(self, now: datetime) -> Range:
        """The range of the same length that ends where this one begins."""
        start, stop = self.instants(now)
        return absolute(start - (stop - start), start)

    def wider(self, now: datetime) -> Range:
        """Twice as long around the same middle; never beyond now."""
        start, stop = self.instants(now)
        half = (stop - start) / 2
        return absolute(start - half, min(stop + half, now))

    def moved(self, now: datetime, parts: float) -> Range:
        """Moved by so many of its own lengths; never beyond now."""
        start, stop = self.instants(now)
        step = min((stop - start) * parts, now - stop)
        return absolute(start + step, stop + step)


LAST_HOUR: Final = Range("-1h")


def sound(start: str, stop: str) -> Range:
    """The range that a link names; the last hour where it names none."""
    found = Range(start, stop)
    try:
        begin, end = found.instants(datetime.now(UTC))
    except (ValueError, OverflowError):
        return LAST_HOUR
    return found if begin < end else LAST_HOUR


def absolute(start: datetime, stop: datetime) -> Range:
    """A range between two times; at least a second long."""
    return Range(_iso(start), _iso(max(stop, start + _SHORTEST)))


def instant(text: str, now: datetime) -> datetime:
    """The time that ``now``, ``-1h`` or an ISO 8601 text means.

    Raises:
        ValueError: none of these; a link may say anything.
    """
    if text == "now":
        return now
    if text.startswith("-") and text[-1:] in _UNITS and text[1:-1].isdigit():
        return now - timedelta(seconds=int(text[1:-1]) * _UNITS[text[-1]])
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)


def seconds(text: str) -> float | None:
    """The length of a step such as ``30s`` or ``5m``; None of what only the API can read."""
    return int(text[:-1]) * _UNITS[text[-1]] if text[-1:] in _UNITS and text[:-1].isdigit() else None


def step_for(wanted: str, span: timedelta, points: int) -> str:
    """``wanted``, or the least of :data:`STEPS` that makes at most so many points of ``span``."""
    length_s = seconds(wanted)
    # The first step and the last may be cut, so there is one more of them.
    if length_s is None or (length_s and span.total_seconds() / length_s + 1 <= points):
        return wanted
    return next((step for step in STEPS if span.total_seconds() / (seconds(step) or 1) + 1 <= points), STEPS[-1])


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
