"""When a rule tells nobody: days and hours of a time zone. Alerts go on; only notifications keep quiet."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from hub.rules.part import Part
from wire.point import NS_PER_S

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_MINUTES_PER_DAY: Final = 24 * 60

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _clock(text: str) -> str:
    if _CLOCK.fullmatch(text) is None:
        raise ValueError("must be a time of day such as 22:00 (00:00 to 24:00)")
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("must be a time zone such as Europe/Berlin or UTC") from error
    return name


def _days(given: object) -> object:
    """One day alone, a list, and ranges such as ``mon-fri``."""
    found: list[object] = []
    for each in [given] if isinstance(given, str) else given if isinstance(given, list | tuple) else [given]:
        first, dash, last = each.partition("-") if isinstance(each, str) else ("", "", "")
        if dash and first in _DAYS and last in _DAYS:
            at, to = _DAYS.index(first), _DAYS.index(last)
            found += _DAYS[at : to + 1] if at <= to else [*_DAYS[at:], *_DAYS[: to + 1]]
        else:
            found.append(each)
    return found


_Clock = Annotated[str, AfterValidator(_clock)]


class Mute(Part):
    """Some hours of some days; hours that end before they begin go on into the next day, and belong to the first."""

    days: Annotated[tuple[Day, ...], BeforeValidator(_days), Field(min_length=1)] = _DAYS
    from_: _Clock = Field(default="00:00", alias="from")
    to: _Clock = "24:00"
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"

    def covers(self, now_ns: int) -> bool:
        """Whether it keeps quiet at this moment."""
        local = dt.datetime.fromtimestamp(now_ns / NS_PER_S, ZoneInfo(self.zone))
        start, end = _minutes(self.from_), _minutes(self.to)
        minute, today, yesterday = local.hour * 60 + local.minute, local.weekday(), local.weekday() - 1
        if start < end:
            return self._names(today) and start <= minute < end
        return (self._names(today) and minute >= start) or (self._names(yesterday) and minute < end)

    def _names(self, weekday: int) -> bool:
        return _DAYS[weekday] in self.days


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return min(int(hours) * 60 + int(minutes), _MINUTES_PER_DAY)
