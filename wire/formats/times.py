"""Times as payloads write them, to nanoseconds since the Unix epoch."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from wire.errors import PayloadError, Reason
from wire.point import NS_PER_MS

#: What a signed 64-bit number of nanoseconds can say: the years 1677 to 2262.
MIN_NS: Final = -(2**63)
MAX_NS: Final = 2**63 - 1

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
#: Digits past the microsecond, which :mod:`datetime` would drop.
_NANOS: Final = re.compile(r"\.\d{6}(\d{1,3})\d*")
_LONGEST_SHOWN: Final = 40


def timestamp_ns(ts: object) -> int:
    """``ts`` of the contract: Unix time in ms (whole or not), or ISO 8601 text with an offset, to the nanosecond.

    Raises:
        PayloadError: anything else, no offset, or outside the years 1677 to 2262.
    """
    if isinstance(ts, int) and not isinstance(ts, bool):
        ns = ts * NS_PER_MS
    elif isinstance(ts, float) and math.isfinite(ts):
        whole, part = divmod(ts, 1.0)
        ns = int(whole) * NS_PER_MS + round(part * NS_PER_MS)
    elif isinstance(ts, str):
        ns = _iso_ns(ts)
    else:
        raise _refused(ts, "must be Unix time in ms, or ISO 8601 with an offset")
    if not MIN_NS <= ns <= MAX_NS:
        raise _refused(ts, "is outside the years 1677 to 2262; it must be in ms")
    return ns


def _iso_ns(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _refused(text, "is neither Unix time in ms nor ISO 8601 with an offset") from error
    if moment.tzinfo is None:
        raise _refused(text, "has no offset from UTC (such as Z or +01:00), so the instant is unknown")
    nanos = _NANOS.search(text)
    return (moment - _EPOCH) // _MICROSECOND * 1000 + (int(nanos[1].ljust(3, "0")) if nanos else 0)


def _refused(ts: object, why: str) -> PayloadError:
    return PayloadError(Reason.BAD_TIMESTAMP, f"ts {str(ts)[:_LONGEST_SHOWN]!r} {why}")
