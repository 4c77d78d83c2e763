"""Host: processor, memory, disks, network, temperatures and processes, by node and instance."""

from __future__ import annotations

from typing import Final

from grafana.choices import ALERTS, EACH_CORE, HOSTS, NO_CORE, OF_NODES, newest, over_time
from grafana.dashboard import Dashboard, Row
from grafana.model import Influx, QueryVariable
from grafana.panels import CELSIUS, FILLING, bar_gauge, lines, stat, table, unit_of

_OF_INTERFACES: Final = '"interface" =~ /^${interface:regex}$/'
_OF_DISKS: Final = '"device" =~ /^${disk:regex}$/'
_BLUE: Final = ((None, "blue"),)


def _instances(name: str, label: str, measurement: str, tag: str) -> QueryVariable:
    """What the chosen nodes have of something."""
    return QueryVariable(name, label, f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "{tag}" WHERE {OF_NODES}')


def _both(down: str, up: str, measurement: str, tag: str, where: str) -> Influx:
    """Two directions in one panel, the second one below zero."""
    selected = f'mean("{down}") AS "{down}", -1 * mean("{up}") AS "{up}"'
    return Influx(over_time(selected, measurement, "node", tag, where=where), alias=f"$tag_node $tag_{tag} $col")


HOST: Final = Dashboard(
    "host",
    "iothub: hosts",
    "What the agents measure, by node and by core, disk, interface and sensor.",
    version=1,
    variables=(
        HOSTS,
        _instances("disk", "Disk", "diskio", "device"),
        _instances("interface", "Interface", "net", "interface"),
    ),
    annotations=(ALERTS,),
    rows=(
        Row(
            "Processor",
            (
                lines(
                    "Usage",
                    Influx(over_time('mean("usage")', "cpu", "node", where=NO_CORE), alias="$tag_node"),
                    description="Of all cores; neither idle nor waiting for a disk.",
                    unit="percent",
                    minimum=0,
                    interval="10s",
                ),
                lines(
                    "Where the time goes",
                    Influx(
                        over_time(
                            'mean("user_percent") AS "user", mean("system_percent") AS "system", '
                            'mean("iowait_percent") AS "waiting for disks"',
                            "cpu",
                            "node",
                            where=NO_CORE,
                        ),
                        alias="$tag_node $col",
                    ),
                    unit="percent",
                    minimum=0,
                    interval="10s",
                ),
                lines(
                    "Load",
                    Influx(
                        over_time('mean("load1") AS "1 min", mean("load15") AS "15 min"', "cpu", "node", where=NO_CORE),
                        alias="$tag_node $col",
                    ),
                    minimum=0,
                    interval="10s",
                ),
                lines(
                    "Usage of each core",
                    Influx(
                        over_time('mean("usage")', "cpu", "node", "core", where=EACH_CORE),
                        alias="$tag_node $tag_core",
                    ),
                    unit="percent",
                    minimum=0,
                    interval="10s",
                ),
            ),
        ),
        Row(
            "Memory",
            (
                lines(
                    "Memory used",
                    Influx(over_time('mean("used_percent")', "memory", "node"), alias="$tag_node"),
                    unit="percent",
                    minimum=0,
                    maximum=100,
                    interval="10s",
                ),
                lines(
                    "Memory",
                    Influx(
                        over_time(
                            'mean("used_bytes") AS "used", mean("available_bytes") AS "available"', "memory", "node"
                        ),
                        alias="$tag_node $col",
                    ),
                    unit="bytes",
                    minimum=0,
                    interval="10s",
                ),
                lines(
                    "Swap used",
                    Influx(over_time('mean("used_bytes")', "swap", "node"), alias="$tag_node"),
                    unit="bytes",
                    minimum=0,
                    interval="10s",
                ),
                stat(
                    "Uptime",
                    Influx(newest("uptime_s", "system", "node"), alias="$tag_node"),
                    unit="s",
                    thresholds=_BLUE,
                    width=12,
                    height=8,
                ),
            ),
        ),
        Row(
            "Disks",
            (
                bar_gauge(
                    "Full",
                    Influx(newest("used_percent", "disk", "node", "mount"), alias="$tag_node $tag_mount"),
                    unit="percent",
                    minimum=0,
                    maximum=100,
                    thresholds=FILLING,
                ),
                lines(
                    "Free",
                    Influx(over_time('mean("free_bytes")', "disk", "node", "mount"), alias="$tag_node $tag_mount"),
                    unit="bytes",
                    minimum=0,
                    interval="1m",
                ),
                lines(
                    "Read (up) and written (down)",
                    _both("read_bytes_per_s", "write_bytes_per_s", "diskio", "device", _OF_DISKS),
                    unit="Bps",
                    interval="10s",
                ),
                lines(
                    "Busy",
                    Influx(
                        over_time('mean("busy_percent")', "diskio", "node", "device", where=_OF_DISKS),
                        alias="$tag_node $tag_device",
                    ),
                    unit="percent",
                    minimum=0,
                    interval="10s",
                ),
            ),
        ),
        Row(
            "Network",
            (
                lines(
                    "Received (up) and sent (down)",
                    _both("rx_bytes_per_s", "tx_bytes_per_s", "net", "interface", _OF_INTERFACES),
                    unit="Bps",
                    interval="10s",
                ),
                lines(
                    "Errors and drops",
                    Influx(
                        over_time(
                            'mean("rx_errors_per_s") AS "rx errors", mean("tx_errors_per_s") AS "tx errors", '
                            'mean("rx_dropped_per_s") AS "rx dropped", mean("tx_dropped_per_s") AS "tx dropped"',
                            "net",
                            "node",
                            "interface",
                            where=_OF_INTERFACES,
                        ),
                        alias="$tag_node $tag_interface $col",
                    ),
                    unit="pps",
                    minimum=0,
                    interval="10s",
                ),
            ),
        ),
        Row(
            "Sensors: empty on machines that have none",
            (
                lines(
                    "Temperatures",
                    Influx(
                        over_time('max("temperature_c")', "temperature", "node", "chip", "sensor"),
                        alias="$tag_node $tag_chip $tag_sensor",
                    ),
                    description="The highest of each step.",
                    unit="celsius",
                    interval="30s",
                ),
                bar_gauge(
                    "Temperatures now",
                    Influx(
                        newest("temperature_c", "temperature", "node", "chip", "sensor"),
                        alias="$tag_node $tag_chip $tag_sensor",
                    ),
                    unit="celsius",
                    minimum=0,
                    maximum=110,
                    thresholds=CELSIUS,
                ),
                lines(
                    "Fans",
                    Influx(
                        over_time('mean("speed_rpm")', "fan", "node", "chip", "sensor"),
                        alias="$tag_node $tag_chip $tag_sensor",
                    ),
                    unit="rotrpm",
                    minimum=0,
                    interval="30s",
                ),
                lines(
                    "Battery",
                    Influx(over_time('mean("charge_percent")', "battery", "node"), alias="$tag_node"),
                    unit="percent",
                    minimum=0,
                    maximum=100,
                    interval="1m",
                ),
            ),
        ),
        Row(
            "Processes",
            (
                table(
                    "Programs by memory",
                    Influx(
                        'SELECT last("rss_bytes") AS "memory", last("cpu_percent") AS "cpu", last("count") AS "number" '
                        f'FROM "process" WHERE $timeFilter AND {OF_NODES} GROUP BY "node", "name"',
                        table=True,
                    ),
                    description="The programs with most memory and those with most processor time; "
                    "cpu is percent of one core.",
                    sort="memory",
                    overrides=(unit_of("memory", "bytes"), unit_of("cpu", "percent")),
                    transformations=({"id": "organize", "options": {"excludeByName": {"Time": True}}},),
                    height=10,
                ),
                lines(
                    "Processes",
                    Influx(
                        over_time(
                            'mean("total") AS "total", mean("running") AS "running", mean("zombie") AS "zombie"',
                            "processes",
                            "node",
                        ),
                        alias="$tag_node $col",
                    ),
                    minimum=0,
                    interval="30s",
                    height=10,
                ),
            ),
        ),
    ),
)
