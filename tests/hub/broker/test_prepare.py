"""What ``prepare`` writes, and what it says when it cannot."""

from __future__ import annotations

import os
import re
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from hub.broker import locate, ports
from hub.broker.errors import AccountsBroken, BrokerError, BrokerMissing, PortTaken
from hub.broker.prepare import prepare
from hub.config import Settings
from hub.paths import StatePaths
from tests.support.device import SUCCESS, Device
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.secured import AGENT_NODE, Secured

if TYPE_CHECKING:
    from collections.abc import Mapping

FREE_PORT = {"mqtt": {"port": 0}}


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    made = StatePaths(tmp_path / "var")
    made.make()
    return made


def settings(**changes: Mapping[str, object]) -> Settings:
    return Settings.model_validate({**FREE_PORT, **changes})


def test_a_second_start_changes_neither_accounts_nor_secrets(tmp_path: Path) -> None:
    def contents() -> dict[str, bytes]:
        files = [*(tmp_path / "var" / "secrets").iterdir(), tmp_path / "var/mosquitto/data/dynamic-security.json"]
        return {file.name: file.read_bytes() for file in files}

    Secured(tmp_path)
    before = contents()
    Secured(tmp_path)
    assert contents() == before


def test_a_node_added_live_is_there_after_the_next_start(tmp_path: Path) -> None:
    with Secured(tmp_path) as first:
        credentials = first.add_node("dev1")
    with Secured(tmp_path) as second, Device(second.node(credentials)) as device:
        assert device.connack == SUCCESS


def test_a_secret_that_was_lost_is_replaced_and_works(tmp_path: Path) -> None:
    first = Secured(tmp_path)
    (first.paths.secrets / "mqtt-operator").unlink()
    with Secured(tmp_path) as second, Device(second.operator()) as operator:
        assert operator.connack == SUCCESS


def test_an_agent_of_another_name_gets_an_account(tmp_path: Path) -> None:
    first = Secured(tmp_path)
    child = prepare(first.settings, first.paths, agent_node="renamed")
    text = (child.data / "dynamic-security.json").read_text()
    assert "node-renamed" in text
    assert f"node-{AGENT_NODE}" in text


def test_damaged_accounts_are_left_alone_and_named(tmp_path: Path) -> None:
    first = Secured(tmp_path)
    file = first.child.data / "dynamic-security.json"
    file.write_text("{")
    with pytest.raises(AccountsBroken, match=r"dynamic-security\.json are damaged.*Put a copy back"):
        Secured(tmp_path)
    assert file.read_text() == "{"


def test_port_0_takes_a_free_one(paths: StatePaths) -> None:
    assert prepare(settings(), paths).port > 0


def test_a_port_that_is_taken_is_said_with_its_owner_and_the_way_out(paths: StatePaths) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken) as error:
            prepare(settings(mqtt={"port": port}), paths)
    said = str(error.value)
    assert re.search(rf"port {port} is taken by \S+ \(pid {os.getpid()}\)", said)
    assert "mqtt.port in iothub.toml or IOTHUB_MQTT__PORT" in said
    assert error.value.port == port


def test_a_port_taken_by_another_mosquitto_says_how_to_end_debians(paths: StatePaths, tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "other") as other:
        with pytest.raises(PortTaken) as error:
            prepare(settings(mqtt={"port": other.port}), paths)
        assert f"mosquitto (pid {other.pid})" in str(error.value)
    assert "systemctl disable --now mosquitto" in str(error.value)


@pytest.fixture
def _sockets_of_others_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_kind: str) -> list[object]:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", denied)


@pytest.mark.usefixtures("_sockets_of_others_are_hidden")
def test_a_broker_of_another_user_is_guessed(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as other:
        said = ports.taken(other.port)
    assert re.search(r"taken by another process, probably mosquitto \(pid \d+\); Debian's package", said)


@pytest.mark.usefixtures("_sockets_of_others_are_hidden")
def test_a_port_taken_by_nobody_we_know_is_said_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_attributes: list[str]) -> list[psutil.Process]:
        return []

    monkeypatch.setattr(psutil, "process_iter", nobody)
    assert "port 1883 is taken by another process. Choose another" in ports.taken(1883)


def test_a_port_that_this_user_may_not_use_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As root every port is allowed: the refusal is the kernel's to give, so it is injected at the socket."""

    def refuse(_self: socket.socket, _address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(BrokerError, match=r"no permission to listen on port 80\. Ports below 1024 are for root"):
        ports.claim_port("127.0.0.1", 80)


def test_an_address_that_is_not_of_this_machine_is_said() -> None:
    with pytest.raises(BrokerError, match=r"cannot listen on 192\.0\.2\.1:\d+ \(mqtt\.host\)"):
        ports.claim_port("192.0.2.1", free_port())


def test_a_program_that_is_missing_is_said_with_what_to_install(paths: StatePaths) -> None:
    with pytest.raises(BrokerMissing) as error:
        prepare(settings(broker={"program": "mosquitto-that-is-not-there"}), paths)
    said = str(error.value)
    assert "'mosquitto-that-is-not-there' (setting broker.program) is neither on PATH nor in /usr/sbin" in said
    assert locate.install_hint() in said
    assert 'broker.mode = "external"' in said


def test_a_path_to_a_program_that_is_missing_is_said(paths: StatePaths, tmp_path: Path) -> None:
    with pytest.raises(BrokerMissing, match="is not an executable file"):
        prepare(settings(broker={"program": str(tmp_path / "mosquitto")}), paths)


def test_the_program_is_found_where_path_does_not_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert locate.find_program("mosquitto").name == "mosquitto"


def test_a_plugin_beside_the_program_wins(tmp_path: Path) -> None:
    plugin = tmp_path / "lib" / "any-arch" / locate.PLUGIN
    plugin.parent.mkdir(parents=True)
    plugin.touch()
    assert locate.find_plugin(tmp_path / "sbin" / "mosquitto") == plugin


def test_a_missing_plugin_is_said_with_the_places(tmp_path: Path) -> None:
    with pytest.raises(BrokerMissing, match=rf"no {locate.PLUGIN} in {tmp_path}/lib/\*.*2\.0\.11 or newer"):
        locate.find_plugin(tmp_path / "sbin" / "mosquitto", folders=[str(tmp_path / "none")])


@pytest.mark.parametrize(
    ("manager", "hint"),
    [
        ("apt-get", "sudo apt-get install mosquitto"),
        ("dnf", "sudo dnf install mosquitto"),
        ("brew", "brew install mosquitto"),
        ("apk", "sudo apk add mosquitto"),
    ],
)
def test_what_to_install_is_said_in_the_words_of_the_platform(manager: str, hint: str) -> None:
    assert locate.install_hint(lambda name: name if name == manager else None) == hint


def test_a_platform_without_a_package_manager_is_sent_to_the_download_page() -> None:
    assert "https://mosquitto.org/download" in locate.install_hint(lambda _: None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_that_root_left_behind_are_given_to_the_broker(tmp_path: Path) -> None:
    first = Secured(tmp_path)
    with first:
        pass
    for path in (first.child.data, *first.child.data.iterdir()):
        os.chown(path, 0, 0)
    with Secured(tmp_path) as second, Device(second.agent()) as agent:
        assert agent.connack == SUCCESS
        assert {path.stat().st_uid for path in second.child.data.iterdir()} == {second.child.data.stat().st_uid}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_link_in_the_brokers_folder_is_not_followed(tmp_path: Path) -> None:
    first = Secured(tmp_path)
    precious = tmp_path / "precious"
    precious.touch()
    (first.child.data / "mosquitto.db").symlink_to(precious)
    with pytest.raises(BrokerError, match=r"mosquitto\.db is not a plain file"):
        Secured(tmp_path)
    assert precious.stat().st_uid == 0


def test_a_state_directory_with_spaces_and_quotes_works(tmp_path: Path) -> None:
    with Secured(tmp_path / "it's a $HOME") as broker, Device(broker.hub()) as hub:
        assert hub.connack == SUCCESS


def test_a_state_directory_given_relatively_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Secured(Path()) as broker, Device(broker.hub()) as hub:
        assert hub.connack == SUCCESS
    shutil.rmtree(tmp_path / "var")
