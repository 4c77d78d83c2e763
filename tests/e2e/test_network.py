"""The network as people use it: certificates, a machine that joins with one line, revoking, leaving; real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hub.tls.authority import fingerprint
from tests.support.iothub import IotHub
from tests.support.mosquitto import free_port
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IotHub]:
    """A hub that is open to the network, on loopback ports."""
    ports = {f"IOTHUB_BROKER__LAN__{name}": str(free_port()) for name in ("PORT", "CERTIFICATE_PORT", "JOIN_PORT")}
    variables = {"IOTHUB_BROKER__LAN__HOST": "127.0.0.1", "IOTHUB_BROKER__LAN__NAMES": '["localhost"]', **ports}
    running = IotHub(
        tmp_path_factory.mktemp("network"),
        {"IOTHUB_BROKER__LAN__ENABLED": "true", "IOTHUB_DASHBOARD__PORT": "0", **variables},
    )
    refused = running.run("up")
    assert (refused.returncode, "iothub tls init" in refused.stderr) == (1, True), refused.stderr
    assert running.run("tls", "init").returncode == 0
    try:
        running.start()
        yield running
        assert running.stop() == 0
    finally:
        running.cleanup()


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("IOTHUB_")}


def agent(folder: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    argv = [sys.executable, "-m", "agent", *words, "--config", str(folder / "a.toml"), "--state", str(folder / "state")]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=30, check=False, env=environment())


def test_a_machine_joins_with_the_printed_line_appears_and_leaves(hub: IotHub, tmp_path: Path) -> None:
    made = hub.json("join-token", "--group", "lab")
    machine = tmp_path / "machine"
    joined = agent(machine, "join", made["address"], "--node", "new1", stdin=made["token"] + "\n")
    assert joined.returncode == 0, joined.stderr
    assert "The broker lets it in" in joined.stdout
    argv = [sys.executable, "-m", "agent", "--config", str(machine / "a.toml"), "--state", str(machine / "state")]
    with subprocess.Popen(argv, env=environment(), stderr=subprocess.DEVNULL) as running:
        try:
            wait_until(lambda: state_of(hub, "new1") == "online", 60, "new1 is online")
        finally:
            running.terminate()
    left = agent(machine, "leave")
    assert left.returncode == 0, left.stderr
    assert state_of(hub, "new1") is None
    assert not (machine / "a.toml").exists()


def state_of(hub: IotHub, node: str) -> str | None:
    return next((each["contact"] for each in hub.json("nodes") if each["node"] == node), None)


def test_a_revoked_certificate_is_refused_by_the_hub_that_runs(hub: IotHub, tmp_path: Path) -> None:
    assert hub.run("nodes", "add", "dev1").returncode == 0
    issued = hub.run("tls", "issue", "dev1", "--out", str(tmp_path))
    assert issued.returncode == 0, issued.stderr
    assert publishes(hub, tmp_path)
    revoked = hub.run("tls", "revoke", "dev1")
    assert "The running broker has been told." in revoked.stdout, revoked.stderr
    assert "The connection of dev1 was cut." in revoked.stdout
    wait_until(lambda: not publishes(hub, tmp_path), what="the broker has read the list")
    why = {each["kind"] for each in hub.json("accounts", "denials")}
    assert "tls" in why


def publishes(hub: IotHub, files: Path) -> bool:
    port = hub._environment["IOTHUB_BROKER__LAN__CERTIFICATE_PORT"]
    argv = ["mosquitto_pub", "-V", "5", "-h", "localhost", "-p", port, "-i", "dev1", "-q", "1"]
    argv += ["--cafile", str(files / "ca.crt"), "--cert", str(files / "dev1.crt"), "--key", str(files / "dev1.key")]
    argv += ["-t", "iot/v1/dev1/log", "-m", "hello"]
    return subprocess.run(argv, capture_output=True, timeout=20, check=False).returncode == 0


def test_a_renewed_certificate_is_shown_and_served(hub: IotHub) -> None:
    import ssl  # noqa: PLC0415

    renewed = hub.run("tls", "renew")
    assert "The running broker has been told." in renewed.stdout, renewed.stderr
    shown = next(each for each in hub.json("tls", "show") if each["kind"] == "server")
    port = int(hub._environment["IOTHUB_BROKER__LAN__PORT"])
    wait_until(
        lambda: fingerprint(ssl.get_server_certificate(("127.0.0.1", port))) == shown["sha256"], what="the new one"
    )


def test_people_are_added_rotated_and_removed(hub: IotHub) -> None:
    added = hub.json("accounts", "add", "maria", "--role", "operator")
    rotated = hub.json("accounts", "rotate", "maria")
    assert added["credentials"]["password"] != rotated["credentials"]["password"]
    assert {each["name"]: each["role"] for each in hub.json("accounts")}["maria"] == "operator"
    assert hub.run("accounts", "rm", "maria", "--yes").returncode == 0
    gone = hub.run("accounts", "rm", "maria", "--yes")
    assert (gone.returncode, "no account 'maria'" in gone.stderr) == (1, True), gone.stderr


def test_a_device_is_reached_via_its_gateway(hub: IotHub) -> None:
    assert hub.run("nodes", "add", "gw1", "--gateway").returncode == 0
    added = hub.run("nodes", "add", "lamp", "--via", "gw1")
    assert "gateway gw1 may speak for it" in added.stdout, added.stderr
    assert hub.run("nodes", "rm", "lamp", "--yes").returncode == 0
    assert hub.run("nodes", "rotate", "gw1").returncode == 0


def test_the_doctor_looks_at_the_network(hub: IotHub) -> None:
    found = {each["name"]: each for each in json.loads(hub.run("doctor", "--json").stdout)}
    assert found["network"]["verdict"] == "ok"
    assert "TLS" in found["network"]["text"]


def test_no_secret_stands_in_a_log_or_in_the_arguments_of_a_process(hub: IotHub) -> None:
    import psutil  # noqa: PLC0415

    secrets = [path.read_text().strip() for path in (hub.state / "secrets").iterdir()]
    secrets.append(hub.json("join-token")["token"].partition("#")[0])
    secrets += [line for path in hub.state.rglob("*.key") for line in path.read_text().splitlines()[1:2]]
    assert len(secrets) > 5
    logs = "".join(path.read_text(errors="replace") for path in (hub.state / "log").iterdir())
    arguments = " ".join(" ".join(each.cmdline()) for each in psutil.Process(hub.pid).children(recursive=True))
    assert [secret[:6] for secret in secrets if secret in logs + arguments + hub.text] == []
