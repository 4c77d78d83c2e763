"""Times of the week at which a route is open, written as ``mon-fri 08:00-18:00 Europe/Berlin``. Pure.

Each part may be left out, in that order: days (``mon-fri``, ``sat,sun``), hours, time zone. Hours that end before they
begin go on into the next day: ``fri 22:00-06:00`` ends on Saturday morning. Hours are those of the clock on the wall,
also on the days when it is set forward or back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from wire.point import NS_PER_S

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS: Final = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_DAY_MIN: Final = 24 * 60
_HOW: Final = 'must read as "mon-fri 08:00-18:00 Europe/Berlin": days, hours, time zone, each of which may be left out'


@dataclass(frozen=True, slots=True)
class Window:
    """Hours on some days of the week."""

    #: 0 is Monday; the days on which it opens.
    days: frozenset[int]
    #: Minutes since midnight; ``stop_min`` at or before ``start_min`` is on the next day.
    start_min: int
    stop_min: int
    #: None: the zone that is handed to :meth:`holds`.
    zone: ZoneInfo | None = None

    def holds(self, at_ns: int, zone: ZoneInfo) -> bool:
        """Whether that moment lies in it; ``zone`` counts where the window names none."""
        local = datetime.fromtimestamp(at_ns // NS_PER_S, self.zone or zone)
        day, minute = local.weekday(), local.hour * 60 + local.minute
        if self.start_min < self.stop_min:
            return day in self.days and self.start_min <= minute < self.stop_min
        return (day in self.days and minute >= self.start_min) or (
            (day - 1) % 7 in self.days and minute < self.stop_min
        )


def parse_window(text: str) -> Window:
    """The window that ``text`` says.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    words = text.split()
    days, start, stop, zone = frozenset(range(7)), 0, _DAY_MIN, None
    if words and (found := _days(words[0])) is not None:
        days = found
        words.pop(0)
    if words and (hours := _HOURS.fullmatch(words[0])) is not None:
        start, stop = _minute(hours[1], hours[2]), _minute(hours[3], hours[4])
        if start == stop:
            raise ValueError(f"{words[0]} has no length; leave the hours out for the whole day")
        words.pop(0)
    if words:
        zone = parse_zone(words.pop(0))
    if words or not text.split():
        raise ValueError(_HOW)
    return Window(days, start, stop, zone)


def parse_zone(name: str) -> ZoneInfo:
    """The time zone of that name.

    Raises:
        ValueError: this machine knows none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone that this machine knows, such as Europe/Berlin; {_HOW}") from error


# -- private -----------------------------------------------------------------------------------------------------------


def _days(word: str) -> frozenset[int] | None:
    """The days of ``mon-fri,sun``; None where it is about something else."""
    found: set[int] = set()
    for part in word.lower().split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            return None
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        found.update(day % 7 for day in range(begin, end + 1 if end >= begin else end + 8))
    return frozenset(found)


def _minute(hour: str, minute: str) -> int:
    at = int(hour) * 60 + int(minute)
    if int(minute) >= 60 or at > _DAY_MIN:  # noqa: PLR2004  minutes of an hour
        raise ValueError(f"{hour}:{minute} is no time of day; 00:00 to 24:00")
    return at
