"""What ``iothub up`` and ``iothub hub`` print once everything runs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from hub.cli.output import bold, duration, paint
from hub.config import BrokerMode
from hub.paths import StatePaths
from wire.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from hub.config import Settings
    from hub.plan import Up
    from hub.runfile import Announcement

#: Where the texts stand.
_INDENT: Final = 12
_NEXT: Final = ("nodes", "query cpu.usage --last 5m", "tail")


def print_up(up: Up) -> None:
    """The summary of ``iothub up``."""
    state = "online" if up.agent_online else "not seen yet"
    more = "" if up.agent_online else f"   (its log: {StatePaths(up.settings.state).logs / 'agent.log'})"
    pages = {"dashboard": bold(up.dashboard_url)} if up.dashboard_url is not None else {}
    lines = {
        **pages,
        **hub_lines(up.settings, up.config, up.announcement),
        "this host": f"node {up.agent_node}, {paint('online') if up.agent_online else state}{more}",
        "login": login_line(up.announcement),
    }
    _print(f"iothub {__version__} is up after {up.seconds:.1f} s", lines)
    option = state_option(up.settings)
    print()
    for label, command in zip(("Next:", "", ""), _NEXT, strict=True):
        print(f"  {label:<{_INDENT - 2}}iothub {option}{command}")
    print("\nCtrl-C stops everything in order.", flush=True)


def print_hub(settings: Settings, config: Path | None, announcement: Announcement) -> None:
    """The summary of ``iothub hub``."""
    lines = {**hub_lines(settings, config, announcement), "login": login_line(announcement)}
    _print(f"iothub hub {__version__} is ready", lines)


def hub_lines(settings: Settings, config: Path | None, announcement: Announcement) -> dict[str, str]:
    """Where everything is."""
    running = announcement.running
    managed = settings.broker.mode is BrokerMode.MANAGED
    docs = f"   docs: {running.api_url}/docs" if settings.api.docs else ""
    return {
        "API": f"{running.api_url}{docs}",
        "broker": f"{running.broker_host}:{running.broker_port}, MQTT 5, {'run by iothub' if managed else 'external'}",
        **_network(settings),
        "store": _store(settings),
        "state": str(settings.state),
        "settings": str(config) if config else "no file: defaults and IOTHUB_… variables",
    }


def _network(settings: Settings) -> dict[str, str]:
    """Where other machines come in, if they do."""
    lan = settings.broker.lan
    if not lan.enabled:
        return {}
    where = f"{(*lan.names, lan.host)[0]}:{lan.port}, TLS"
    return {"network": where + (f"; machines join at port {lan.join_port}" if lan.join_port else "")}


def login_line(announcement: Announcement) -> str:
    """Who may log in; the password only when it was made just now."""
    if announcement.admin_password is not None:
        return (
            f"user admin, password {bold(announcement.admin_password)}\n{' ' * _INDENT}(shown this once: write it down)"
        )
    return "user admin; its password was shown at the first start"


def state_option(settings: Settings) -> str:
    """``--state DIR `` where a command in this directory would look elsewhere."""
    from pathlib import Path

    if os.environ.get("IOTHUB_STATE") or settings.state == Path("var").absolute():
        return ""
    return f"--state {settings.state} "


def _store(settings: Settings) -> str:
    kept = duration(settings.store.retention.raw).removesuffix(" 0 h")
    store = settings.store
    if store.kind == "memory":
        return "memory only: everything is lost when the hub stops"
    name = "VictoriaMetrics" if store.influx.generation == "victoria" else "InfluxDB"
    places = {
        "duck": f"{StatePaths(settings.state).database} (DuckDB)",
        "influx": f"{store.influx.url} ({name}, {store.influx.database})",
    }
    return f"{' and '.join(places[kind] for kind in (store.kind, *store.also))}; values are kept {kept}"


def _print(title: str, lines: dict[str, str]) -> None:
    print(f"{bold(title)}\n")
    for name, text in lines.items():
        print(f"  {name:<{_INDENT - 2}}{text}")
    sys.stdout.flush()
