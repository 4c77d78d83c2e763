"""The authority and its folder."""

from __future__ import annotations

import datetime as dt
import shutil
import ssl
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from hub.broker.errors import NameReserved
from hub.tls.authority import TlsError, facts, issue_server, make_authority, revoked_serials
from hub.tls.certificates import Certificates
from wire.errors import TopicError

if TYPE_CHECKING:
    from pathlib import Path

START = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def certificates(tmp_path: Path, clock: Clock) -> Certificates:
    made = Certificates(tmp_path / "tls", clock=clock)
    made.make("h1", ["hub.lan", "192.168.1.10", "::1"])
    return made


def test_the_server_is_good_for_the_names_and_addresses_that_were_asked_for(certificates: Certificates) -> None:
    assert certificates.server().hosts == ("hub.lan", "192.168.1.10", "::1")
    assert certificates.server().ends == START + dt.timedelta(days=397)


def test_openssl_agrees_that_the_chain_is_right(certificates: Certificates) -> None:
    certificates.issue("dev1")
    (issued,) = (certificates.folder / "issued").glob("*.crt")
    for purpose, file in (("sslserver", certificates.server_files[0]), ("sslclient", issued)):
        argv = ["openssl", "verify", "-attime", str(int(START.timestamp())), "-purpose", purpose]
        argv += ["-crl_check", "-CRLfile", str(certificates.crl_file), "-CAfile", str(certificates.authority_file)]
        done = subprocess.run([*argv, str(file)], capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr
    assert shutil.which("openssl")


def test_the_fingerprint_is_that_of_openssl(certificates: Certificates) -> None:
    argv = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", str(certificates.authority_file)]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True).stdout
    assert certificates.fingerprint() == said.partition("=")[2].strip().replace(":", "").lower()


def test_a_node_that_was_revoked_is_in_the_list_and_can_have_a_new_certificate(
    certificates: Certificates, clock: Clock
) -> None:
    first = facts(certificates.issue("dev1").certificate)
    certificates.issue("dev2")
    assert certificates.revoke("dev1") == 1
    assert certificates.revoke("dev1") == 0
    clock.now += dt.timedelta(days=1)
    second = facts(certificates.issue("dev1").certificate)
    assert set(revoked_serials(certificates.crl_file.read_text())) == {first.serial}
    assert [(each.facts.serial == second.serial, each.revoked) for each in certificates.nodes()][:2] == [
        (False, START),
        (True, None),
    ]


def test_revocations_add_up(certificates: Certificates) -> None:
    for name in ("a", "b", "c"):
        certificates.issue(name)
        certificates.revoke(name)
    assert len(revoked_serials(certificates.crl_file.read_text())) == 3


def test_the_server_is_renewed_in_its_last_month_with_the_names_it_had(
    certificates: Certificates, clock: Clock
) -> None:
    clock.now += dt.timedelta(days=360)
    assert not certificates.renew_server_in_time()
    clock.now += dt.timedelta(days=10)
    before = certificates.server()
    assert certificates.renew_server_in_time()
    assert certificates.server().hosts == before.hosts
    assert certificates.server().ends == clock.now + dt.timedelta(days=397)


def test_no_certificate_outlives_its_authority(certificates: Certificates, clock: Clock) -> None:
    clock.now += dt.timedelta(days=3600)
    assert certificates.renew_server().ends == START + dt.timedelta(days=3650)
    clock.now += dt.timedelta(days=100)
    with pytest.raises(TlsError, match="iothub tls init --replace"):
        certificates.renew_server()


def test_certificates_that_ended_a_while_ago_are_forgotten(certificates: Certificates, clock: Clock) -> None:
    certificates.issue("dev1")
    clock.now += dt.timedelta(days=400)
    certificates.forget_ended()
    assert [each.facts.name for each in certificates.nodes()] == ["dev1"]
    clock.now += dt.timedelta(days=10)
    certificates.forget_ended()
    assert certificates.nodes() == []


def test_the_key_of_a_node_is_kept_nowhere(certificates: Certificates) -> None:
    key = certificates.issue("dev1").key
    assert key not in [path.read_text() for path in certificates.folder.rglob("*") if path.is_file()]


def test_every_file_is_private(certificates: Certificates) -> None:
    certificates.issue("dev1")
    files = [path for path in certificates.folder.rglob("*") if path.is_file()]
    assert len(files) == 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(certificates.folder.stat().st_mode) == 0o700


def test_a_new_authority_trusts_nothing_of_the_old_one(certificates: Certificates) -> None:
    certificates.issue("dev1")
    old = certificates.fingerprint()
    certificates.make("h1", ["hub.lan"])
    assert certificates.fingerprint() != old
    assert certificates.nodes() == []


@pytest.mark.parametrize("name", ["hub", "admin", "operator"])
def test_the_hubs_own_names_get_no_certificate(certificates: Certificates, name: str) -> None:
    with pytest.raises(NameReserved):
        certificates.issue(name)


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b"])
def test_what_is_no_node_id_gets_no_certificate_and_no_file(certificates: Certificates, name: str) -> None:
    with pytest.raises(TopicError):
        certificates.issue(name)


def test_there_is_nothing_without_an_authority(tmp_path: Path) -> None:
    empty = Certificates(tmp_path / "tls")
    assert not empty.exists
    with pytest.raises(TlsError, match="make one: iothub tls init"):
        empty.everything()


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_damaged_authority_is_said(certificates: Certificates, text: str) -> None:
    certificates.authority_file.write_text(text)
    with pytest.raises(TlsError):
        certificates.issue("dev1")


def test_a_key_of_another_authority_is_said(certificates: Certificates) -> None:
    other = make_authority("x", START, dt.timedelta(days=1))
    (certificates.folder / "ca.key").write_text(other.key)
    with pytest.raises(TlsError, match="does not belong"):
        certificates.issue("dev1")


@pytest.mark.parametrize("hosts", [[], ["bücher.example"]])
def test_a_server_needs_names_that_a_certificate_can_hold(hosts: list[str]) -> None:
    ca = make_authority("x", START, dt.timedelta(days=2))
    with pytest.raises(TlsError):
        issue_server(ca, "h", hosts, START, START + dt.timedelta(days=1))


def test_python_takes_the_authority_as_one_to_trust(certificates: Certificates) -> None:
    context = ssl.create_default_context(cafile=certificates.authority_file)
    assert context.cert_store_stats()["x509_ca"] == 1
