"""What a host publishes, as groups of charts: known measurements first, whatever else there is after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dashboard.data.times import clock

if TYPE_CHECKING:
    from collections.abc import Iterable

Document = dict[str, Any]


@dataclass(frozen=True)
class Panel:
    """One chart of a node's page."""

    title: str
    measurement: str
    fields: tuple[str, ...]
    unit: str = ""


#: Of the host agent; shown where the node publishes them.
HOST: Final = (
    Panel("Processor, by core", "cpu", ("usage",), "%"),
    Panel("Load", "cpu", ("load1", "load5", "load15")),
    Panel("Memory", "memory", ("used_percent",), "%"),
    Panel("Swap", "swap", ("used_percent",), "%"),
    Panel("Disks, used", "disk", ("used_percent",), "%"),
    Panel("Disks, busy", "diskio", ("busy_percent",), "%"),
    Panel("Disks, traffic", "diskio", ("read_bytes_per_s", "write_bytes_per_s"), "bytes/s"),
    Panel("Network, by interface", "net", ("rx_bytes_per_s", "tx_bytes_per_s"), "bytes/s"),
    Panel("Network, errors", "net", ("rx_errors_per_s", "tx_errors_per_s", "rx_dropped_per_s"), "1/s"),
    Panel("Temperatures", "temperature", ("temperature_c",), "°C"),
    Panel("Fans", "fan", ("speed_rpm",), "rpm"),
    Panel("Battery", "battery", ("charge_percent",), "%"),
)
_MOST_OTHERS: Final = 12
#: Figures that need no chart on the first look.
_PLAIN: Final = frozenset({"agent", "processes", "process", "users", "system", "outbox", "log", "alert"})


def panels(publishes: Iterable[Document]) -> list[Panel]:
    """The charts for what a node publishes: those of hosts, then one for each field of other measurements."""
    numbers = {(one["measurement"], one["field"]) for one in publishes if one["kind"] != "text"}
    found = []
    for panel in HOST:
        fields = tuple(field for field in panel.fields if (panel.measurement, field) in numbers)
        if fields:
            found.append(Panel(panel.title, panel.measurement, fields, panel.unit))
    known = {panel.measurement for panel in HOST} | _PLAIN
    others = sorted((measurement, field) for measurement, field in numbers if measurement not in known)
    return found + [Panel(f"{name}.{field}", name, (field,)) for name, field in others[:_MOST_OTHERS]]


def published(publishes: Iterable[Document], zone: str) -> list[Document]:
    """A row a series with its newest value."""
    return [
        {
            "Series": f"{one['measurement']}.{one['field']}",
            "Tags": ", ".join(f"{name}={value}" for name, value in one["tags"].items()),
            "Value": _value(one["value"]),
            "At": clock(one["last"], zone),
            "Since": clock(one["first"], zone),
        }
        for one in publishes
    ]


def inventory(info: Document) -> list[Document]:
    """What a node says about itself, a row each; commands have a page of their own."""
    shown = {name: value for name, value in info.items() if name != "commands"}
    return [{"What": name.replace("_", " "), "Value": _value(value)} for name, value in shown.items()]


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_value(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_value(inner) for inner in value)
    return "" if value is None else str(value)
