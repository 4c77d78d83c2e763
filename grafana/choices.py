"""Variables, conditions and annotations that several dashboards share."""

from __future__ import annotations

from typing import Final

from grafana.dashboard import Annotation
from grafana.model import QueryVariable

#: The nodes that are chosen: any number of them, as one regular expression.
OF_NODES: Final = '"node" =~ /^${node:regex}$/'
#: All rows of a panel: time and nodes.
WHERE: Final = f"WHERE $timeFilter AND {OF_NODES}"
#: The sums over all cores of ``cpu``: those of single cores have the tag ``core``.
NO_CORE: Final = "\"core\" = ''"
EACH_CORE: Final = "\"core\" != ''"

#: Every host has an agent, and every agent reports its processor.
HOSTS: Final = QueryVariable("node", "Node", 'SHOW TAG VALUES FROM "cpu" WITH KEY = "node"')

#: Measurement ``alert``: what the hub writes of its alerts; see docs/alerts.md.
ALERTS: Final = Annotation(
    "Alerts",
    f'SELECT "message", "state", "rule", "node" FROM "alert" {WHERE}',
    title_column="rule",
    text_column="message",
    tags_columns="node,state",
)


def newest(field: str, measurement: str, *groups: str, alias: str = "value", where: str = "") -> str:
    """The newest value of each series."""
    by = ", ".join(f'"{name}"' for name in groups)
    also = f" AND {where}" if where else ""
    return f'SELECT last("{field}") AS "{alias}" FROM "{measurement}" {WHERE}{also} GROUP BY {by}'


def over_time(selected: str, measurement: str, *groups: str, where: str = "", fill: str = "null") -> str:
    """``selected`` for each step and series."""
    by = "".join(f', "{name}"' for name in groups)
    also = f" AND {where}" if where else ""
    return f'SELECT {selected} FROM "{measurement}" {WHERE}{also} GROUP BY time($__interval){by} fill({fill})'
