"""``iothub doctor``: tries every link of the chain on the running system, and says what to do about each that fails.

    state ─▶ secrets, disk, mosquitto, InfluxDB ─▶ hub ─▶ API ─▶ its own health
                                                    ├─▶ broker login ─▶ store (a probe goes in and comes back)
                                                    └─▶ clocks, agent

A check that needs one that failed is skipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import httpx

from hub.api.schemas import Health, NodeDetail
from hub.broker.credentials import for_operator
from hub.broker.errors import BrokerMissing
from hub.broker.locate import find_plugin, find_program
from hub.cli.base import CliError, state_paths
from hub.cli.client import Api, connected
from hub.cli.doctor_grafana import examine_grafana
from hub.cli.doctor_influx import examine_influx
from hub.cli.doctor_lan import examine_certificates
from hub.cli.doctor_notify import examine_channels
from hub.cli.doctor_store import examine_store
from hub.cli.finding import FAILED, OK, SKIPPED, Finding
from hub.cli.output import parse_time
from hub.cli.units import size
from hub.config import BrokerMode, default_hub_id
from hub.paths import StatePaths
from hub.runfile import read_run
from wire.errors import WireError
from wire.session import publish_once
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hub.cli.base import Options
    from hub.config import Settings

_PROBE_NODE: Final = "iothub-doctor"
_ROOM_BYTES: Final = 1 << 30
_SKEW_S: Final = 5.0
_OTHERS: Final = 0o077


@dataclass(slots=True)
class _Patient:
    """What the checks work on."""

    options: Options
    settings: Settings
    api: Api | None = None
    failed: set[str] = field(default_factory=set)


def examine(options: Options) -> Iterator[Finding]:
    """Run all checks, in the order of the chain.

    Raises:
        SettingsError: nothing can be checked without settings.
    """
    patient = _Patient(options, options.settings())
    yield Finding("settings", OK, str(options.config_file() or "no file: defaults"))
    for name, needs, check in _CHECKS:
        if needs & patient.failed:
            patient.failed.add(name)
            yield Finding(name, SKIPPED, f"not tried: {' and '.join(sorted(needs & patient.failed))} failed")
            continue
        for finding in check(patient):
            if finding.verdict == FAILED:
                patient.failed.add(finding.name)  # a broken link of the chain is no broken API
            yield finding
    if patient.api is not None:
        patient.api.close()


def _state(patient: _Patient) -> Iterator[Finding]:
    root = patient.settings.state
    if not root.is_dir():
        advice = "`iothub up` makes it, or name the right one: --state DIR"
        yield Finding("state", FAILED, f"{root} does not exist; {advice}")
    elif not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("state", FAILED, f"{root} belongs to another user; use the user that runs the hub (or sudo)")
    else:
        yield Finding("state", OK, f"{root}, writable")


def _secrets(patient: _Patient) -> Iterator[Finding]:
    root = patient.settings.state
    folder = StatePaths(root).secrets
    private = [root, folder, *folder.iterdir()] if folder.is_dir() else [root]
    open_to_others = [path for path in private if stat.S_IMODE(path.stat().st_mode) & _OTHERS]
    if open_to_others:
        shown = " ".join(map(str, open_to_others))
        yield Finding("secrets", FAILED, f"other users can read them; run: chmod go= {shown}")
    else:
        yield Finding("secrets", OK, "readable by this user only")


def _disk(patient: _Patient) -> Iterator[Finding]:
    usage = shutil.disk_usage(patient.settings.state)
    text = f"{size(usage.free)} free of {size(usage.total)}"
    if usage.free < _ROOM_BYTES:
        yield Finding(
            "disk", FAILED, f"only {text}; free some, or shorten [store.retention]: a full disk stops the hub"
        )
    else:
        yield Finding("disk", OK, text)


def _mosquitto(patient: _Patient) -> Iterator[Finding]:
    if patient.settings.broker.mode is not BrokerMode.MANAGED:
        yield Finding("mosquitto", OK, "not needed here: the broker is external")
        return
    try:
        program = find_program(patient.settings.broker.program)
        plugin = find_plugin(program)
    except BrokerMissing as error:
        yield Finding("mosquitto", FAILED, str(error))
        return
    said = subprocess.run([str(program), "-h"], capture_output=True, text=True, timeout=10, check=False).stdout
    yield Finding("mosquitto", OK, f"{said.partition(chr(10))[0] or program}, {program}, {plugin.name}")


def _influx(patient: _Patient) -> Iterator[Finding]:
    yield from examine_influx(patient.settings)
    yield from examine_grafana(patient.settings.store.influx)


def _hub(patient: _Patient) -> Iterator[Finding]:
    running = read_run(state_paths(patient.settings).run)
    if running is None:
        yield Finding("hub", FAILED, f"none runs in {patient.settings.state}; start it: iothub up")
    else:
        yield Finding("hub", OK, f"{running.hub}, version {running.version}, pid {running.pid}")


def _api(patient: _Patient) -> Iterator[Finding]:
    started = time.monotonic()
    try:
        with connected(patient.options) as api:
            patient.api = Api(api.url, api.token, api.settings)
        answer = patient.api.raw("/health", prefix="")
    except CliError as error:
        yield Finding("API", FAILED, str(error))
        return
    took_ms = 1000 * (time.monotonic() - started)
    if answer.status_code not in {httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE}:
        yield Finding("API", FAILED, f"{patient.api.url}/health answered {answer.status_code}; is it another program?")
        return
    yield Finding("API", OK, f"{patient.api.url} answers in {took_ms:.0f} ms")
    for link in Health.model_validate_json(answer.content).links or ():
        yield Finding(f"· {link.name}", OK if link.ok else FAILED, link.detail)


def _broker(patient: _Patient) -> Iterator[Finding]:
    """Send the probe; whether it is stored is the next check's business."""
    settings = patient.settings
    running = read_run(state_paths(settings).run)
    mqtt = for_operator(settings, state_paths(settings), port=running.broker_port if running else None)
    topic = Topics(settings.mqtt.root).telemetry(_PROBE_NODE, "doctor")
    payload = json.dumps({"ts": int(time.time() * 1000), "values": {"probe": time.time()}}).encode()
    try:
        answer = asyncio.run(publish_once(mqtt, topic, payload))
    except WireError as error:
        yield Finding("broker", FAILED, f"{error}. {_broker_advice(settings)}")
        return
    if answer.delivered:
        yield Finding("broker", OK, f"{mqtt.host}:{mqtt.port} took a message of {mqtt.username or 'nobody'}: {answer}")
    elif answer.nobody_subscribed:
        yield Finding(
            "broker", FAILED, "took a message, but the hub does not subscribe: it has lost its session; restart it"
        )
    else:
        yield Finding("broker", FAILED, f"refused a message of {mqtt.username}: {answer}. {_broker_advice(settings)}")


def _broker_advice(settings: Settings) -> str:
    if settings.broker.mode is BrokerMode.MANAGED:
        return f"Its log: {state_paths(settings).logs / 'mosquitto.log'}"
    return f"Check [mqtt] in the settings: {settings.mqtt.host}:{settings.mqtt.port}, username {settings.mqtt.username}"


def _store(patient: _Patient) -> Iterator[Finding]:
    yield from examine_store(_asserted(patient), _PROBE_NODE, patient.settings.store.kind)


def _clocks(patient: _Patient) -> Iterator[Finding]:
    api = _asserted(patient)
    stamp = api.raw("/health", prefix="").headers.get("date")
    hub_s = time.time() - parsedate_to_datetime(stamp).timestamp() if stamp else 0.0
    node = agent_node(patient.settings)
    try:
        detail = api.get(f"/nodes/{node}", NodeDetail)
    except CliError:
        detail = None
    ahead_s = _ahead_s(detail) if detail is not None else None
    far = [
        f"{who} {abs(skew_s):.0f} s {'behind' if skew_s > 0 else 'ahead'}"
        for who, skew_s in (("the hub", hub_s), (node, -(ahead_s or 0.0)))
        if abs(skew_s) > _SKEW_S
    ]
    if far:
        yield Finding("clocks", FAILED, f"{', '.join(far)}; let NTP set them (`timedatectl set-ntp true`)")
    else:
        yield Finding("clocks", OK, "hub and agent agree with this machine within 5 s")


def _ahead_s(detail: NodeDetail) -> float | None:
    """How far the newest value lies ahead of its arrival; a value that is old says nothing."""
    if not detail.publishes or detail.last_seen is None:
        return None
    newest = max(parse_time(each.last) for each in detail.publishes)
    return max(0.0, (newest - parse_time(detail.last_seen)).total_seconds())


def _agent(patient: _Patient) -> Iterator[Finding]:
    node = agent_node(patient.settings)
    try:
        detail = _asserted(patient).get(f"/nodes/{node}", NodeDetail)
    except CliError as error:
        log = state_paths(patient.settings).logs / "agent.log"
        if log.exists():
            yield Finding("agent", FAILED, f"{node}: {str(error).rstrip('.')}; its log: {log}")
        else:
            yield Finding("agent", OK, "none has run here; `iothub up` starts one beside the hub")
        return
    if detail.contact == "online":
        yield Finding("agent", OK, f"{node} is online with {detail.series_total} series")
    else:
        log = state_paths(patient.settings).logs / "agent.log"
        yield Finding(
            "agent", FAILED, f"{node} is {detail.contact} ({detail.reason or 'no reason known'}); its log: {log}"
        )


def agent_node(settings: Settings) -> str:
    """Node id of the agent that ``iothub up`` runs."""
    return str(settings.agent.get("node") or default_hub_id())


def _asserted(patient: _Patient) -> Api:
    if patient.api is None:
        raise AssertionError("the checks that need it are skipped when it failed")
    return patient.api


#: Name, the checks it needs, and the check.
_CHECKS: Final[tuple[tuple[str, frozenset[str], Callable[[_Patient], Iterator[Finding]]], ...]] = (
    ("state", frozenset(), _state),
    ("secrets", frozenset({"state"}), _secrets),
    ("disk", frozenset({"state"}), _disk),
    ("mosquitto", frozenset(), _mosquitto),
    ("InfluxDB", frozenset(), _influx),
    ("hub", frozenset({"state"}), _hub),
    ("network", frozenset({"state"}), lambda patient: examine_certificates(patient.settings)),
    ("API", frozenset({"hub"}), _api),
    ("broker", frozenset({"hub"}), _broker),
    ("store", frozenset({"API", "broker"}), _store),
    ("clocks", frozenset({"API"}), _clocks),
    ("notify", frozenset({"API"}), lambda patient: examine_channels(_asserted(patient))),
    ("agent", frozenset({"API"}), _agent),
)
