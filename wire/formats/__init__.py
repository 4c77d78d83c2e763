"""Payload formats: an explicit table from the name in the settings to the function that decodes it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from wire.formats.influx import decode_influx, decode_influx_ms, decode_influx_s, decode_influx_us
from wire.formats.json import decode_json
from wire.formats.logs import decode_logs
from wire.formats.plain import decode_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wire.formats.base import Format

#: A new format is one new file and one line here.
FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        "influx": decode_influx,
        "influx_us": decode_influx_us,
        "influx_ms": decode_influx_ms,
        "influx_s": decode_influx_s,
        "json": decode_json,
        "log": decode_logs,
        "plain": decode_plain,
    }
)
