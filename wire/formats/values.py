"""What formats share about single values: numbers as text, integers that a float cannot hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wire.point import Value

#: Whole numbers up to here are exact as 64-bit floats.
MAX_EXACT_INT: Final = 2**53
#: Field that keeps exactly what ``{field}`` cannot.
TEXT_SUFFIX: Final = "_text"

#: A decimal number, whole or not; never NaN, infinity, hexadecimal or ``1_000``, which float() would take.
NUMBER: Final = re.compile(r"[+-]?(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?+", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?\d++", re.ASCII)
#: Texts that float() reads as NaN or infinity, and devices send for "no value".
_NOT_FINITE: Final = re.compile(r"[+-]?(?:nan|inf|infinity)", re.ASCII | re.IGNORECASE)


def put_int(fields: dict[str, Value], name: str, number: int) -> None:
    """Set ``fields[name]``, or ``fields[name + "_text"]`` to its digits when a float would round it."""
    if -MAX_EXACT_INT <= number <= MAX_EXACT_INT:
        fields[name] = float(number)
    else:
        fields[name + TEXT_SUFFIX] = str(number)


def put_number(fields: dict[str, Value], name: str, text: str) -> None:
    """Set a field from text that :data:`NUMBER` matches; huge whole numbers as :func:`put_int` does."""
    if len(text) > 15 and _WHOLE.fullmatch(text):  # noqa: PLR2004  2**53 has 16 digits
        put_int(fields, name, int(text))
    else:
        fields[name] = float(text)


def is_not_finite(text: str) -> bool:
    """Whether ``text`` spells NaN or an infinity."""
    return _NOT_FINITE.fullmatch(text) is not None
