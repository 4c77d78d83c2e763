from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from wire.errors import SettingsError
from wire.settings import SECTIONS, Duration, Host, MqttSettings, NodeId, TopicFilter, load, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ``iothub.toml`` of the person who runs the tests."""
    monkeypatch.chdir(tmp_path)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Part):
    filter: TopicFilter
    count: int = 1


class Store(_Part):
    keep: Duration = 60.0
    url: str = ""
    ratio: float = 0.5


class Model(_Part):
    """A small tree with every kind of value that our settings have."""

    state: Path = Path("var")
    mqtt: MqttSettings = MqttSettings()
    store: Store = Store()
    sources: tuple[Source, ...] = ()
    agent: dict[str, Any] = {}


def write(folder: Path, text: str) -> Path:
    file = folder / "iothub.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return file


def problems(path: Path | None, environ: Mapping[str, str] | None = None, **kwargs: Any) -> list[str]:
    """The lines that a person reads."""
    with pytest.raises(SettingsError) as caught:
        load(Model, path, environ=environ or {}, **kwargs)
    return str(caught.value).replace(f"{path}:", "F:").splitlines()


# -- where settings come from -----------------------------------------------------------------------------------------


def test_without_a_file_the_defaults_hold() -> None:
    assert load(Model, None, environ={}) == Model()


def test_the_file_of_the_current_directory_is_read_when_none_is_named(tmp_path: Path) -> None:
    write(tmp_path, "[mqtt]\nport = 1884")
    assert load(Model, None, environ={}).mqtt.port == 1884


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    missing = tmp_path / "nope.toml"
    assert problems(missing) == ["F: cannot be read: No such file or directory; check the path"]


def test_variables_win_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    file = write(tmp_path, '[mqtt]\nhost = "a"\nport = 1\nkeep_alive_s = 10')
    environ = {"IOTHUB_MQTT__PORT": "2", "IOTHUB_MQTT__KEEP_ALIVE_S": "20"}
    mqtt = load(Model, file, environ=environ, overrides={"mqtt.port": 3, "state": None}).mqtt
    assert (mqtt.host, mqtt.port, mqtt.keep_alive_s) == ("a", 3, 20)


def test_variables_are_read_as_their_settings_need() -> None:
    got = load(
        Model,
        None,
        environ={
            "IOTHUB_STATE": "/srv/x",
            "iothub_mqtt__tls": "true",
            "IOTHUB_STORE__KEEP": "1h30m",
            "IOTHUB_SOURCES": '[{"filter": "a/#", "count": 2}]',
            "IOTHUB_AGENT__INTERVAL": "7",
            "HOME": "/root",
        },
    )
    assert (got.state, got.mqtt.tls, got.store.keep, got.agent) == (Path("/srv/x"), True, 5400.0, {"interval": "7"})
    assert got.sources == (Source(filter="a/#", count=2),)


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOTHUB_MQTT__PORT", "1999")
    assert load(Model, None).mqtt.port == 1999


def test_variables_with_another_prefix_are_nobodys_business() -> None:
    assert load(Model, None, environ={"IOTHUB_MQTT__PORT": "1", "X_MQTT__PORT": "2"}, prefix="X_").mqtt.port == 2


def test_a_byte_order_mark_and_carriage_returns_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "windows.toml"
    file.write_bytes(b"\xef\xbb\xbf[mqtt]\r\nport = 5\r\n")
    assert load(Model, file, environ={}).mqtt.port == 5


# -- what is refused, and how it is said ------------------------------------------------------------------------------


def test_every_problem_is_told_with_its_line_key_value_and_what_is_allowed(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """\
[mqtt]
host = "mqtt://h"
port = 99999
root = "a/#"

[store]
keep = "3 moons"
ratio = "much"

[[sources]]
filter = "a"

[[sources]]
filter = "#/a"
count = 1.5
""",
    )
    assert problems(file) == [
        "F:2: mqtt.host = 'mqtt://h': must be a host name or address alone: no scheme, path, spaces or port",
        "F:3: mqtt.port = 99999: must be at least 0 and at most 65535",
        "F:4: mqtt.root = 'a/#': level of the root '#' is not 1 to 128 characters without / + # and control characters",
        "F:7: store.keep = '3 moons': a duration is a number of seconds or text such as 500ms, 30s, 5m, 1h30m, 7d",
        "F:8: store.ratio = 'much': must be a number",
        "F:14: sources[1].filter = '#/a': '#/a' is no topic filter: + and # fill a whole level, and # only the last",
        "F:15: sources[1].count = 1.5: must be a whole number",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("stat = 1", "F:1: stat: unknown key; did you mean state?"),
        ("[mqtt]\nPORT = 1", "F:2: mqtt.PORT: unknown key; did you mean port?"),
        ("[storee]", "F:1: storee: unknown key; did you mean store?"),
        ("[[sources]]\nfilter='a'\nzzz=1", "F:3: sources[0].zzz: unknown key; known here: count, filter"),
    ],
)
def test_an_unknown_key_is_refused_with_what_was_probably_meant(tmp_path: Path, text: str, line: str) -> None:
    assert problems(write(tmp_path, text)) == [line]


def test_a_missing_key_is_told_at_its_table(tmp_path: Path) -> None:
    assert problems(write(tmp_path, "\n[[sources]]\ncount = 1")) == ["F:2: sources[0].filter: is required"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("mqtt = 1", "F:1: mqtt = 1: must be a table"),
        ("sources = 1", "F:1: sources = 1: must be a list"),
        ("state = 1", "F:1: state = 1: must be text that names a file or folder"),
        ("[mqtt]\nhost = [1]", "F:2: mqtt.host: must be text"),
        ("[mqtt]\nport = true", "F:2: mqtt.port = true: must be a number, not true or false"),
        ("[mqtt]\ntls = 'perhaps'", "F:2: mqtt.tls = 'perhaps': must be true or false"),
        ("[store]\nkeep = inf", "F:2: store.keep = inf: must be at least 0 and at most 3153600000"),
        ("[store]\nratio = true", "F:2: store.ratio = true: must be a number, not true or false"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_what_it_must_be(tmp_path: Path, text: str, line: str) -> None:
    assert problems(write(tmp_path, text)) == [line]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a = 1\nb = \n", "F:2: not TOML: Invalid value (column 5)"),
        (b"a = 1\na = 2\n", "F:2: not TOML: Cannot overwrite a value (column 6)"),
        (b"a = 1\n\nb = 'x", 'F:3: not TOML: Expected "\'" (at end of document)'),
        (b"a = 1\nb = '\xff'", "F:2: not UTF-8: byte 0xff"),
    ],
)
def test_a_file_that_is_no_toml_is_told_where(tmp_path: Path, content: bytes, line: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    assert problems(file) == [line]


def test_a_folder_is_no_settings_file(tmp_path: Path) -> None:
    assert problems(tmp_path) == ["F: cannot be read: Is a directory"]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("IOTHUB_MQTT__PORT", "x", "IOTHUB_MQTT__PORT: mqtt.port = 'x': must be a whole number"),
        ("IOTHUB_MQTT__HOSTT", "x", "IOTHUB_MQTT__HOSTT: mqtt.hostt: unknown key; did you mean host?"),
        ("IOTHUB_MQTTT__HOST", "x", "IOTHUB_MQTTT__HOST: mqttt: unknown key; did you mean mqtt?"),
        ("IOTHUB_MQTT__HOST__X", "x", "IOTHUB_MQTT__HOST__X: mqtt.host: must be text"),
        ("IOTHUB_SOURCES", "[{}]", "IOTHUB_SOURCES: sources[0].filter: is required"),
        (
            "IOTHUB_SOURCES",
            "[1",
            "IOTHUB_SOURCES: sources: must be JSON, as lists and tables are: Expecting ',' delimiter (character 3)",
        ),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(tmp_path: Path, name: str, text: str, line: str) -> None:
    file = write(tmp_path, '[mqtt]\nhost = "h"\nport = 1\n[[sources]]\nfilter = "a"')
    assert problems(file, {name: text}) == [line]


def test_a_wrong_value_of_the_command_line_is_told_as_such() -> None:
    assert problems(None, overrides={"mqtt.port": "x"}) == ["command line: mqtt.port = 'x': must be a whole number"]


def test_problems_of_all_sources_are_told_together(tmp_path: Path) -> None:
    file = write(tmp_path, "[mqtt]\nport = -1")
    told = problems(file, {"IOTHUB_STORE__KEEP": "x", "IOTHUB_SOURCES": "["}, overrides={"store.ratio": "x"})
    assert {line.partition(": ")[2].split(" = ")[0].partition(":")[0] for line in told} == {
        "mqtt.port",
        "sources",
        "store.keep",
        "store.ratio",
    }
    assert len(told) == 4


def test_a_variable_that_only_resembles_a_setting_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    environ = {"IOTHUB_MQTT_HOST": "x", "IOTHUB_SERVICE_PORT": "tcp://10.0.0.1:80"}
    assert load(Model, None, environ=environ) == Model()
    assert [r.getMessage() for r in caplog.records] == [
        "environment variable IOTHUB_MQTT_HOST is not a setting and is ignored; did you mean IOTHUB_MQTT__HOST?"
    ]


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


# -- sections of other processes --------------------------------------------------------------------------------------


class MqttOnly(_Part):
    mqtt: MqttSettings = MqttSettings()


def test_known_sections_of_others_are_passed_over(tmp_path: Path) -> None:
    file = write(tmp_path, "state = 5\n[mqtt]\nport = 7\n[store]\nnonsense = 1")
    environ = {"IOTHUB_STORE__X": "1", "IOTHUB_STATE": "x"}
    assert load(MqttOnly, file, environ=environ, only=("mqtt",)).mqtt.port == 7


def test_sections_of_nobody_are_refused_all_the_same(tmp_path: Path) -> None:
    file = write(tmp_path, "[mqtt]\n[stor]\n")
    with pytest.raises(SettingsError, match=r":2: stor: unknown key; did you mean store\?"):
        load(MqttOnly, file, environ={}, only=("mqtt",))


def test_every_section_of_the_test_model_is_known() -> None:
    assert set(Model.model_fields) <= SECTIONS


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


class Kinds(_Part):
    node: NodeId = "n"
    host: Host = "h"
    password: SecretStr | None = None


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
