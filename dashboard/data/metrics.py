"""The hub's own figures (``/metrics``, Prometheus text) as numbers by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dashboard.data.times import duration

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


def broker_and_store(shown: Figures, now_s: float) -> dict[str, str]:
    """Whether broker, link and store keep up: label → value.

    Args:
        shown: the newest figures.
        now_s: Unix time.
    """
    writes = shown.get("iothub_store_write_seconds_count", 0)
    mean_s = shown.get("iothub_store_write_seconds_sum", 0) / writes if writes else 0.0
    return {
        "Connection to the broker": "up" if shown.get("iothub_link_up") else "down",
        "Connections made so far": _whole(shown, "iothub_link_connects"),
        "Held by the broker": _whole(shown, "iothub_broker_held_messages") + " messages",
        "Dropped by the broker": _whole(shown, "iothub_broker_dropped_messages") + " messages",
        "Read, not yet acknowledged": _whole(shown, "iothub_in_flight_messages") + " messages",
        "Last stored": _ago(shown.get("iothub_last_stored_timestamp_seconds", 0), now_s),
        "Mean time of a write": f"{mean_s * 1000:,.1f} ms",
        "Values stored": _whole(shown, "iothub_values_stored_total"),
        "Series that met another type": _whole(shown, "iothub_type_clashes_total"),
    }


def spool(shown: Figures, now_s: float) -> dict[str, str] | None:
    """What waits on disk until the store can take it: label → value; None where the store needs no spool."""
    if "iothub_spool_bytes" not in shown:
        return None
    held, most = shown["iothub_spool_bytes"], shown.get("iothub_spool_max_bytes", 0)
    share = f" ({held / most:.0%} of what may be)" if most else ""
    return {
        "State": "in use: the store takes less than comes" if shown.get("iothub_spooling") else "not in use",
        "Waiting": f"{held / 1e6:,.1f} MB{share}",
        "History that waits": f"{shown.get('iothub_spool_hours', 0):,.1f} h",
        "The oldest came": _ago(shown.get("iothub_spool_oldest_timestamp_seconds", 0), now_s),
        "Unreadable so far": _whole(shown, "iothub_spool_damaged_bytes") + " bytes",
    }


def _whole(shown: Figures, name: str) -> str:
    return f"{shown.get(name, 0):,.0f}"


def _ago(at_s: float, now_s: float) -> str:
    return f"{duration(now_s - at_s)} ago" if at_s else "–"
