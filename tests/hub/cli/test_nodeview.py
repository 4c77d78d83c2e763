from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console

from hub.api.schemas import NodeDetail, Publishes
from hub.cli.nodeview import WIDE, frame

NOW = datetime(2026, 11, 21, 22, 0, 0, tzinfo=UTC)
RECENT, OLD = "2026-11-21T21:59:55.000Z", "2026-11-21T21:00:00.000Z"


def value(
    measurement: str, field: str, newest: object, tags: dict[str, str] | None = None, last: str = RECENT
) -> Publishes:
    kind = "text" if isinstance(newest, str) else "number"
    facts = {"measurement": measurement, "field": field, "kind": kind, "first": OLD, "last": last, "value": newest}
    return Publishes.model_validate(facts | {"tags": tags or {}})


HOST = [
    value("cpu", "usage", 12.5),
    *(value("cpu", "load" + minutes, 0.5) for minutes in ("1", "5", "15")),
    *(value("cpu", "usage", 10.0 * core, {"core": str(core)}) for core in range(4)),
    value("memory", "used_bytes", 3.4 * 1024**3),
    value("memory", "total_bytes", 8 * 1024**3),
    value("memory", "used_percent", 42.5),
    value("disk", "used_percent", 93.0, {"mount": "/", "device": "/dev/sda1", "fstype": "ext4"}),
    value("disk", "free_bytes", 5e9, {"mount": "/", "device": "/dev/sda1", "fstype": "ext4"}),
    value("disk", "total_bytes", 5e10, {"mount": "/", "device": "/dev/sda1", "fstype": "ext4"}),
    value("net", "rx_bytes_per_s", 125_000, {"interface": "eth0"}),
    value("net", "tx_bytes_per_s", 1_250_000, {"interface": "eth0"}),
    value("net", "rx_bytes_per_s", 1, {"interface": "gone0"}, last=OLD),
    value("temperature", "temperature_c", 45.0, {"chip": "coretemp", "sensor": "Package"}),
    value("system", "uptime_s", 90_000),
    value("process", "cpu_percent", 3.0, {"name": "python"}),
    value("process", "rss_bytes", 5e7, {"name": "python"}),
]


def node(publishes: list[Publishes], **changes: object) -> NodeDetail:
    facts: dict[str, object] = {
        "node": "host1", "standing": "declared", "contact": "online", "first_seen": OLD, "last_seen": RECENT,
        "since": OLD, "reason": "birth", "session": "s", "version": "0.1.0", "outbox": True, "groups": [],
        "info": {"os": "Debian 12"}, "publishes": publishes, "series_total": len(publishes),
    }  # fmt: skip
    return NodeDetail.model_validate(facts | changes)


def shown(detail: NodeDetail, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(frame(detail, width, NOW))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_host_is_shown_in_80_columns_without_wrapping() -> None:
    text = shown(node(HOST))
    assert all(len(line) <= 80 for line in text.splitlines())
    assert len(text.splitlines()) <= 24
    for part in ("host1  online for 1 h 0 min", "up 1 d 1 h", "12.5 %", "core 3", "load 0.50", "3.4 GiB of 8.0 GiB"):
        assert part in text


def test_network_rates_are_bits_a_second_of_every_interface() -> None:
    text = shown(node(HOST))
    assert "in 1.0 Mbit/s" in text
    assert "out 10.0 Mbit/s" in text


def test_a_device_that_is_gone_is_not_shown() -> None:
    assert "gone0" not in shown(node(HOST))


def test_a_wide_terminal_gets_two_columns() -> None:
    wide, narrow = shown(node(HOST), WIDE + 20), shown(node(HOST))
    assert len(wide.splitlines()) < len(narrow.splitlines())
    assert any("CPU" in line and "network" in line for line in wide.splitlines())


def test_many_cores_take_one_character_each() -> None:
    cores = [value("cpu", "usage", 100.0 if core == 17 else 1.0, {"core": str(core)}) for core in range(64)]
    text = shown(node([value("cpu", "usage", 3.0), *cores]))
    assert "▁" * 17 + "█" + "▁" * 46 in text
    assert "64 cores, busiest 100 %" in text


def test_values_of_a_device_that_is_no_host_are_listed_as_they_are() -> None:
    text = shown(node([value("room", "temperature", 21.5, {"wall": "north"}), value("room", "door", "open")]))
    assert "room.temperature" in text
    assert "21.5" in text
    assert "wall=north" in text
    assert "5 s ago" in text


def test_a_node_that_is_away_says_since_when_and_why() -> None:
    text = shown(node([], contact="offline", reason="connection lost"))
    assert "offline for 1 h 0 min: connection lost" in text
    assert "It has sent no values yet." in text


def test_the_outbox_is_shown_in_hours_of_history() -> None:
    held = [
        value("agent", "outbox_messages", 12_000.0),
        value("agent", "outbox_held_hours", 2.5),
        value("agent", "outbox_left_hours", 49.0),
    ]
    assert "outbox: 12000 messages, the oldest 2 h 30 min old, room for 2 d 1 h more" in shown(node(HOST + held))
    assert "room for" not in shown(node(HOST + held[:2])), "not known yet"
    assert "outbox" not in shown(node(HOST))


def test_text_of_a_device_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in shown(node([value("room", "door", "\x1b[2J")], reason="\x1b[1m", contact="offline"))
