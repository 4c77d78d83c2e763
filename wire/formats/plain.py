"""A payload that is one bare value, as many small devices publish it: ``21.5``, ``ON``, ``idle``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wire.errors import PayloadError, Reason
from wire.formats.base import Decoded
from wire.formats.checks import payload_text
from wire.formats.values import NUMBER, is_not_finite, put_number
from wire.messages import first_bytes
from wire.point import Point

if TYPE_CHECKING:
    from wire.formats.base import Context
    from wire.point import Value

#: Name of the only field.
FIELD: Final = "value"

_WORDS: Final = {"true": True, "on": True, "false": False, "off": False}
#: int() refuses longer digits, and no sensor sends them.
_LONGEST_NUMBER: Final = 300


def decode_plain(payload: bytes, context: Context, arrival_ns: int) -> Decoded:
    """Decode a number, ``true``/``false``/``on``/``off`` in any case, or else text; space around it is dropped.

    Raises:
        PayloadError: empty, not UTF-8, too long, or NaN or an infinity.
    """
    text = payload_text(payload, context.limits).strip()
    if not text:
        raise PayloadError(Reason.NO_VALUES, "the payload is empty")
    if len(payload) > context.limits.text_bytes:
        limit = f"{context.limits.text_bytes} bytes are allowed (limits.text_bytes)"
        raise PayloadError(Reason.TEXT_TOO_LONG, f"{len(payload)} bytes; {limit}; starts with {first_bytes(payload)}")
    fields: dict[str, Value] = {}
    if (word := _WORDS.get(text.lower())) is not None:
        fields[FIELD] = word
    elif len(text) <= _LONGEST_NUMBER and NUMBER.fullmatch(text):
        put_number(fields, FIELD, text)
    else:
        fields[FIELD] = text
    if is_not_finite(str(fields.get(FIELD))):
        raise PayloadError(Reason.NOT_FINITE, f"{first_bytes(payload)} is not a finite number")
    return Decoded((Point(context.key, arrival_ns, fields),))
