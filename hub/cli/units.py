"""Amounts for people, in the unit that gives three figures at most before the point."""

from __future__ import annotations

from typing import Final

_SI: Final = ("", "k", "M", "G", "T", "P")
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_LEVELS: Final = "▁▂▃▄▅▆▇█"
_PERCENT: Final = 100.0


def bit_rate(bytes_per_s: float) -> str:
    """Bits a second from bytes a second: ``12.3 Mbit/s``."""
    return _scaled(bytes_per_s * 8, 1000.0, [f"{prefix}bit/s" for prefix in _SI])


def link_speed(bits_per_s: float) -> str:
    """``1 Gbit/s``."""
    return _scaled(bits_per_s, 1000.0, [f"{prefix}bit/s" for prefix in _SI])


def byte_rate(bytes_per_s: float) -> str:
    """``12.3 MB/s``."""
    return _scaled(bytes_per_s, 1000.0, [f"{prefix}B/s" for prefix in _SI])


def size(amount_bytes: float) -> str:
    """``7.8 GiB``."""
    return _scaled(amount_bytes, 1024.0, list(_BINARY))


def percent(value: float | None) -> str:
    """``12.5 %``, always as wide as ``100.0 %``."""
    return "      -" if value is None else f"{value:5.1f} %"


def bar(value: float | None, width: int) -> str:
    """A bar of ``width`` characters for a percentage."""
    filled = 0.0 if value is None else min(max(value, 0.0), _PERCENT) / _PERCENT * width
    whole = int(filled)
    rest = _EIGHTHS[int((filled - whole) * 8)].strip() if whole < width else ""
    return ("█" * whole + rest).ljust(width, "·")


def level(value: float) -> str:
    """One character for a percentage."""
    return _LEVELS[min(int(min(max(value, 0.0), _PERCENT) / _PERCENT * len(_LEVELS)), len(_LEVELS) - 1)]


def _scaled(value: float, step: float, units: list[str]) -> str:
    index = 0
    while abs(value) >= step and index < len(units) - 1:
        value /= step
        index += 1
    decimals = 0 if index == 0 or abs(value) >= 100 else 1  # noqa: PLR2004  three figures
    return f"{value:.{decimals}f} {units[index]}"
