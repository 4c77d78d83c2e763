"""One frame of ``iothub watch``, from what the hub knows of a node. Pure.

    NodeDetail ─▶ Values (by measurement) ─▶ sections ─▶ one column, or two where the terminal is wide

Fields are those of the host agent (``agent/README.md``); whatever else a node publishes is listed as it is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hub.cli.output import ago, duration, parse_time, tags_text, value_text
from hub.cli.units import bar, bit_rate, byte_rate, level, link_speed, percent, size
from hub.text import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hub.api.schemas import NodeDetail

WIDE: Final = 116
#: A device whose values lag behind its fellows' by more is gone.
_GONE: Final = timedelta(seconds=90)
#: Between two columns; and what stands beside a bar: name, percentage, amounts.
_GUTTER: Final = 4
_BESIDE_BAR: Final = 52
_SHORTEST_BAR, _LONGEST_BAR = 4, 20
_CORES_IN_FULL: Final = 8
_CORES_A_LINE: Final = 64
_PROGRAMS: Final = 5
_NAME: Final = 16
_WARM, _HOT = 70.0, 90.0
_STYLES: Final = {"online": "green", "silent": "yellow", "offline": "red", "never": "red"}
#: Measurements with a section of their own, or shown in one.
_SHOWN: Final = frozenset(
    {"cpu", "memory", "swap", "disk", "diskio", "net", "temperature", "system", "process", "processes", "fan", "users"}
)
_AGENT_ONLY: Final = frozenset({"agent", "outbox"})
_LISTED: Final = 200

Tags = tuple[tuple[str, str], ...]


class _Value(NamedTuple):
    value: float | bool | str
    at: datetime


class Values:
    """The newest values of a node."""

    def __init__(self, detail: NodeDetail) -> None:
        self._rows: dict[str, dict[Tags, dict[str, _Value]]] = {}
        for each in detail.publishes:
            if each.value is not None:
                row = self._rows.setdefault(each.measurement, {}).setdefault(tuple(sorted(each.tags.items())), {})
                row[each.field] = _Value(each.value, parse_time(each.last))

    def measurements(self) -> list[str]:
        return sorted(self._rows)

    def number(self, measurement: str, field: str, tags: Tags = ()) -> float | None:
        """A number, or None when there is none."""
        found = self._rows.get(measurement, {}).get(tags, {}).get(field)
        return float(found.value) if found is not None and not isinstance(found.value, str) else None

    def devices(self, measurement: str) -> Iterator[tuple[dict[str, str], Callable[[str], float | None]]]:
        """Tags of each device that is there, and how to get a number of it."""
        rows = self._rows.get(measurement, {})
        newest = {tags: max(value.at for value in row.values()) for tags, row in rows.items()}
        latest = max(newest.values(), default=None)
        for tags in sorted(rows, key=_natural):
            if tags and latest is not None and latest - newest[tags] <= _GONE:
                yield dict(tags), lambda field, tags=tags: self.number(measurement, field, tags)  # type: ignore[misc]  # default binds

    def others(self) -> Iterator[tuple[str, str, str, datetime]]:
        """Series, value, tags and time of everything that no section shows."""
        for measurement in self.measurements():
            if measurement in _SHOWN | _AGENT_ONLY:
                continue
            for tags, row in sorted(self._rows[measurement].items()):
                for field, found in sorted(row.items()):
                    yield f"{measurement}.{field}", value_text(found.value), tags_text(dict(tags)), found.at

    def newest(self) -> datetime | None:
        """Time of the newest value."""
        times = (value.at for rows in self._rows.values() for row in rows.values() for value in row.values())
        return max(times, default=None)


def frame(detail: NodeDetail, width: int, now: datetime | None = None) -> RenderableType:
    """Everything about the node, for a terminal of ``width`` columns."""
    now = now or datetime.now(UTC)
    values = Values(detail)
    column = width if width < WIDE else (width - _GUTTER) // 2
    bars = min(max(column - _BESIDE_BAR, _SHORTEST_BAR), _LONGEST_BAR)
    left = [section for section in (_use(values, bars), _disks(values, bars)) if section is not None]
    right = [section for section in (_network(values), _climate(values), _programs(values)) if section is not None]
    others = _others(values, now)
    if others is not None:
        (right if left else left).append(others)
    head = _head(detail, values, now)
    if not left and not right:
        return Group(head, "", Text("It has sent no values yet.", style="dim"))
    if width < WIDE:
        return Group(head, *(part for section in left + right for part in ("", section)))
    grid = Table.grid(padding=(0, _GUTTER), expand=True)
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    grid.add_row(_stacked(left), _stacked(right))
    return Group(head, "", grid)


def _stacked(sections: list[RenderableType]) -> Group:
    return Group(*(part for section in sections for part in (section, "")))


def _head(detail: NodeDetail, values: Values, now: datetime) -> RenderableType:
    text = Text()
    text.append(detail.node, style="bold")
    text.append(f"  {detail.contact}", style=_STYLES[detail.contact])
    if detail.since:
        text.append(f" for {duration((now - parse_time(detail.since)).total_seconds())}")
    if detail.contact != "online" and detail.reason:
        text.append(f": {printable(detail.reason)}")
    text.append(f", last seen {ago(detail.last_seen, now)}")
    if (uptime := values.number("system", "uptime_s")) is not None:
        text.append(f", up {duration(uptime)}")
    about = [str(detail.info[key]) for key in ("os", "cpu_model") if isinstance(detail.info.get(key), str)]
    lines = [text] if not about else [text, Text(printable(", ".join(about)), style="dim", no_wrap=True)]
    if (outbox := _outbox(values)) is not None:
        lines.append(Text(outbox, style="dim"))
    return Group(*lines)


def _outbox(values: Values) -> str | None:
    """How much the node keeps because we have not confirmed it, and for how long there is room."""
    messages, held = values.number("agent", "outbox_messages"), values.number("agent", "outbox_held_hours")
    if messages is None or held is None:
        return None
    left = values.number("agent", "outbox_left_hours")
    holds = f"{messages:.0f} messages, the oldest {duration(held * 3600)} old" if messages else "empty"
    room = f", room for {duration(left * 3600)} more" if left is not None else ""
    return f"outbox: {holds}{room}"


def _use(values: Values, bars: int) -> RenderableType | None:
    cpu, memory = values.number("cpu", "usage"), values.number("memory", "used_percent")
    if cpu is None and memory is None:
        return None
    grid = Table.grid(padding=(0, 1))
    load = [values.number("cpu", f"load{minutes}") for minutes in (1, 5, 15)]
    shown = "load " + " ".join(f"{each:.2f}" for each in load if each is not None) if any(load) else ""
    grid.add_row("CPU", percent(cpu), _bar(cpu, bars), shown)
    cores = [usage for _, get in values.devices("cpu") if (usage := get("usage")) is not None]
    if 0 < len(cores) <= _CORES_IN_FULL:
        for index, usage in enumerate(cores):
            grid.add_row(Text(f" core {index}", style="dim"), percent(usage), _bar(usage, bars), "")
    for name, label in (("memory", "memory"), ("swap", "swap")):
        used, total = values.number(name, "used_bytes"), values.number(name, "total_bytes")
        if used is not None and total:
            share = values.number(name, "used_percent")
            grid.add_row(label, percent(share), _bar(share, bars), f"{size(used)} of {size(total)}")
    return Group(grid, *(_many_cores(cores) if len(cores) > _CORES_IN_FULL else ()))


def _many_cores(cores: list[float]) -> Iterator[Text]:
    """One character a core."""
    yield Text(f"{len(cores)} cores, busiest {max(cores):.0f} %", style="dim")
    for start in range(0, len(cores), _CORES_A_LINE):
        yield Text("".join(map(level, cores[start : start + _CORES_A_LINE])), style="green")


def _disks(values: Values, bars: int) -> RenderableType | None:
    grid = Table.grid(padding=(0, 1))
    for tags, get in values.devices("disk"):
        free, total = get("free_bytes"), get("total_bytes")
        room = f"{size(free)} free of {size(total)}" if free is not None and total is not None else ""
        share = get("used_percent")
        grid.add_row(_name(tags.get("mount", "?")), percent(share), _bar(share, bars), room)
    for tags, get in values.devices("diskio"):
        read, written = get("read_bytes_per_s"), get("write_bytes_per_s")
        if read is not None and written is not None:
            rates = f"r {byte_rate(read)}  w {byte_rate(written)}"
            busy = get("busy_percent")
            grid.add_row(_name(tags.get("device", "?")), percent(busy), _bar(busy, bars), rates)
    return _titled("disks", grid)


def _network(values: Values) -> RenderableType | None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right", min_width=14)
    grid.add_column(justify="right", min_width=14)
    grid.add_column()
    for tags, get in values.devices("net"):
        received, sent = get("rx_bytes_per_s"), get("tx_bytes_per_s")
        faults = sum(get(f"{way}_{what}_per_s") or 0.0 for way in ("rx", "tx") for what in ("errors", "dropped"))
        speed = get("speed_bits_per_s")
        state = "down" if get("up") == 0.0 else link_speed(speed) if speed else ""
        grid.add_row(
            _name(tags.get("interface", "?")),
            f"in {bit_rate(received)}" if received is not None else "in -",
            f"out {bit_rate(sent)}" if sent is not None else "out -",
            Text(f"{faults:.1f} faults/s", style="yellow") if faults else Text(state, style="dim"),
        )
    return _titled("network", grid)


def _climate(values: Values) -> RenderableType | None:
    grid = Table.grid(padding=(0, 2))
    for tags, get in values.devices("temperature"):
        warmth = get("temperature_c")
        limit = get("high_c") or get("critical_c")
        if warmth is not None:
            style = "red" if limit and warmth >= limit else ""
            grid.add_row(
                _name(_sensor(tags)), Text(f"{warmth:.1f} °C", style=style), f"limit {limit:.0f} °C" if limit else ""
            )
    for tags, get in values.devices("fan"):
        speed = get("speed_rpm")
        if speed is not None:
            grid.add_row(_name(_sensor(tags)), f"{speed:.0f} rpm", "")
    return _titled("temperatures and fans", grid)


def _programs(values: Values) -> RenderableType | None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column(justify="right")
    programs = [(get("cpu_percent"), get("rss_bytes") or 0.0, tags) for tags, get in values.devices("process")]
    for busy, memory, tags in sorted(programs, key=lambda row: (-(row[0] or 0.0), -row[1]))[:_PROGRAMS]:
        grid.add_row(_name(tags.get("name", "?")), percent(busy), size(memory))
    total = values.number("processes", "total")
    users = values.number("users", "users")
    title = "programs" + (f", {total:.0f} processes" if total is not None else "")
    return _titled(title + (f", {users:.0f} users" if users else ""), grid)


def _others(values: Values, now: datetime) -> RenderableType | None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column(style="dim")
    grid.add_column(style="dim")
    for index, (series, value, tags, at) in enumerate(values.others()):
        if index == _LISTED:
            grid.add_row("…", "", "", "")
            break
        age = duration((now - at).total_seconds())
        grid.add_row(printable(series), printable(shortened(value, 40)), f"{age} ago", printable(tags))
    return _titled("values", grid)


def _titled(title: str, grid: Table) -> RenderableType | None:
    return Group(Text(title, style="bold"), grid) if grid.row_count else None


def _bar(value: float | None, width: int) -> Text:
    style = "" if value is None else "red" if value >= _HOT else "yellow" if value >= _WARM else "green"
    return Text(bar(value, width), style=style)


def _name(text: str) -> Text:
    return Text(printable(shortened(text, _NAME)).ljust(_NAME))


def _sensor(tags: dict[str, str]) -> str:
    return " ".join(tags[key] for key in ("chip", "sensor") if key in tags) or "?"


def _natural(tags: Tags) -> list[tuple[str, int, str]]:
    """Order in which ``core 2`` comes before ``core 10``."""
    return [(name, int(value) if value.isdecimal() else -1, value) for name, value in tags]
