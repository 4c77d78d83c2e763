"""The hub's own figures (``/metrics``, Prometheus text) as numbers by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_LINE: Final = re.compile(r"^([a-zA-Z_:][\w:]*(?:\{[^}]*\})?) (\S+)$", re.MULTILINE)

Figures = dict[str, float]


def figures(text: str) -> Figures:
    """Every sample, by its name with labels as written: ``iothub_nodes_by_state{state="online"}``."""
    return {name: float(value) for name, value in _LINE.findall(text)}


@dataclass(frozen=True)
class Reading:
    """Figures, and when they were read."""

    at_s: float
    figures: Figures

    def rate(self, before: Reading | None, name: str) -> float | None:
        """Growth a second since ``before``; None where that cannot be said, e.g. after a restart of the hub."""
        if before is None or self.at_s <= before.at_s or name not in self.figures or name not in before.figures:
            return None
        grown = self.figures[name] - before.figures[name]
        return grown / (self.at_s - before.at_s) if grown >= 0 else None
