"""Limits that all formats check the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wire.errors import PayloadError, Reason
from wire.messages import first_bytes

if TYPE_CHECKING:
    from wire.formats.base import Limits


def payload_text(payload: bytes, limits: Limits) -> str:
    """The payload as text.

    Raises:
        PayloadError: too large or not UTF-8.
    """
    if len(payload) > limits.payload_bytes:
        raise PayloadError(
            Reason.TOO_LARGE,
            f"{len(payload)} bytes, {limits.payload_bytes} are allowed (limits.payload_bytes); "
            f"starts with {first_bytes(payload)}",
        )
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise PayloadError(Reason.NOT_UTF8, f"{error.reason}; starts with {first_bytes(payload)}") from error


def too_many_values(payload: bytes, limits: Limits) -> PayloadError:
    """The refusal of a message with more values than allowed."""
    return PayloadError(
        Reason.TOO_MANY_VALUES,
        f"more than {limits.values_per_message} values (limits.values_per_message); starts with {first_bytes(payload)}",
    )


def length_in_bytes(text: str) -> int:
    """Length as UTF-8; cheap for ASCII. Half characters, see :mod:`wire.surrogates`, count 3."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
