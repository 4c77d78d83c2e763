"""``mosquitto.conf``, and that ``mosquitto/README.md`` explains it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.broker.config import Place, loopback, render
from hub.config import BrokerMode, BrokerSettings
from hub.config_lan import LanSettings
from wire.errors import SettingsError

README = Path(__file__).parents[3] / "mosquitto" / "README.md"
PLACE = Place("127.0.0.1", 1883, Path("/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"), "mosquitto")
GOLDEN = """\
# Written by iothub at each start: change iothub.toml, not this file.
# Every line is explained in mosquitto/README.md.
user mosquitto
per_listener_settings false
allow_anonymous false
plugin /usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so
plugin_opt_config_file dynamic-security.json
listener 1883 127.0.0.1
persistence true
persistence_file mosquitto.db
autosave_interval 30
autosave_on_changes false
persistent_client_expiration 336h
max_queued_messages 1000000
max_queued_bytes 1073741824
queue_qos0_messages false
max_inflight_messages 1000
max_packet_size 2097152
max_keepalive 120
set_tcp_nodelay true
sys_interval 10
log_dest stderr
log_dest topic
log_timestamp_format %Y-%m-%dT%H:%M:%S
"""
NETWORK = """\
listener 8883 0.0.0.0
max_connections 2000
cafile ca.crt
certfile server.crt
keyfile server.key
tls_version tlsv1.2
listener 8884 0.0.0.0
max_connections 2000
cafile ca.crt
certfile server.crt
keyfile server.key
tls_version tlsv1.2
crlfile revoked.crl
require_certificate true
use_identity_as_username true
use_username_as_clientid true
"""


DEBUG = """\
log_type error
log_type warning
log_type notice
log_type information
log_type subscribe
log_type debug
log_timestamp false
"""


def keys(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if line and not line.startswith("#")]


def test_the_default_configuration_reads_like_this() -> None:
    assert render(PLACE, BrokerSettings(), 14 * 86_400) == GOLDEN


def test_the_readme_shows_the_configuration_as_it_is() -> None:
    assert GOLDEN in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("key", keys(GOLDEN))
def test_the_readme_explains_each_line(key: str) -> None:
    row = re.search(rf"^\| `{key}\b[^`]*` \| (.+) \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert row is not None, f"no row for {key}"
    assert len(row.group(1)) > 40, f"{key} deserves a reason"


def test_the_readme_explains_nothing_that_is_not_there() -> None:
    rows = re.findall(r"^\| `([a-z_0-9]+)\b[^`]*` \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert [row for row in rows if row not in keys(GOLDEN + NETWORK + DEBUG)] == []


def test_refusals_are_recorded_from_the_level_debug() -> None:
    wanted = GOLDEN.replace("log_timestamp_format %Y-%m-%dT%H:%M:%S\n", DEBUG)
    assert render(PLACE, BrokerSettings(record_denied=True), 14 * 86_400) == wanted
    assert DEBUG in README.read_text(encoding="utf-8")


def test_the_log_of_an_external_broker_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="record_denied"):
        BrokerSettings(mode=BrokerMode.EXTERNAL, record_denied=True)


def test_the_network_listeners_follow_the_one_on_loopback() -> None:
    lan = LanSettings(enabled=True, certificate_port=8884)
    wanted = GOLDEN.replace("persistence true\n", NETWORK + "persistence true\n")
    assert render(PLACE, BrokerSettings(lan=lan), 14 * 86_400) == wanted
    assert NETWORK in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("key", sorted(set(keys(NETWORK))))
def test_the_readme_explains_each_line_of_the_network_listeners(key: str) -> None:
    assert re.search(rf"^\| .*`{key}\b.* \| .{{20,}} \|$", README.read_text(encoding="utf-8"), re.MULTILINE)


def test_no_listener_takes_certificates_unless_it_is_asked_for() -> None:
    assert "require_certificate" not in render(PLACE, BrokerSettings(lan=LanSettings(enabled=True)), 0)


def test_the_limits_are_those_of_the_settings() -> None:
    settings = BrokerSettings(
        max_queued_messages=5000, max_queued_bytes=3 << 20, max_packet_bytes=1 << 17, autosave_interval_s=7
    )
    lines = render(PLACE, settings, 90 * 60).splitlines()
    assert {
        "max_queued_messages 5000",
        "max_queued_bytes 3145728",
        "max_packet_size 131072",
        "autosave_interval 7",
        "persistent_client_expiration 2h",
    } <= set(lines)


def test_a_broker_that_root_does_not_start_keeps_its_user() -> None:
    place = Place("127.0.0.1", 1883, PLACE.plugin)
    assert "user" not in keys(render(place, BrokerSettings(), 0))


def test_sessions_are_kept_an_hour_at_least() -> None:
    """Mosquitto knows no shorter unit, and 0 is none."""
    assert "persistent_client_expiration 1h" in render(PLACE, BrokerSettings(), 0).splitlines()


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("::1", "::1"), ("localhost", "127.0.0.1")],
)
def test_the_managed_broker_listens_on_loopback(host: str, address: str) -> None:
    assert loopback(host) == address


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "broker.example.org"])  # noqa: S104  refused below
def test_the_managed_broker_listens_nowhere_else(host: str) -> None:
    with pytest.raises(SettingsError, match=r"listens on 127\.0\.0\.1 only") as error:
        loopback(host)
    assert error.value.problems[0].key == "mqtt.host"
