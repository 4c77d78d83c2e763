"""Units by the name of a field, as our agent and many devices write them; empty where a name says nothing."""

from __future__ import annotations

from typing import Final

#: Ending or whole name → unit. The longest that fits wins.
_BY_ENDING: Final = {
    "_bytes": "bytes",
    "bytes": "bytes",
    "_percent": "%",
    "percent": "%",
    "usage": "%",
    "_ms": "ms",
    "_us": "µs",
    "_s": "s",
    "_seconds": "s",
    "seconds": "s",
    "_per_s": "1/s",
    "bytes_per_s": "bytes/s",
    "_c": "°C",
    "temperature": "°C",
    "celsius": "°C",
    "humidity": "%",
    "_hz": "Hz",
    "_mhz": "MHz",
    "_v": "V",
    "voltage": "V",
    "_w": "W",
    "power": "W",
    "_rpm": "rpm",
    "_hpa": "hPa",
    "pressure": "hPa",
}


def unit_of(field: str) -> str:
    """The unit of a field, guessed from its name."""
    name = field.lower()
    fitting = [ending for ending in _BY_ENDING if name.endswith(ending)]
    return _BY_ENDING[max(fitting, key=len)] if fitting else ""
