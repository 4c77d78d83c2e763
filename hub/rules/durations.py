"""Durations as people write them."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ((604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def duration_text(seconds: float) -> str:
    """``90`` → ``1m30s``, as durations are written in files."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    parts, rest = "", seconds
    for size, unit in _UNITS:
        if rest >= size:
            whole = int(rest // size) if unit != "s" else rest
            parts += f"{whole:g}{unit}"
            rest -= whole * size
    return parts
