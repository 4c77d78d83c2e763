from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.settings_model import Model, Part, Source, problems, write
from wire.errors import SettingsError
from wire.settings import SECTIONS, MqttSettings, load


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ``iothub.toml`` of the person who runs the tests."""
    monkeypatch.chdir(tmp_path)


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


# -- sections of other processes --------------------------------------------------------------------------------------


class MqttOnly(Part):
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
