"""Figures of a spool, for metrics, health and the log."""

from __future__ import annotations

from typing import Final, NamedTuple

_NS_PER_HOUR: Final = 3_600_000_000_000


class SpoolStats(NamedTuple):
    """Figures of a spool."""

    #: On disk, of at most so many.
    size_bytes: int
    max_bytes: int
    segments: int
    #: When the oldest and the newest of what waits was spooled, ns; None when nothing does.
    oldest_ns: int | None
    newest_ns: int | None
    #: Bytes that could not be read since the start.
    damaged_bytes: int

    @property
    def share(self) -> float:
        """How full it is; 1 is full."""
        return self.size_bytes / self.max_bytes

    @property
    def hours(self) -> float:
        """Hours of history that wait in it."""
        if self.oldest_ns is None or self.newest_ns is None:
            return 0.0
        return max(0, self.newest_ns - self.oldest_ns) / _NS_PER_HOUR
