"""What the engine remembers over a restart, as plain data; :mod:`hub.rules.statefile` writes and reads it."""

from __future__ import annotations

import msgspec

from wire.point import SeriesKey, Value

VERSION = 1


class CellState(msgspec.Struct, frozen=True, array_like=True):
    """One condition and one series."""

    rule: str
    at: int
    key: SeriesKey
    field: str
    level: int
    last_ns: int
    value: Value | None
    #: Learned cadence: count, typical and longest interval in ns.
    cadence: tuple[int, float, float] | None = None
    #: The silence was being waited for.
    awaited: bool = False


class TrackState(msgspec.Struct, frozen=True, array_like=True):
    """One rule and subject that is not idle, or was not of late."""

    rule: str
    node: str
    key: SeriesKey | None
    field: str | None
    phase: int
    rank: int
    at_ns: int
    due_ns: int | None
    wall_ns: int | None


class WindowState(msgspec.Struct, frozen=True, array_like=True):
    """Samples of one window."""

    key: SeriesKey
    field: str
    over_ns: int
    times_ns: list[int]
    values: list[float]


class EngineState(msgspec.Struct, frozen=True):
    """All of it."""

    version: int = VERSION
    #: Rule → what it asked when this was saved.
    rules: dict[str, str] = {}
    cells: list[CellState] = []
    tracks: list[TrackState] = []
    windows: list[WindowState] = []
