"""``mosquitto.conf`` of the managed broker, as text; ``mosquitto/README.md`` explains every line of it."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wire.errors import Problem, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from hub.config import BrokerSettings
    from hub.config_lan import LanSettings

#: File names inside the broker's data folder, which is its working directory.
ACCOUNTS_FILE: Final = "dynamic-security.json"
PERSISTENCE_FILE: Final = "mosquitto.db"
#: QoS 1 messages a publisher may have unacknowledged, and a v3.1.1 subscriber may be sent ahead.
_IN_FLIGHT: Final = 1000
_MAX_KEEP_ALIVE_S: Final = 120
_SYS_INTERVAL_S: Final = 10
#: Copies of what ``hub/tls/certificates.py`` keeps, which the broker's user may read.
AUTHORITY_FILE: Final = "ca.crt"
SERVER_FILE: Final = "server.crt"
SERVER_KEY_FILE: Final = "server.key"
CRL_FILE: Final = "revoked.crl"
_SECONDS_AN_HOUR: Final = 3600
#: For ``hub/broker/sieve.py``, which puts the time to the few lines that stay.
_DEBUG: Final = [
    *(("log_type", level) for level in ("error", "warning", "notice", "information", "subscribe", "debug")),
    ("log_timestamp", "false"),
]
_HEAD: Final = """\
# Written by iothub at each start: change iothub.toml, not this file.
# Every line is explained in mosquitto/README.md.
"""


@dataclass(frozen=True, slots=True)
class Place:
    """What rendering needs to know about this machine."""

    host: str
    port: int
    plugin: Path
    #: The user a broker started by root becomes; None when it is not started by root.
    user: str | None = None


def render(place: Place, broker: BrokerSettings, session_expiry_s: float) -> str:
    """The text of ``mosquitto.conf``.

    Paths in it are relative to the broker's working directory: a broker that root started gives root up and could not
    walk through a state directory of mode 0700 any more.

    Args:
        place: address, plugin and user.
        broker: ``[broker]``.
        session_expiry_s: ``ingest.session_expiry``: the broker must not forget a session earlier than its owner does.
    """
    lines = [
        *([("user", place.user)] if place.user else []),
        ("per_listener_settings", "false"),
        ("allow_anonymous", "false"),
        ("plugin", str(place.plugin)),
        ("plugin_opt_config_file", ACCOUNTS_FILE),
        ("listener", f"{place.port} {place.host}"),
        *(_lan(broker.lan) if broker.lan.enabled else []),
        ("persistence", "true"),
        ("persistence_file", PERSISTENCE_FILE),
        ("autosave_interval", str(broker.autosave_interval_s)),
        ("autosave_on_changes", "false"),
        ("persistent_client_expiration", f"{max(1, math.ceil(session_expiry_s / _SECONDS_AN_HOUR))}h"),
        ("max_queued_messages", str(broker.max_queued_messages)),
        ("max_queued_bytes", str(broker.max_queued_bytes)),
        ("queue_qos0_messages", "false"),
        ("max_inflight_messages", str(_IN_FLIGHT)),
        ("max_packet_size", str(broker.max_packet_bytes)),
        ("max_keepalive", str(_MAX_KEEP_ALIVE_S)),
        ("set_tcp_nodelay", "true"),
        ("sys_interval", str(_SYS_INTERVAL_S)),
        ("log_dest", "stderr"),
        ("log_dest", "topic"),
        *(_DEBUG if broker.record_denied else [("log_timestamp_format", "%Y-%m-%dT%H:%M:%S")]),
    ]
    return _HEAD + "".join(f"{key} {value}\n" for key, value in lines)


def _lan(lan: LanSettings) -> list[tuple[str, str]]:
    """Listeners for other machines. Options belong to the listener above them."""
    limit = ("max_connections", str(lan.max_connections))
    tls = [
        ("cafile", AUTHORITY_FILE),
        ("certfile", SERVER_FILE),
        ("keyfile", SERVER_KEY_FILE),
        ("tls_version", "tlsv1.2"),
    ]
    lines = [("listener", f"{lan.port} {lan.host}"), limit, *tls]
    if lan.certificate_port:
        lines += [
            ("listener", f"{lan.certificate_port} {lan.host}"),
            limit,
            *tls,
            ("crlfile", CRL_FILE),
            ("require_certificate", "true"),
            # The plugin is not asked about a client id here, so it is made the account's.
            ("use_identity_as_username", "true"),
            ("use_username_as_clientid", "true"),
        ]
    return lines


def loopback(host: str) -> str:
    """The address to listen on for ``mqtt.host``.

    Raises:
        SettingsError: not this machine's loopback; the managed broker listens nowhere else.
    """
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        if host == "localhost":
            return "127.0.0.1"
    raise SettingsError(
        [
            Problem(
                "settings",
                None,
                "mqtt.host",
                host,
                "the broker that iothub runs listens on 127.0.0.1 only (or ::1, localhost); "
                'for a broker elsewhere set broker.mode = "external"',
            )
        ]
    )
