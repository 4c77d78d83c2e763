from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.config import default_node, load_settings
from wire.errors import SettingsError
from wire.outbox_model import WhenFull
from wire.topics import check_node_id

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, text: str) -> Path:
    file = folder / "iothub.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as error:
        load_settings(write(folder, text), environ={})
    return [str(problem) for problem in error.value.problems]


def test_all_settings_have_defaults(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, ""), environ={})
    assert settings.agent.node == default_node()
    assert settings.agent.collectors.cpu.enabled


def test_the_default_node_is_the_host_name_made_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Büro PC/1" + "x" * 100)
    assert default_node() == "B-ro-PC-1" + "x" * 55
    assert check_node_id(default_node())


def test_intervals_are_durations(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, '[agent.collectors.cpu]\ninterval = "5m"\n'), environ={})
    assert settings.agent.collectors.cpu.interval == 300.0
    assert settings.agent.collectors.disk.interval is None


def test_sections_of_the_hub_in_the_same_file_are_passed_over(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "[store]\nkind = 'duck'\n[agent]\nnode = 'pi'\n"), environ={})
    assert settings.agent.node == "pi"


def test_the_environment_and_the_command_line_win(tmp_path: Path) -> None:
    file = write(tmp_path, "[agent]\nnode = 'file'\ntop_n = 1\n")
    environ = {"IOTHUB_AGENT__NODE": "env", "IOTHUB_AGENT__TOP_N": "3", "IOTHUB_AGENT__COLLECTORS__CPU__INTERVAL": "2s"}
    settings = load_settings(file, node="line", state=tmp_path, environ=environ)
    assert (settings.agent.node, settings.agent.top_n, settings.agent.state) == ("line", 3, tmp_path)
    assert settings.agent.collectors.cpu.interval == 2.0


def test_an_unknown_collector_is_named_with_its_line(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, "[agent.collectors.gpu]\nenabled = true\n")
    assert "iothub.toml:1: agent.collectors.gpu" in line


def test_an_interval_out_of_bounds_says_what_is_allowed(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, "[agent.collectors.cpu]\ninterval = 0.1\n")
    assert "iothub.toml:2: agent.collectors.cpu.interval = 0.1" in line
    assert "1" in line


def test_the_outbox_is_on_disk_and_drops_the_oldest_unless_told_otherwise(tmp_path: Path) -> None:
    outbox = load_settings(write(tmp_path, ""), environ={}).agent.outbox
    assert (outbox.kind, outbox.when_full, outbox.max_bytes, outbox.sync) == ("disk", "drop-oldest", 256 << 20, True)
    file = write(tmp_path, '[agent.outbox]\nwhen_full = "stop-sampling"\n')
    assert load_settings(file, environ={}).agent.outbox.when_full is WhenFull.STOP_SAMPLING


def test_an_outbox_in_memory_cannot_keep_everything(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, '[agent.outbox]\nkind = "memory"\nwhen_full = "stop-sampling"\n')
    assert "iothub.toml:1: agent.outbox: " in line
    assert "always drops the oldest" in line


def test_every_problem_is_found_at_once(tmp_path: Path) -> None:
    lines = problems(tmp_path, "[agent]\nnode = 'a b'\ntop_n = -1\ncolour = 'red'\n[mqtt]\nport = 70000\n")
    assert [line.split(":")[1] for line in lines] == ["2", "3", "4", "6"]
