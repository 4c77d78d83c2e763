"""Hours whose roll-ups have to be made, kept in one small file: neither a restart nor ``kill -9`` may forget them.

An hour is added before its samples are written, so that a hub that is killed in between makes a roll-up too many and
never one too few. It is taken out when it was made and nothing has come since it was begun.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from hub.store.partition import HOUR_NS
from hub.store.spool_segment import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from hub.store.tiers import Span

#: An hour to which late samples still come is left alone for so long after the last of them, but not for ever.
_SETTLED_S: Final = 60.0
_LONGEST_S: Final = 900.0

_log = structlog.get_logger("hub.store.influx")


class _Saved(msgspec.Struct):
    """What the file holds."""

    #: The database that it is about.
    place: str
    #: Number of the first hour since 1970, and of the first one after them.
    hours: list[tuple[int, int]]
    live_from_ns: int | None = None


class DueHours:
    """Hours, by their number since 1970.

    Args:
        path: of the file; None keeps nothing.
        place: a file about another place counts as none.
    """

    def __init__(self, path: Path | None, place: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._place = place
        self._clock = clock
        #: When each became due, and when samples of it came last.
        self._since: dict[int, float] = {}
        self._touched: dict[int, float] = {}
        #: Where the hub makes all roll-ups: up to here they are made, but for the hours that are due.
        self.live_from_ns: int | None = None

    @property
    def count(self) -> int:
        """How many hours are due."""
        return len(self._since)

    def now(self) -> float:
        """Of the clock that ``made`` counts by."""
        return self._clock()

    def load(self) -> None:
        """Take over what the file holds."""
        if self._path is None:
            return
        try:
            saved = msgspec.json.decode(self._path.read_bytes(), type=_Saved)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            _log.error(
                "which roll-ups are to be made again is not known: `iothub influx rollup` makes those of any time",
                file=str(self._path),
                why=str(error),
            )
            return
        if saved.place == self._place:
            # All at rest: nothing can be on its way.
            self._since = {hour: -_LONGEST_S for first, end in saved.hours for hour in range(first, end)}
            self._touched = dict(self._since)
            self.live_from_ns = saved.live_from_ns

    def add(self, hours: Iterable[int]) -> bool:
        """Note that samples of these hours come; whether one of them is new, so that ``save`` is needed."""
        now, before = self._clock(), len(self._since)
        for hour in hours:
            self._since.setdefault(hour, now)
            self._touched[hour] = now
        return len(self._since) > before

    def settled(self, most: int) -> list[int]:
        """Hours that can be made, the newest first."""
        now = self._clock()
        ready = [
            hour
            for hour, touched in self._touched.items()
            if now - touched >= _SETTLED_S or now - self._since[hour] >= _LONGEST_S
        ]
        return sorted(ready, reverse=True)[:most]

    def made(self, hour: int, began: float) -> None:
        """Forget an hour, made since ``began`` of the clock; one to which samples have come meanwhile stays."""
        if self._touched.get(hour, began) <= began:
            self._since.pop(hour, None)
            self._touched.pop(hour, None)
        else:
            self._since[hour] = self._clock()

    def forget_before(self, floor_ns: int) -> bool:
        """Forget the hours that are not all after ``floor_ns``: their samples go, and what was made of them is more."""
        past = [hour for hour in self._since if hour * HOUR_NS < floor_ns]
        for hour in past:
            del self._since[hour], self._touched[hour]
        return bool(past)

    def spans(self) -> list[Span]:
        """The hours as spans of time, ascending."""
        return [(first * HOUR_NS, end * HOUR_NS) for first, end in self._ranges()]

    def save(self) -> None:
        """Replace the file; on the disk when this returns. A disk that fails is said, and the hours stay in memory."""
        if self._path is None:
            return
        beside = self._path.with_suffix(".new")
        try:
            with beside.open("wb", buffering=0) as file:
                file.write(msgspec.json.encode(_Saved(self._place, self._ranges(), self.live_from_ns)))
                os.fdatasync(file.fileno())
            beside.replace(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            _log.error("roll-ups to be made again are known until the hub stops", file=str(self._path), why=str(error))

    # -- private ------------------------------------------------------------------------------------------------------

    def _ranges(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for hour in sorted(self._since):
            if found and found[-1][1] == hour:
                found[-1] = (found[-1][0], hour + 1)
            else:
                found.append((hour, hour + 1))
        return found
