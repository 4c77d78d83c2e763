"""What a series may hold, and the words for what it may not: one place, so that every store refuses alike.

A point is refused for good, whole or in part:

  * whole: its time lies outside what is kept, or a name in it is not valid UTF-8;
  * in part: a value is of another kind than its series, is not finite, or is not valid UTF-8. That value alone is left
    out; the other values of the point are stored, and the point is named once in ``WriteResult.rejected``, with every
    reason, and ``whole`` says whether any value of it was fit to be stored.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from hub.store.base import FieldKind
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wire.point import SeriesKey

#: Kinds in the order of their codes: ``KINDS[code_of(type(value))]``.
KINDS: Final = (FieldKind.NUMBER, FieldKind.BOOLEAN, FieldKind.TEXT)
#: Code of a type that no series holds.
NO_KIND: Final = len(KINDS)

#: Last instant that is stored: 2200-01-01. A 64-bit count of nanoseconds ends in 2262; sums with widths must fit.
MAX_NS: Final = 7_258_118_400 * NS_PER_S
_SHOWN_CHARS: Final = 60


def code_of(kind: type) -> int:
    """Index into :data:`KINDS` of values of this type; :data:`NO_KIND` when no series can hold them."""
    if issubclass(kind, bool):
        return 1
    if issubclass(kind, int | float):
        return 0
    return 2 if issubclass(kind, str) else NO_KIND


def unfit(value: Any) -> str | None:
    """Why no series can hold ``value``; None when one can."""
    if isinstance(value, str):
        return None if is_utf8(value) else "text with a lone surrogate is not valid UTF-8"
    if not isinstance(value, int | float):
        return f"{type(value).__name__} is none of number, boolean, text"
    try:
        return None if math.isfinite(value) else f"{value} is not a finite number"
    except OverflowError:
        return "an integer this large does not fit a 64-bit float"


def clash(held: FieldKind, value: Any) -> str:
    """Words for a value of another kind than its series holds."""
    kinds = (*KINDS, type(value).__name__)
    shown = repr(value)
    if len(shown) > _SHOWN_CHARS:
        shown = shown[: _SHOWN_CHARS - 1] + "…"
    return f"the series is {held}, got {kinds[code_of(type(value))]} {shown}"


def refusal(key: SeriesKey, parts: Iterable[tuple[str, str]]) -> str:
    """One reason for a point: its (field, why) pairs, after what the fields belong to."""
    listed = "; ".join(f"field {field!r}: {why}" for field, why in sorted(parts))
    return f"{key.node} {key.measurement}: {listed}"


def bad_time(ts_ns: int, floor_ns: int) -> str:
    """Words for a point whose time is not kept."""
    if 0 <= ts_ns <= MAX_NS:
        return f"its time, {_iso(ts_ns)}, is past its retention, which now begins at {_iso(floor_ns)}"
    return f"its time, {ts_ns} ns, lies outside 1970 to 2200"


def bad_name(key: SeriesKey, fields: Iterable[str]) -> str | None:
    """Why the names of a point cannot be stored; None when they can."""
    names = (key.node, key.measurement, *(text for tag in key.tags for text in tag), *fields)
    for name in names:
        if not is_utf8(name):
            return f"the name {name!r} has a lone surrogate and is not valid UTF-8"
    return None


def is_utf8(text: str) -> bool:
    """Whether ``text`` can be encoded; a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _iso(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns // NS_PER_S, UTC).isoformat().replace("+00:00", "Z")
