"""Metric explorer: any measurement ─▶ any of its fields ─▶ the nodes that have it."""

from __future__ import annotations

from typing import Final

from grafana.choices import ALERTS, WHERE
from grafana.dashboard import Dashboard, Row
from grafana.model import ChoiceVariable, Influx, QueryVariable
from grafana.panels import lines, table

_FROM: Final = f'FROM "${{measurement:raw}}" {WHERE}'
_FIELD: Final = '"${field:raw}"'

EXPLORER: Final = Dashboard(
    "explorer",
    "iothub: metric explorer",
    "Any field of any measurement, by node and every other tag.",
    version=1,
    variables=(
        QueryVariable("measurement", "Measurement", "SHOW MEASUREMENTS", several=False, first="cpu"),
        QueryVariable("field", "Field", 'SHOW FIELD KEYS FROM "${measurement:raw}"', several=False, first="usage"),
        QueryVariable("node", "Node", 'SHOW TAG VALUES FROM "${measurement:raw}" WITH KEY = "node"'),
        ChoiceVariable("fn", "Of each step", ("mean", "min", "max", "median", "last", "count")),
    ),
    annotations=(ALERTS,),
    rows=(
        Row(
            "${measurement} ${field}",
            (
                lines(
                    "${fn} of ${field}",
                    Influx(f"SELECT ${{fn:raw}}({_FIELD}) {_FROM} GROUP BY time($__interval), * fill(null)"),
                    description="A line for each series. Of booleans and texts there is no mean: choose last or count.",
                    width=24,
                    height=12,
                ),
                table(
                    "Newest of each series",
                    Influx(f'SELECT last({_FIELD}) AS "value" {_FROM} GROUP BY *', table=True),
                    height=10,
                ),
                table(
                    "Newest values",
                    Influx(f'SELECT {_FIELD}, "node" {_FROM} ORDER BY time DESC LIMIT 500', table=True),
                    description="As they came, at most 500.",
                    height=10,
                ),
            ),
        ),
    ),
)
