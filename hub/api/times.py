"""Times and durations of the HTTP API: ISO 8601, Unix ms or relative in; ISO 8601 with ``Z`` out."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from wire.errors import PayloadError
from wire.formats.times import timestamp_ns
from wire.point import NS_PER_MS, NS_PER_S
from wire.settings import parse_duration

if TYPE_CHECKING:
    import numpy.typing as npt

_RELATIVE: Final = re.compile(r"(?:now)?\s*([+-])\s*(.+)")
_UNIX_MS: Final = re.compile(r"\d{1,15}(?:\.\d+)?")
#: A ``+`` in a URL that was not encoded arrives as a space.
_LOST_PLUS: Final = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d:?\d\d)$")
_MAX_NS: Final = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  every time here is UTC


def parse_time(text: str, now_ns: int) -> int:
    """Nanoseconds from ``now``, ``-5m``, ``now-5m``, ``1763750000000`` (ms) or ``2026-11-21T22:18:00.5Z``.

    Raises:
        ValueError: anything else; the message says what is allowed.
    """
    text = text.strip()
    if text == "now":
        return now_ns
    if _UNIX_MS.fullmatch(text):
        ns = timestamp_ns(float(text)) if "." in text else int(text) * NS_PER_MS
    elif (relative := _RELATIVE.fullmatch(text)) is not None and not relative[2].isdigit():
        try:
            shift_ns = int(parse_duration(relative[2]) * NS_PER_S)
        except ValueError as error:
            raise ValueError(f"is no time relative to now: {error}") from error
        ns = now_ns - shift_ns if relative[1] == "-" else now_ns + shift_ns
    else:
        try:
            ns = timestamp_ns(_LOST_PLUS.sub(r"\1+\2", text))
        except PayloadError as error:
            raise ValueError(
                "is none of: ISO 8601 with an offset (2026-11-21T22:18:00Z), Unix time in ms, now, -5m"
            ) from error
    if not -_MAX_NS <= ns <= _MAX_NS:
        raise ValueError("is outside the years 1677 to 2262")
    return ns


def iso(ns: int) -> str:
    """ISO 8601 in UTC with ``Z``: milliseconds, or nanoseconds where there are any."""
    seconds, rest = divmod(ns, NS_PER_S)
    digits = f"{rest:09d}" if rest % NS_PER_MS else f"{rest // NS_PER_MS:03d}"
    return f"{(_EPOCH + timedelta(seconds=seconds)).isoformat()}.{digits}Z"


def iso_or_none(ns: int | None) -> str | None:
    """As :func:`iso`; None for None."""
    return None if ns is None else iso(ns)


def iso_column(ts_ns: npt.NDArray[np.int64]) -> list[str]:
    """As :func:`iso` for many, all of the same precision."""
    unit: Literal["ms", "ns"] = "ns" if np.any(ts_ns % NS_PER_MS) else "ms"
    moments: npt.NDArray[np.datetime64[int]] = ts_ns.view("datetime64[ns]")
    texts: list[str] = np.datetime_as_string(moments, unit=unit, timezone="UTC").tolist()
    return texts
