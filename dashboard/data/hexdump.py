"""Raw bytes for people: offset, hexadecimal, and what is printable."""

from __future__ import annotations

from typing import Final

_WIDTH: Final = 16
_MOST_BYTES: Final = 4096
_PRINTABLE: Final = range(0x20, 0x7F)


def hexdump(body: bytes) -> str:
    """At most 4 KiB, sixteen bytes a line; what is left out is said."""
    lines = []
    for at in range(0, min(len(body), _MOST_BYTES), _WIDTH):
        part = body[at : at + _WIDTH]
        text = "".join(chr(byte) if byte in _PRINTABLE else "." for byte in part)
        lines.append(f"{at:06x}  {part.hex(' '):<{_WIDTH * 3 - 1}}  {text}")
    if len(body) > _MOST_BYTES:
        lines.append(f"… and {len(body) - _MOST_BYTES:,} bytes more")
    return "\n".join(lines) or "(no bytes)"
