"""What dashboards are made of: data sources, queries, panels, variables; each knows its JSON.

    dashboard.py: Dashboard ─▶ Row ─▶ Panel ─▶ Influx | Prom      (queries)
                      └─▶ QueryVariable | ChoiceVariable | TextVariable

Values are put into queries with an explicit format, which means the same in every Grafana:

    ${node:regex}        (a|b), escaped; between /^ and $/ , the only right way for variables with several values
    ${measurement:raw}   as it is; between double quotes, for names of measurements and fields

(Grafana documentation: "Provision dashboards", "Variable syntax", "InfluxDB query editor", schema version 39.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

#: JSON objects of Grafana.
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """A data source, by the uid that the files in ``datasources/`` fix."""

    type: str
    uid: str

    def json(self) -> Json:
        return {"type": self.type, "uid": self.uid}


INFLUXDB: Final = Source("influxdb", "iothub-influxdb")
PROMETHEUS: Final = Source("prometheus", "iothub-prometheus")


@dataclass(frozen=True, slots=True)
class Influx:
    """An InfluxQL query: one that InfluxDB 1.x, 2.x and 3.x understand."""

    text: str
    #: Name of each line: ``$tag_node``, ``$col``; empty for Grafana's own.
    alias: str = ""
    table: bool = False
    source: Source = INFLUXDB

    def json(self, ref: str) -> Json:
        return {
            "refId": ref,
            "datasource": self.source.json(),
            "query": self.text,
            "rawQuery": True,
            "resultFormat": "table" if self.table else "time_series",
            "alias": self.alias,
        }


@dataclass(frozen=True, slots=True)
class Prom:
    """A PromQL query."""

    text: str
    legend: str = ""
    #: One value, now, in place of a line.
    instant: bool = False
    source: Source = PROMETHEUS

    def json(self, ref: str) -> Json:
        return {
            "refId": ref,
            "datasource": self.source.json(),
            "expr": self.text,
            "legendFormat": self.legend or "__auto",
            "instant": self.instant,
            "range": not self.instant,
            "editorMode": "code",
        }


Query = Influx | Prom


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; ``kind`` is Grafana's name for how it shows its queries."""

    kind: str
    title: str
    queries: tuple[Query, ...]
    #: What one sees, and what to do about it.
    description: str = ""
    unit: str = "short"
    width: int = 12
    height: int = 8
    #: Shortest step of a query, the period of what is shown: shorter ones give gaps.
    interval: str = ""
    minimum: float | None = None
    maximum: float | None = None
    #: Lower bound and colour; the first bound is None.
    thresholds: tuple[tuple[float | None, str], ...] = ((None, "green"),)
    mappings: tuple[Json, ...] = ()
    custom: Json = field(default_factory=dict)
    options: Json = field(default_factory=dict)
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()

    def json(self, number: int, x: int, y: int) -> Json:
        source = self.queries[0].source
        defaults: Json = {
            "unit": self.unit,
            "thresholds": {
                "mode": "absolute",
                "steps": [{"value": value, "color": color} for value, color in self.thresholds],
            },
            "mappings": list(self.mappings),
            "custom": self.custom,
            "color": {"mode": "palette-classic" if len(self.thresholds) == 1 else "thresholds"},
        }
        for name, value in (("min", self.minimum), ("max", self.maximum)):
            if value is not None:
                defaults[name] = value
        answer: Json = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": source.json(),
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [query.json(chr(ord("A") + at)) for at, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": defaults, "overrides": list(self.overrides)},
            "options": self.options,
            "transformations": list(self.transformations),
        }
        return answer | ({"interval": self.interval} if self.interval else {})


@dataclass(frozen=True, slots=True)
class QueryVariable:
    """A choice that InfluxDB is asked for.

    ``several``: more than one may be chosen, and all; a query then needs ``=~ /^${name:regex}$/``.
    """

    name: str
    label: str
    text: str
    several: bool = True
    #: Chosen at first, where it is there.
    first: str = ""

    def json(self) -> Json:
        chosen = {"text": ["All"], "value": ["$__all"]} if self.several else {"text": self.first, "value": self.first}
        return {
            "name": self.name,
            "label": self.label,
            "type": "query",
            "datasource": INFLUXDB.json(),
            "query": self.text,
            "definition": self.text,
            "multi": self.several,
            "includeAll": self.several,
            # All is one short expression, however many there are; it also takes in what has no such tag.
            **({"allValue": ".*"} if self.several else {}),
            "current": chosen if self.several or self.first else {},
            "options": [],
            # When the time range changes: nodes come and go.
            "refresh": 2,
            "sort": 1,
            "regex": "",
            "hide": 0,
        }


@dataclass(frozen=True, slots=True)
class ChoiceVariable:
    """One of a few fixed values; the first at first."""

    name: str
    label: str
    choices: tuple[str, ...]

    def json(self) -> Json:
        first = self.choices[0]
        return {
            "name": self.name,
            "label": self.label,
            "type": "custom",
            "query": ",".join(self.choices),
            "multi": False,
            "includeAll": False,
            "current": {"text": first, "value": first, "selected": True},
            "options": [{"text": choice, "value": choice, "selected": choice == first} for choice in self.choices],
            "hide": 0,
        }


@dataclass(frozen=True, slots=True)
class TextVariable:
    """Free text, empty at first."""

    name: str
    label: str

    def json(self) -> Json:
        empty = {"text": "", "value": ""}
        return {
            "name": self.name,
            "label": self.label,
            "type": "textbox",
            "query": "",
            "current": empty,
            "options": [empty],
            "hide": 0,
        }


Variable = QueryVariable | ChoiceVariable | TextVariable
