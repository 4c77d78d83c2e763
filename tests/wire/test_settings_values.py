from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.support.settings_model import Model, Part, problems, write
from wire.errors import SettingsError
from wire.settings import Host, NodeId, load, parse_duration

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ``iothub.toml`` of the person who runs the tests."""
    monkeypatch.chdir(tmp_path)


# -- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "[mqtt]\npassword = ['hunter2']",
        "[mqtt]\npassword = { a = 'hunter2' }",
        "[mqtt]\npasword = 'hunter2'",
        "mqtt = ['hunter2']",
        "[store]\nkeep = 'postgresql://me:hunter2@db/x'",
    ],
)
def test_a_secret_is_never_shown(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load(Model, file, environ={})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.problems)


def test_a_secret_that_is_no_text_is_not_shown_either(tmp_path: Path) -> None:
    assert problems(write(tmp_path, "[mqtt]\npassword = 13572468")) == ["F:2: mqtt.password: must be text"]


def test_a_secret_variable_is_never_shown() -> None:
    assert "hunter2" not in str(problems(None, {"IOTHUB_MQTT": '{"password": ["hunter2"]}'}))


@pytest.mark.parametrize("text", ["[mqtt]\npassword = 'x'", "[store]\nurl = 'postgresql://me:pw@db/x'"])
def test_a_file_with_a_password_that_all_can_read_is_warned_of(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = write(tmp_path, text)
    load(Model, file, environ={})
    assert caplog.records == []
    file.chmod(0o644)
    load(Model, file, environ={})
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert f"chmod o-r {file}" in caplog.text


def test_a_file_without_a_password_may_be_read_by_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = write(tmp_path, "[mqtt]\nusername = 'x'\n[store]\nurl = 'http://db/x'")
    file.chmod(0o644)
    load(Model, file, environ={})
    assert caplog.records == []


# -- kinds of values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (30, 30.0), (0.5, 0.5), ("30s", 30.0), ("500ms", 0.5), ("5m", 300.0), ("1h30m", 5400.0), ("1 h 30 m", 5400.0),
        ("7d", 604_800.0), ("1.5h", 5400.0), ("2w", 1_209_600.0), ("1y", 31_536_000.0), (" 1s ", 1.0),
    ],
)  # fmt: skip
def test_a_duration_is_seconds_or_text_with_units(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "s", "5 minutes", "1h30", "-5s", "5M", "1e3s", None, True, [1]])
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="a duration is"):
        parse_duration(text)


class Kinds(Part):
    node: NodeId = "n"
    host: Host = "h"


@pytest.mark.parametrize("host", ["localhost", "10.0.0.1", "::1", "fe80::1%eth0", "mqtt.example.org"])
def test_names_and_addresses_are_hosts(host: str) -> None:
    assert Kinds(host=host).host == host


@pytest.mark.parametrize("host", ["", "a b", "http://a", "a/b", "user@a"])
def test_anything_else_is_no_host(host: str) -> None:
    with pytest.raises(ValueError, match="host name or address alone"):
        Kinds(host=host)


def test_a_node_id_outside_its_grammar_is_a_problem_and_no_crash() -> None:
    with pytest.raises(ValueError, match="is not 1 to 64 of"):
        Kinds(node="a b")
