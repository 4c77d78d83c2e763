"""Logs: records by node, level, source and text."""

from __future__ import annotations

from typing import Final

from grafana.choices import ALERTS, WHERE
from grafana.dashboard import Dashboard, Row
from grafana.model import Influx, QueryVariable, TextVariable
from grafana.panels import lines, log_lines

_WHERE: Final = (
    f'{WHERE} AND "level" =~ /^${{level:regex}}$/ AND "source" =~ /^${{source:regex}}$/ '
    'AND "message" =~ /(?i)${text:regex}/'
)
#: Tags of ``log`` on the nodes that are chosen.
_ON_NODES: Final = 'WHERE "node" =~ /^${node:regex}$/'

LOGS: Final = Dashboard(
    "logs",
    "iothub: logs",
    "Log records of nodes.",
    version=1,
    start="now-1h",
    variables=(
        QueryVariable("node", "Node", 'SHOW TAG VALUES FROM "log" WITH KEY = "node"'),
        QueryVariable("level", "Level", f'SHOW TAG VALUES FROM "log" WITH KEY = "level" {_ON_NODES}'),
        QueryVariable("source", "Source", f'SHOW TAG VALUES FROM "log" WITH KEY = "source" {_ON_NODES}'),
        TextVariable("text", "Text"),
    ),
    annotations=(ALERTS,),
    rows=(
        Row(
            "Log records",
            (
                lines(
                    "Records by level",
                    Influx(
                        f'SELECT count("message") FROM "log" {_WHERE} GROUP BY time($__interval), "level" fill(0)',
                        alias="$tag_level",
                    ),
                    bars=True,
                    stacked=True,
                    width=24,
                    height=6,
                    interval="10s",
                ),
                log_lines(
                    "Records",
                    # The first text column is the line; level colours it; the others are its details.
                    Influx(
                        f'SELECT "message", "level", "node", "source", "fields" FROM "log" {_WHERE} '
                        "ORDER BY time DESC LIMIT 1000",
                        table=True,
                    ),
                    description="The newest 1,000.",
                    width=24,
                    height=20,
                ),
            ),
        ),
    ),
)
