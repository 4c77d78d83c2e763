"""TLS to the broker: who it is must be proven."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.node import mqtt, run
from wire.errors import SessionDown
from wire.session import publish_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


#: paho leaves the socket of a failed handshake to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


def authority(folder: Path, name: str) -> Path:
    """A certificate authority; its key lies beside it."""
    file = folder / f"{name}.crt"
    key = folder / f"{name}.key"
    elliptic = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl(
        "req", "-x509", *elliptic, "-nodes", "-keyout", key, "-out", file, "-days", 2, "-subj", f"/CN={name}", *usage
    )
    return file


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return authority(tmp_path, "ours")


@pytest.fixture
def broker(tmp_path: Path, ca: Path) -> Iterator[Mosquitto]:
    """Its certificate is for 127.0.0.1 alone."""
    request, key, file = tmp_path / "server.csr", tmp_path / "server.key", tmp_path / "server.crt"
    names = tmp_path / "names"
    names.write_text("subjectAltName = IP:127.0.0.1\n", encoding="ascii")
    elliptic = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    openssl("req", *elliptic, "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=broker")
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca.with_suffix(".key"), "-CAcreateserial", "-days", 2,
            "-extfile", names, "-out", file)  # fmt: skip
    with Mosquitto(tmp_path / "mosquitto", lines=[f"certfile {file}", f"keyfile {key}"]) as running:
        yield running


def test_a_broker_with_a_certificate_of_our_authority_is_trusted(broker: Mosquitto, ca: Path) -> None:
    async def test() -> None:
        assert (await publish_once(mqtt(broker.port, tls=True, ca_file=ca), "a", b"x")).nobody_subscribed

    run(test)


def test_a_certificate_of_another_authority_is_refused(broker: Mosquitto, tmp_path: Path) -> None:
    other = authority(tmp_path, "another")

    async def test() -> None:
        with pytest.raises(SessionDown, match="certificate verify failed"):
            await publish_once(mqtt(broker.port, tls=True, ca_file=other), "a", b"x")

    run(test)


def test_a_certificate_for_another_host_name_is_refused(broker: Mosquitto, ca: Path) -> None:
    async def test() -> None:
        with pytest.raises(SessionDown, match="certificate"):
            await publish_once(mqtt(broker.port, tls=True, ca_file=ca, host="localhost"), "a", b"x")

    run(test)


def test_the_authorities_of_the_system_do_not_know_ours(broker: Mosquitto) -> None:
    async def test() -> None:
        with pytest.raises(SessionDown, match="certificate verify failed"):
            await publish_once(mqtt(broker.port, tls=True), "a", b"x")

    run(test)


def test_a_missing_authority_file_is_named(broker: Mosquitto, tmp_path: Path) -> None:
    async def test() -> None:
        with pytest.raises(SessionDown, match=r"mqtt\.ca_file .*nowhere\.pem"):
            await publish_once(mqtt(broker.port, tls=True, ca_file=tmp_path / "nowhere.pem"), "a", b"x")

    run(test)


def test_no_tls_to_a_port_with_tls_ends_in_session_down(broker: Mosquitto) -> None:
    async def test() -> None:
        with pytest.raises(SessionDown):
            await publish_once(mqtt(broker.port), "a", b"x", timeout_s=20)

    run(test)
