"""`iothub broker init`: a broker that somebody else starts from what it wrote."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hub.broker import locate
from hub.broker.credentials import for_operator
from hub.config import Settings
from hub.paths import StatePaths
from tests.support.device import Device
from tests.support.mosquitto import Process, free_port
from tests.support.waiting import wait_until
from wire.settings import MqttSettings

if TYPE_CHECKING:
    from pathlib import Path

ROOT = "iot/v1"


class Elsewhere:
    """What one call of the command made."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.state = folder / "state"
        self.folder = folder / "broker"
        self.password = folder / "host-1"
        self._log = folder / "mosquitto.log"

    def init(self, *more: str) -> subprocess.CompletedProcess[str]:
        words = ["broker", "init", str(self.folder), "--node", f"host-1={self.password}", *more]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("IOTHUB_")}
        return subprocess.run(
            [sys.executable, "-m", "hub.cli", "--state", str(self.state), *words],
            env=environment | {"IOTHUB_MQTT__PORT": str(self.port)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def broker(self) -> Process:
        program = str(locate.find_program("mosquitto"))
        argv = [program, "-c", str(self.folder / "mosquitto.conf")]
        return Process(argv, port=self.port, log=self._log, cwd=self.folder / "data")

    def account(self, name: str, client_id: str | None = None) -> MqttSettings:
        file = self.password if name == "host-1" else StatePaths(self.state).secrets / f"mqtt-{name}"
        return MqttSettings(port=self.port, username=name, password_file=file, client_id=client_id)

    def accounts(self) -> bytes:
        return (self.folder / "data" / "dynamic-security.json").read_bytes()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    made = Elsewhere(tmp_path)
    done = made.init()
    assert done.returncode == 0, done.stderr
    return made


def test_a_broker_started_from_it_takes_hub_and_node_and_nobody_else(elsewhere: Elsewhere) -> None:
    with elsewhere.broker():
        with Device(elsewhere.account("hub", "hub")) as hub, Device(elsewhere.account("host-1", "host-1")) as node:
            assert hub.subscribe(f"{ROOT}/#") == 1
            assert node.publish(f"{ROOT}/host-1/telemetry/cpu", b"{}") == 0
            wait_until(lambda: hub.topics() == [f"{ROOT}/host-1/telemetry/cpu"], what="the hub has it")
        with pytest.raises(AssertionError), Device(elsewhere.account("host-1", "other")):
            pass


def test_passwords_are_for_their_owner_alone(elsewhere: Elsewhere) -> None:
    for file in (elsewhere.password, elsewhere.state / "secrets" / "mqtt-hub", elsewhere.folder / "mosquitto.conf"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((elsewhere.folder / "data").stat().st_mode) == 0o700


def test_running_it_again_changes_nothing(elsewhere: Elsewhere) -> None:
    before, password = elsewhere.accounts(), elsewhere.password.read_text()
    assert elsewhere.init().returncode == 0
    assert (elsewhere.accounts(), elsewhere.password.read_text()) == (before, password)


def test_accounts_made_meanwhile_are_kept(elsewhere: Elsewhere) -> None:
    document = json.loads(elsewhere.accounts())
    document["clients"].append({"username": "bridge", "roles": []})
    (elsewhere.folder / "data" / "dynamic-security.json").write_text(json.dumps(document))
    assert elsewhere.init("--listen", "0.0.0.0").returncode == 0  # noqa: S104  only written to a file
    assert "bridge" in {client["username"] for client in json.loads(elsewhere.accounts())["clients"]}
    assert f"listener {elsewhere.port} 0.0.0.0" in (elsewhere.folder / "mosquitto.conf").read_text()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["--node", "host-2"], "must be NAME=FILE"),
        (["--node", "hub=/tmp/x"], "the hub's own accounts"),
        (["--node", "a/b=/tmp/x"], "--node"),
    ],
)
def test_a_name_that_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, wrong: list[str], says: str
) -> None:
    made = Elsewhere(tmp_path)
    done = made.init(*wrong)
    assert done.returncode != 0
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not made.folder.exists()
    assert not made.password.exists()


def test_the_cli_has_the_operators_account_on_such_a_broker(elsewhere: Elsewhere) -> None:
    mqtt = {"port": elsewhere.port, "username": "hub", "client_id": "hub"}
    settings = Settings.model_validate({"broker": {"mode": "external"}, "mqtt": mqtt})
    operator = for_operator(settings, StatePaths(elsewhere.state))
    assert operator.username == "operator"
    with elsewhere.broker(), Device(operator) as device:
        assert device.publish(f"{ROOT}/host-1/cmd/ping", b"{}") in {0, 0x10}


def test_the_cli_keeps_the_hubs_account_on_any_other_external_broker(elsewhere: Elsewhere) -> None:
    settings = Settings.model_validate({"broker": {"mode": "external"}, "mqtt": {"username": "somebody"}})
    assert for_operator(settings, StatePaths(elsewhere.state)).username == "somebody"
