"""A dashboard in the JSON that Grafana calls Classic: taken as it is by 10.x, migrated while loading by newer ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from grafana.model import INFLUXDB, Source

if TYPE_CHECKING:
    from grafana.model import Json, Panel, Variable

#: Of the oldest Grafana that all of this was written for (10.x); newer ones read it and migrate while loading.
SCHEMA_VERSION: Final = 39
WIDTH: Final = 24
#: Uids of dashboards begin so, links and tests rely on it.
PREFIX: Final = "iothub-"
_GRAFANA: Final = Source("grafana", "-- Grafana --")


@dataclass(frozen=True, slots=True)
class Row:
    """A heading, and the panels below it, placed from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Annotation:
    """Events drawn over every panel; columns of the answer by what they are."""

    name: str
    text: str
    title_column: str
    text_column: str
    tags_columns: str
    color: str = "red"

    def json(self) -> Json:
        target = {
            "refId": "Anno",
            "datasource": INFLUXDB.json(),
            "query": self.text,
            "rawQuery": True,
            "resultFormat": "table",
            "fromAnnotations": True,
            "textEditor": True,
            "titleColumn": self.title_column,
            "textColumn": self.text_column,
            "tagsColumn": self.tags_columns,
        }
        return {
            "name": self.name,
            "enable": True,
            "hide": False,
            "iconColor": self.color,
            "datasource": INFLUXDB.json(),
            "query": self.text,
            "titleColumn": self.title_column,
            "textColumn": self.text_column,
            "tagsColumn": self.tags_columns,
            "target": target,
        }


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard; ``version`` is counted up with each change, so that Grafana takes the new one."""

    name: str
    title: str
    description: str
    version: int
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    start: str = "now-6h"
    refresh: str = "30s"

    @property
    def uid(self) -> str:
        return PREFIX + self.name

    def json(self) -> Json:
        own = {
            "name": "Annotations & Alerts",
            "builtIn": 1,
            "datasource": _GRAFANA.json(),
            "enable": True,
            "hide": True,
            "iconColor": "rgba(0, 211, 255, 1)",
            "type": "dashboard",
        }
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["iothub"],
            "schemaVersion": SCHEMA_VERSION,
            "version": self.version,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "browser",
            "time": {"from": self.start, "to": "now"},
            "refresh": self.refresh,
            "templating": {"list": [variable.json() for variable in self.variables]},
            "annotations": {"list": [own, *(annotation.json() for annotation in self.annotations)]},
            "links": [
                {
                    "title": "iothub",
                    "type": "dashboards",
                    "tags": ["iothub"],
                    "asDropdown": True,
                    "includeVars": True,
                    "keepTime": True,
                }
            ],
            "panels": _placed(self.rows),
        }


def _placed(rows: tuple[Row, ...]) -> list[Json]:
    """Panels from left to right, in lines as high as the highest of them."""
    panels: list[Json] = []
    y = 0
    for row in rows:
        heading = {
            "id": len(panels) + 1,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
            "panels": [],
        }
        panels.append(heading)
        x, y, highest = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y, highest = 0, y + highest, 0
            panels.append(panel.json(len(panels) + 1, x, y))
            x, highest = x + panel.width, max(highest, panel.height)
        y += highest
    return panels
