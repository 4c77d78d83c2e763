"""What formats share about single values: numbers as text, integers that a float cannot hold."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from wire.errors import Reason
from wire.formats.base import RefusedValue
from wire.formats.checks import length_in_bytes
from wire.surrogates import is_whole

if TYPE_CHECKING:
    from wire.formats.base import Limits
    from wire.point import Value

#: Whole numbers up to here are exact as 64-bit floats.
MAX_EXACT_INT: Final = 2**53
#: Field that keeps exactly what ``{field}`` cannot.
TEXT_SUFFIX: Final = "_text"

#: A decimal number, whole or not; never NaN, infinity, hexadecimal or ``1_000``, which float() would take.
NUMBER: Final = re.compile(r"[+-]?(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?+", re.ASCII)
_LONGEST_SHOWN: Final = 60
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
    """Set a field from text that :data:`NUMBER` matches; huge whole numbers as :func:`put_int` does.

    The text must be short: int() refuses more than 4300 digits. Past the range of a float it becomes an infinity.
    """
    if len(text) > 15 and _WHOLE.fullmatch(text):  # noqa: PLR2004  2**53 has 16 digits
        put_int(fields, name, int(text))
    else:
        fields[name] = float(text)


def is_not_finite(text: str) -> bool:
    """Whether ``text`` spells NaN or an infinity."""
    return _NOT_FINITE.fullmatch(text) is not None


def flatten(values: dict[str, Any], limits: Limits, refused: list[RefusedValue]) -> dict[str, Value]:
    """The fields of a decoded JSON object: ``{"a": {"b": 1, "c": [2]}}`` has ``a.b`` and ``a.c.0``; null is nothing.

    What cannot be kept goes to ``refused``. Stops when there are more fields and refusals than
    ``limits.values_per_message``.
    """
    fields: dict[str, Value] = {}
    # A stack of its own: depth is limited by a setting, not by Python.
    waiting: list[tuple[str, Any, int]] = [(name, value, 1) for name, value in reversed(values.items())]
    while waiting and len(fields) + len(refused) <= limits.values_per_message:
        name, value, depth = waiting.pop()
        if isinstance(value, dict | list):
            if depth >= limits.depth and value:
                refused.append(RefusedValue(Reason.TOO_DEEP, f"{shown(name)}: deeper than {limits.depth} levels"))
                continue
            if len(value) > limits.values_per_message:
                allowed = f"{limits.values_per_message} are allowed (limits.values_per_message)"
                refused.append(RefusedValue(Reason.TOO_MANY_VALUES, f"{shown(name)}: {len(value)} values, {allowed}"))
                continue
            inner = value.items() if isinstance(value, dict) else ((str(i), v) for i, v in enumerate(value))
            waiting += reversed([(f"{name}.{k}", v, depth + 1) for k, v in inner])
        elif value is not None:
            problem = put(fields, name, value, limits)
            if problem is not None:
                refused.append(problem)
    return fields


def put(fields: dict[str, Value], name: str, value: Any, limits: Limits) -> RefusedValue | None:
    """Set a field from one scalar of JSON, or say why it cannot be kept."""
    problem = _name_problem(fields, name, limits) or _value_problem(fields, name, value, limits)
    if problem is not None:
        return RefusedValue(problem[0], f"{shown(name)}{problem[1]}")
    if isinstance(value, int) and not isinstance(value, bool):
        put_int(fields, name, value)
    else:
        fields[name] = value
    return None


def shown(text: str) -> str:
    """The start of a name or value, quoted, for error texts."""
    return repr(text[:_LONGEST_SHOWN])


def _name_problem(fields: dict[str, Value], name: str, limits: Limits) -> tuple[Reason, str] | None:
    if not name:
        return Reason.WRONG_SHAPE, ": an empty name"
    if length_in_bytes(name) > limits.key_bytes:
        return Reason.KEY_TOO_LONG, f": longer than {limits.key_bytes} bytes (limits.key_bytes)"
    if not is_whole(name):
        return Reason.NOT_UTF8, ": half a character, which UTF-8 cannot hold"
    if name in fields:
        return Reason.WRONG_SHAPE, " is there twice"
    return None


def _value_problem(fields: dict[str, Value], name: str, value: Any, limits: Limits) -> tuple[Reason, str] | None:
    if isinstance(value, str):
        if (length := length_in_bytes(value)) > limits.text_bytes:
            return Reason.TEXT_TOO_LONG, f": text of {length} bytes (limits.text_bytes)"
        if not is_whole(value):
            return Reason.NOT_UTF8, ": half a character, which UTF-8 cannot hold"
    elif isinstance(value, float):
        if not math.isfinite(value):
            return Reason.NOT_FINITE, f" = {value}"
    elif abs(value) > MAX_EXACT_INT and name + TEXT_SUFFIX in fields:
        return (
            Reason.WRONG_SHAPE,
            f" = {str(value)[:_LONGEST_SHOWN]}: {shown(name + TEXT_SUFFIX)}, which would hold it, is taken",
        )
    return None
