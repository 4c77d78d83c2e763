"""Overview: which nodes are there, which report, what comes in, what went wrong."""

from __future__ import annotations

from typing import Final

from grafana.choices import ALERTS, HOSTS, NO_CORE, WHERE, over_time
from grafana.dashboard import Dashboard, Row
from grafana.model import Influx, Prom
from grafana.panels import FILLING, GREEN_RED, RED_GREEN, at_least, lines, stat, table, timeline, unit_of, value_texts

_SERIOUS: Final = '"level" =~ /^(error|critical|alert|emergency)$/'
_BLUE: Final = ((None, "blue"),)


def _last(selected: str, measurement: str, where: str = "") -> Influx:
    also = f" AND {where}" if where else ""
    return Influx(f'SELECT {selected} FROM "{measurement}" {WHERE}{also} GROUP BY "node"', table=True)


OVERVIEW: Final = Dashboard(
    "overview",
    "iothub: overview",
    "Nodes and whether they report, what the hub takes in, and what went wrong.",
    version=1,
    variables=(HOSTS,),
    annotations=(ALERTS,),
    rows=(
        Row(
            "Hub",
            (
                stat(
                    "Broker link",
                    Prom("min(iothub_link_up)"),
                    description="Whether the hub is connected to the broker. `iothub doctor` says why not.",
                    thresholds=RED_GREEN,
                    mappings=(value_texts({"0": ("down", "red"), "1": ("up", "green")}),),
                ),
                stat("Nodes online", Prom("sum(iothub_nodes_by_state{state='online'})"), thresholds=_BLUE),
                stat(
                    "Nodes silent",
                    Prom("sum(iothub_nodes_by_state{state='silent'})"),
                    description="Announced no end, and send nothing for longer than nodes.silent_after.",
                    thresholds=GREEN_RED,
                ),
                stat(
                    "Nodes offline",
                    Prom("sum(iothub_nodes_by_state{state='offline'})"),
                    description="Said that they leave, or were cut off.",
                    thresholds=((None, "green"), (1, "orange")),
                ),
                stat(
                    "Values stored",
                    Prom("sum(rate(iothub_values_stored_total[$__rate_interval]))"),
                    unit="ops",
                    thresholds=_BLUE,
                ),
                stat(
                    "Since data was stored",
                    Prom("time() - max(iothub_last_stored_timestamp_seconds)"),
                    unit="s",
                    thresholds=((None, "green"), (60, "orange"), (300, "red")),
                ),
                lines(
                    "Messages by what became of them",
                    Prom("sum by (outcome) (rate(iothub_messages_total[$__rate_interval]))", "{{outcome}}"),
                    description="`handled` are birth messages, wills and replies; why messages are refused: "
                    "`iothub rejects list`.",
                    unit="ops",
                    stacked=True,
                    width=24,
                ),
            ),
        ),
        Row(
            "Alerts",
            (
                table(
                    "Alerts",
                    Influx(
                        'SELECT last("state") AS "state", "severity" AS "severity", "message" AS "message" '
                        f'FROM "alert" {WHERE} GROUP BY "node", "rule", "series"',
                        table=True,
                    ),
                    description="The newest state of each alert that changed in the time range; all that are open: "
                    "`iothub alerts`.",
                    width=24,
                    sort="Time",
                ),
            ),
        ),
        Row(
            "Hosts",
            (
                timeline(
                    "Reporting",
                    Influx(
                        over_time('count("usage")', "cpu", "node", where=NO_CORE, fill="0"),
                        alias="$tag_node",
                    ),
                    description="Red where the agent of a host sent no processor load for a whole step.",
                    interval="1m",
                    width=24,
                    thresholds=RED_GREEN,
                    mappings=(value_texts({"0": ("silent", "red")}), at_least(1, "reporting", "green")),
                ),
                table(
                    "Hosts",
                    _last('last("uptime_s") AS "uptime"', "system"),
                    _last('last("usage") AS "cpu"', "cpu", NO_CORE),
                    _last('last("used_percent") AS "memory"', "memory"),
                    _last('max("used_percent") AS "fullest disk"', "disk"),
                    description="The newest values of each host in the time range.",
                    width=24,
                    sort="cpu",
                    transformations=(
                        {"id": "joinByField", "options": {"byField": "node", "mode": "outer"}},
                        {
                            "id": "organize",
                            "options": {
                                "excludeByName": {"Time 2": True, "Time 3": True, "Time 4": True},
                                "renameByName": {"Time 1": "last seen"},
                                "indexByName": {"node": 0},
                            },
                        },
                    ),
                    overrides=(
                        unit_of("uptime", "s"),
                        unit_of("cpu", "percent", FILLING),
                        unit_of("memory", "percent", FILLING),
                        unit_of("fullest disk", "percent", FILLING),
                    ),
                ),
                lines(
                    "Processor",
                    Influx(over_time('mean("usage")', "cpu", "node", where=NO_CORE), alias="$tag_node"),
                    unit="percent",
                    minimum=0,
                    maximum=100,
                    interval="10s",
                ),
                lines(
                    "Errors in logs",
                    Influx(
                        over_time('count("message")', "log", "node", where=_SERIOUS, fill="0"),
                        alias="$tag_node",
                    ),
                    description="Log records of level error and above, a step.",
                    bars=True,
                    stacked=True,
                    interval="1m",
                ),
            ),
        ),
    ),
)
