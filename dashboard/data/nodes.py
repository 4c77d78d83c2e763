"""Nodes as rows of a table: state in words and signs, sparklines, open alerts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dashboard.data.times import ago

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dashboard.data.traces import Trace

Document = dict[str, Any]

#: A sign beside the word: colour alone tells nothing to some.
SIGNS: Final = {"online": "● online", "silent": "◐ silent", "offline": "○ offline", "never": "· never seen"}
#: What needs a person comes first.
_ORDER: Final = {"silent": 0, "offline": 1, "online": 2, "never": 3}


def rows(
    nodes: Iterable[Document], sparks: Mapping[str, Sequence[float]], alerts: Mapping[str, int]
) -> list[dict[str, Any]]:
    """A row a node: those with alerts first, then silent, offline, online."""
    found = [
        {
            "Node": node["node"],
            "State": SIGNS.get(node["contact"], node["contact"]),
            "Last seen": ago(node["last_seen"]),
            "Alerts": alerts.get(node["node"], 0),
            "CPU, last hour": list(sparks.get(node["node"], [])),
            "Groups": ", ".join(node["groups"]),
            "Version": node["version"] or "",
            "contact": node["contact"],
        }
        for node in nodes
    ]
    return sorted(found, key=lambda row: (-row["Alerts"], _ORDER.get(row["contact"], 9), row["Node"]))


def counts(nodes: Iterable[Document]) -> Counter[str]:
    """Nodes by state."""
    return Counter(node["contact"] for node in nodes)


def sparklines(traces: Iterable[Trace]) -> dict[str, list[float]]:
    """The values of each node's trace that has no tags."""
    return {
        trace.node: np.round(trace.values[np.isfinite(trace.values)], 1).tolist()
        for trace in traces
        if not trace.tags and not isinstance(trace.values, list)
    }
