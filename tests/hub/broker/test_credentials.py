from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from hub.broker.credentials import for_admin, for_agent, for_hub, for_operator, kept_password, password_of
from hub.broker.errors import NotAuthorised
from hub.config import Settings
from hub.paths import StatePaths, write_secret
from wire.settings import MqttSettings

if TYPE_CHECKING:
    from pathlib import Path

MANAGED = Settings.model_validate({"hub": {"id": "h1"}})
EXTERNAL = Settings.model_validate(
    {
        "hub": {"id": "h1"},
        "broker": {"mode": "external"},
        "mqtt": {"host": "broker.example.org", "port": 8883, "tls": True, "username": "me", "password": "pw"},
    }
)


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    made = StatePaths(tmp_path / "var")
    made.make()
    return made


def test_a_password_is_made_once_and_kept_for_its_owner_alone(paths: StatePaths) -> None:
    first = kept_password(paths, "hub")
    assert kept_password(paths, "hub") == first
    assert stat.S_IMODE((paths.secrets / "mqtt-hub").stat().st_mode) == 0o600


def test_an_empty_file_is_no_password(paths: StatePaths) -> None:
    write_secret(paths.secrets / "mqtt-hub", "")
    assert len(kept_password(paths, "hub")) == 32


def test_each_part_has_its_own_account_on_the_managed_broker(paths: StatePaths) -> None:
    parts = [for_hub(MANAGED, paths), for_agent(MANAGED, paths, "n1"), for_operator(MANAGED, paths)]
    parts.append(for_admin(MANAGED, paths))
    assert [mqtt.username for mqtt in parts] == ["hub", "n1", "operator", "admin"]
    files = [mqtt.password_file.name if mqtt.password_file else "" for mqtt in parts]
    assert files == ["mqtt-hub", "mqtt-agent", "mqtt-operator", "mqtt-admin"]


def test_the_client_id_of_hub_and_agent_is_fixed_and_that_of_people_is_not(paths: StatePaths) -> None:
    assert for_hub(MANAGED, paths).client_id == "hub"
    assert for_agent(MANAGED, paths, "n1").client_id == "n1"
    assert for_operator(MANAGED, paths).client_id != for_operator(MANAGED, paths).client_id
    assert for_admin(MANAGED, paths).client_id != for_admin(MANAGED, paths).client_id


def test_the_port_that_was_chosen_is_used(paths: StatePaths) -> None:
    free = Settings.model_validate({"mqtt": {"port": 0, "host": "localhost"}})
    assert for_hub(free, paths, port=40123).port == 40123
    assert for_hub(free, paths, port=40123).host == "127.0.0.1"


def test_the_account_of_an_external_broker_is_that_of_the_settings(paths: StatePaths) -> None:
    for mqtt in (for_hub(EXTERNAL, paths), for_agent(EXTERNAL, paths, "n1"), for_operator(EXTERNAL, paths)):
        assert (mqtt.host, mqtt.port, mqtt.tls, mqtt.username) == ("broker.example.org", 8883, True, "me")
        assert password_of(mqtt) == "pw"


def test_hubs_that_share_an_external_broker_have_sessions_of_their_own(paths: StatePaths) -> None:
    assert for_hub(EXTERNAL, paths).client_id == "iothub-h1"
    named = EXTERNAL.model_copy(update={"mqtt": EXTERNAL.mqtt.model_copy(update={"client_id": "mine"})})
    assert for_hub(named, paths).client_id == "mine"
    assert for_agent(named, paths, "n1").client_id == "n1"


def test_accounts_on_an_external_broker_need_the_password_of_its_admin(paths: StatePaths) -> None:
    with pytest.raises(NotAuthorised, match=r"broker.example.org:8883 is not run by this hub.*mqtt-admin"):
        for_admin(EXTERNAL, paths)
    write_secret(paths.secrets / "mqtt-admin", "theirs")
    mqtt = for_admin(EXTERNAL, paths)
    assert (mqtt.username, password_of(mqtt), mqtt.tls) == ("admin", "theirs", True)


def test_the_password_file_wins_over_the_password(paths: StatePaths) -> None:
    write_secret(paths.secrets / "file", "from the file")
    mqtt = MqttSettings(password=SecretStr("from the settings"), password_file=paths.secrets / "file")
    assert password_of(mqtt) == "from the file"


def test_no_password_is_none() -> None:
    assert password_of(MqttSettings()) is None
