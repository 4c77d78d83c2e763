"""Times in words, for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

_STEPS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_SHOWN_PARTS: Final = 2


def parsed(text: str | None) -> datetime | None:
    """A time of the API; None where it has none."""
    return datetime.fromisoformat(text) if text else None


def ago(text: str | None, now: datetime | None = None) -> str:
    """``12 s ago``, ``3 h 5 min ago``; ``never`` where there is no time."""
    then = parsed(text)
    if then is None:
        return "never"
    return f"{duration(((now or datetime.now(UTC)) - then).total_seconds())} ago"


def duration(seconds: float) -> str:
    """``0 s``, ``59 s``, ``3 h 5 min``, ``2 d 1 h``."""
    left = max(0, int(seconds))
    parts = []
    for size, unit in _STEPS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:_SHOWN_PARTS]) or "0 s"


def clock(text: str | None, zone: str) -> str:
    """``2026-11-22 03:04:05`` on the wall clock of ``zone``; empty where there is no time."""
    then = parsed(text)
    return f"{then.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}" if then is not None else ""
