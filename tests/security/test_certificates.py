"""Client certificates and the listeners of the network, on a real broker."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from hub.broker import lan
from hub.broker.accounts import Accounts
from hub.broker.errors import BrokerError, LanRefused, NameReserved
from hub.broker.prepare import prepare
from hub.config import Settings
from hub.paths import StatePaths
from hub.tls.authority import Signed, fingerprint, issue_client, issue_server, make_authority
from hub.tls.certificates import Certificates
from tests.support.device import ADMINISTRATIVE, GRANTED_QOS_1, NOT_AUTHORISED, SUCCESS, Device
from tests.support.opened import Opened, Witness, lan_settings
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from wire.settings import MqttSettings

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
ACCEPTED = {SUCCESS, 0x10}


def is_refused(mqtt: MqttSettings) -> bool:
    """Whether the TLS handshake, or what follows it, fails."""
    device = Device(mqtt)
    try:
        device.connect()
    except (ssl.SSLError, ConnectionError, AssertionError):
        return True
    else:
        device.disconnect()
        return False


def test_a_certificate_is_the_password_of_its_node(opened: Opened) -> None:
    opened.add_node("c1")
    with Device(opened.by_certificate("c1")) as device:
        assert device.publish("iot/v1/c1/log") in ACCEPTED
        assert device.subscribe("iot/v1/c1/cmd/+") == GRANTED_QOS_1
        assert device.subscribe("iot/v1/c2/cmd/+") == NOT_AUTHORISED


def test_a_certificate_that_claims_another_client_id_stays_its_own_node(opened: Opened, witness: Witness) -> None:
    opened.add_node("c3")
    mqtt = opened.by_certificate("c3").model_copy(update={"client_id": "hub", "username": "hub"})
    with Device(mqtt) as device:
        assert device.publish("iot/v1/c3/log") in ACCEPTED
    assert witness.hub_lives


def test_a_certificate_without_an_account_may_do_nothing(opened: Opened) -> None:
    with Device(opened.by_certificate("nobody")) as device:
        assert device.subscribe("iot/v1/nobody/cmd/+") == NOT_AUTHORISED
        assert device.publish("iot/v1/nobody/log") >= 0x80


def test_a_revoked_certificate_is_refused_by_the_running_broker(opened: Opened, witness: Witness) -> None:
    opened.add_node("c4")
    mqtt = opened.by_certificate("c4")
    with Device(mqtt) as device:
        assert opened.certificates.revoke("c4") == 1
        reload(opened)
        assert device.publish("iot/v1/c4/log") in ACCEPTED, "a revocation alone ends no connection"
        asyncio.run(Accounts(opened.admin()).cut("c4"))
        wait_until(lambda: device.ended is not None, what="the connection is cut")
        assert device.ended == ADMINISTRATIVE
    assert is_refused(mqtt)
    assert witness.recorded("tls")
    with Device(opened.by_certificate("c4")) as device:  # a new one is good
        assert device.publish("iot/v1/c4/log") in ACCEPTED


def forged(opened: Opened) -> dict[str, Signed]:
    stranger = make_authority("test-hub", NOW, 30 * DAY)
    own = Signed(*((opened.certificates.folder / f"ca.{kind}").read_text() for kind in ("crt", "key")))
    return {
        "of another authority": issue_client(stranger, "c1", NOW, NOW + DAY),
        "that has ended": issue_client(own, "c1", NOW - 2 * DAY, NOW - DAY),
        "of a server": issue_server(own, "c1", ["localhost"], NOW, NOW + DAY),
    }


@pytest.mark.parametrize("kind", ["of another authority", "that has ended", "of a server"])
def test_a_certificate_is_refused(opened: Opened, witness: Witness, kind: str) -> None:
    assert is_refused(opened.by_certificate("c1", forged(opened)[kind]))
    assert witness.recorded("tls")


def test_no_certificate_is_no_way_in_where_one_is_asked_for(opened: Opened) -> None:
    node = opened.node(opened.add_node("c5"))
    assert is_refused(opened.by_tls(node).model_copy(update={"port": opened.lan[1]}))


def test_a_renewed_server_certificate_is_used_without_a_restart(opened: Opened) -> None:
    opened.certificates.renew_server()
    reload(opened)
    wanted = opened.certificates.server().sha256

    def served() -> str:
        pem = ssl.get_server_certificate(("127.0.0.1", opened.lan[0]))
        return fingerprint(pem)

    wait_until(lambda: served() == wanted, what="the new certificate")


def test_an_impostor_of_the_broker_is_refused_by_clients(opened: Opened, tmp_path: Path) -> None:
    impostor = Certificates(tmp_path / "tls")
    impostor.make("test-hub", ["localhost"])
    good = opened.by_tls(opened.node(opened.add_node("c6")))

    assert session_says(good) == ""
    for trusted in (impostor.authority_file, None):  # None: the system's authorities
        assert "certificate verify failed" in session_says(good.model_copy(update={"ca_file": trusted}))


def session_says(mqtt: MqttSettings) -> str:
    """What the session of a node says of this broker; empty when it connects.

    In a process of its own: paho leaves the socket of a failed handshake to the garbage collector, which warns.
    """
    script = """
import asyncio, sys
from wire.connection import Connection
from wire.errors import SessionDown
from wire.settings import MqttSettings
async def connect():
    async with Connection(MqttSettings.model_validate_json(sys.stdin.read()), client_id="c6", clean_start=False):
        pass
try:
    asyncio.run(connect())
except SessionDown as error:
    print(error)
"""
    argv = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(argv, input=mqtt.model_dump_json(), capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("name", ["hub", "admin", "operator"])
def test_no_certificate_speaks_for_the_hub(opened: Opened, name: str) -> None:
    with pytest.raises(NameReserved):
        opened.certificates.issue(name)


def test_nothing_listens_on_the_network_unless_it_is_asked_for(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path / "var")
    paths.make()
    child = prepare(Settings.model_validate({"mqtt": {"port": 0}}), paths)
    listeners = [line.split()[2] for line in child.config.read_text().splitlines() if line.startswith("listener")]
    assert listeners == ["127.0.0.1"]
    assert "allow_anonymous false" in child.config.read_text()


def test_the_network_is_refused_without_certificates(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path / "var")
    paths.make()
    settings = Settings.model_validate({"mqtt": {"port": 0}, "broker": {"lan": lan_settings()}})
    with pytest.raises(LanRefused, match="iothub tls init"):
        prepare(settings, paths)
    assert not (paths.broker / "mosquitto.conf").exists()


@pytest.mark.parametrize("damaged", ["ca.crt", "ca.key", "server.crt", "server.key", "revoked.crl"])
def test_the_network_is_refused_with_damaged_certificates(tmp_path: Path, damaged: str) -> None:
    paths = StatePaths(tmp_path / "var")
    paths.make()
    settings = Settings.model_validate({"mqtt": {"port": 0}, "broker": {"lan": lan_settings()}})
    certificates = lan.certificates_of(settings, paths)
    certificates.make("h", ["localhost"])
    (certificates.folder / damaged).unlink()
    with pytest.raises(BrokerError):
        prepare(settings, paths)


def test_the_network_is_refused_where_the_accounts_are_somebody_elses() -> None:
    with pytest.raises(ValidationError, match=r"lan\.enabled opens the broker that iothub runs"):
        Settings.model_validate({"broker": {"mode": "external", "lan": {"enabled": True}}})


def test_keys_are_for_their_owner_only(opened: Opened) -> None:
    private = [*opened.certificates.folder.rglob("*.key"), *(opened.paths.broker / "data").glob("*")]
    assert [path.name for path in private if path.stat().st_mode & 0o077] == []
    assert opened.certificates.folder.stat().st_mode & 0o077 == 0
    assert not (opened.paths.broker / "data" / "ca.key").exists()


def reload(opened: Opened) -> None:
    """As ``iothub up`` does it."""
    lan.reload(opened.settings, opened.paths)
    before = opened.log.read_text().count("Reloading config")
    os.kill(opened.pid, signal.SIGHUP)
    wait_until(lambda: opened.log.read_text().count("Reloading config") > before, what="the broker has reloaded")
