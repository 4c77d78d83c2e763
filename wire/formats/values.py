"""What formats share about single values: numbers as text, integers that a float cannot hold."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from wire.errors import Reason
from wire.formats.base import RefusedValue
from wire.formats.checks import length_in_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wire.formats.base import Limits
    from wire.point import Value

#: Whole numbers up to here are exact as 64-bit floats.
MAX_EXACT_INT: Final = 2**53
#: Field that keeps exactly what ``{field}`` cannot.
TEXT_SUFFIX: Final = "_text"

#: A decimal number, whole or not; never NaN, infinity, hexadecimal or ``1_000``, which float() would take.
NUMBER: Final = re.compile(r"[+-]?(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?+", re.ASCII)
_LONGEST_SHOWN: Final = 40
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


def put(fields: dict[str, Value], name: str, value: object, limits: Limits) -> Reason | None:
    """Set a field from one scalar of JSON, null as nothing; the reason when it cannot be kept."""
    if length_in_bytes(name) > limits.key_bytes:
        return Reason.KEY_TOO_LONG
    if isinstance(value, str):
        if length_in_bytes(value) > limits.text_bytes:
            return Reason.TEXT_TOO_LONG
        fields[name] = value
    elif isinstance(value, bool):
        fields[name] = value
    elif isinstance(value, int):
        put_int(fields, name, value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            return Reason.NOT_FINITE
        fields[name] = value
    return None


def flatten(value: dict[str, Any], limits: Limits) -> tuple[dict[str, Value], list[RefusedValue]]:
    """The fields of a JSON object, and what cannot be kept: ``{"a": {"b": 1, "c": [2]}}`` has ``a.b`` and ``a.c.0``."""
    fields: dict[str, Value] = {}
    refused: list[RefusedValue] = []

    def visit(prefix: str, items: Iterable[tuple[object, object]], depth: int) -> None:
        for key, below in items:
            name = f"{prefix}{key}"
            reason = None
            if isinstance(below, dict | list):
                if depth < limits.depth:
                    visit(f"{name}.", below.items() if isinstance(below, dict) else enumerate(below), depth + 1)
                else:
                    reason = Reason.TOO_DEEP
            else:
                reason = put(fields, name, below, limits)
            if reason is not None:
                refused.append(RefusedValue(reason, f"{name[:_LONGEST_SHOWN]} = {str(below)[:_LONGEST_SHOWN]}"))

    visit("", value.items(), 1)
    return fields, refused
