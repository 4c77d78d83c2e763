"""Settings shared by every process, and the loader that all of them use.

``load(Model, path)`` reads a TOML file, lays ``IOTHUB_SECTION__KEY`` over it, validates, and on error names file, line,
key, value and what is allowed. Nothing here opens a socket or a database.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from wire.topics import DEFAULT_ROOT

Secret = SecretStr

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w|y)")
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}


def parse_duration(text: object) -> float:
    """Seconds from ``30s``, ``5m``, ``1h30m``, ``7d`` or a plain number of seconds.

    Raises:
        ValueError: anything else; the message says what is allowed.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    if isinstance(text, str):
        compact = text.strip()
        parts = _DURATION.findall(compact)
        if parts and _DURATION.sub("", compact).strip() == "":
            return sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    raise ValueError("a duration is a number of seconds or text such as 500ms, 30s, 5m, 1h30m, 7d")


#: Seconds; written as ``30s``, ``5m``, ``1h30m`` in files.
Duration = Annotated[float, BeforeValidator(parse_duration), Field(ge=0)]


class MqttSettings(BaseModel):
    """``[mqtt]``: the broker that hub, agent and gateways connect to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    #: 0 = choose a free one (managed broker only).
    port: int = Field(default=1883, ge=0, le=65_535)
    root: str = DEFAULT_ROOT
    username: str | None = None
    password: SecretStr | None = None
    #: File whose only line is the password; wins over ``password``.
    password_file: Path | None = None
    client_id: str | None = None
    keep_alive_s: int = Field(default=15, ge=5, le=65_535)
    tls: bool = False
    #: PEM file of the authorities to trust; the system's when empty.
    ca_file: Path | None = None
