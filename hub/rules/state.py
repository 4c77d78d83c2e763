"""What the engine remembers over a restart, as plain data."""

from __future__ import annotations

import msgspec


class EngineState(msgspec.Struct, frozen=True):
    """Opaque to all but the engine; :mod:`hub.rules.statefile` writes and reads it."""

    version: int = 1
