"""How far a migration has come: one JSON file in the state directory, replaced after every batch that is stored."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

_NAME: Final = "influx-migration.json"
_REFUSED: Final = "influx-migration-refused.jsonl"


class Position(msgspec.Struct):
    """What is moved."""

    #: Where it goes: address, database and retention policy.
    target: str
    #: By table of samples or logs: the first row that is not moved yet.
    rows: dict[str, int] = {}
    #: By table of minutes or hours that is moved: what it was like then.
    rollups: dict[str, list[int]] = {}
    #: By table and series: values that InfluxDB refuses for good.
    refused: dict[str, dict[str, int]] = {}

    @property
    def refused_total(self) -> int:
        return sum(sum(counts.values()) for counts in self.refused.values())

    def refuse(self, table: str, series: str) -> None:
        """Note one value that is refused."""
        counts = self.refused.setdefault(table, {})
        counts[series] = counts.get(series, 0) + 1


class PositionFile:
    """Keeps a position in a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        #: What was refused, a JSON object a line.
        self.refused = folder / _REFUSED

    def load(self, target: str) -> Position:
        """The position of a migration to ``target``; a new one when there is none, or one to another place."""
        try:
            held = msgspec.json.decode(self._path.read_bytes(), type=Position)
        except (FileNotFoundError, msgspec.DecodeError):
            return Position(target)
        return held if held.target == target else Position(target)

    def save(self, position: Position) -> None:
        """Replace the file: it is never half written. A power cut may undo it; moving rows again changes nothing."""
        partial = self._path.with_suffix(".new")
        partial.write_bytes(msgspec.json.encode(position))
        os.replace(partial, self._path)  # noqa: PTH105  as Path.replace, and says that it is atomic

    def note_refused(self, rows: list[dict[str, Any]]) -> None:
        """Append what was refused, and why."""
        if not rows:
            return
        with self.refused.open("ab") as file:
            file.writelines(msgspec.json.encode(row) + b"\n" for row in rows)
