from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.cli.app import globals_first, run

if TYPE_CHECKING:
    from pathlib import Path


def test_global_options_may_follow_the_command() -> None:
    assert globals_first(["up", "--state", "x", "-v", "--debug"]) == ["--state", "x", "--debug", "up", "-v"]
    assert globals_first(["check", "--config=a.toml"]) == ["--config=a.toml", "check"]


def test_nothing_after_two_dashes_is_moved() -> None:
    assert globals_first(["agent", "--", "--state", "x"]) == ["agent", "--", "--state", "x"]


@given(st.lists(st.sampled_from(["up", "--state", "--config", "x", "--debug", "-v", "--json"]), max_size=8))
def test_moving_global_options_loses_and_adds_nothing(words: list[str]) -> None:
    assert sorted(globals_first(words)) == sorted(words)


def test_usage_errors_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["quer"]) == 2
    assert "Did you mean 'query'" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("iothub ")


@pytest.mark.parametrize(
    "command", [["nodes"], ["query", "cpu.usage"], ["tail"], ["watch", "x"], ["logs"], ["nodes", "add", "x"]]
)
def test_without_a_hub_each_command_says_what_to_start(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--state", str(tmp_path), *command]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"iothub: no hub runs here (state directory {tmp_path}). Start it with `iothub up`")
    assert said.count("\n") == 1


def test_wrong_settings_exit_2_with_one_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "iothub.toml"
    config.write_text("[mqtt]\nport = 99999\nhots = 'x'\n")
    assert run(["--config", str(config), "nodes"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "iothub: the settings are wrong:",
        f"  {config}:2: mqtt.port = 99999: must be at least 0 and at most 65535",
        f"  {config}:3: mqtt.hots: unknown key; did you mean host?",
    ]


def test_a_missing_settings_file_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--config", str(tmp_path / "no.toml"), "nodes"]) == 2
    assert "no.toml: " in capsys.readouterr().err


def test_there_is_no_traceback_unless_debug_asks_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["--state", str(tmp_path), "nodes"])
    assert "Traceback" not in capsys.readouterr().err
    run(["--state", str(tmp_path), "nodes", "--debug"])
    assert "Traceback" in capsys.readouterr().err


def test_node_ids_outside_the_grammar_are_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--state", str(tmp_path), "watch", "a/b"]) == 2
    assert "'a/b'" in capsys.readouterr().err


#: Stands for an install without the extra ``hub``.
LIGHT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise ModuleNotFoundError("No module named 'typer'", name="typer")
sys.meta_path.insert(0, Missing())
from hub.cli import main
main()
"""


def test_a_light_install_says_which_extra_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 1
    assert "pip install 'iothub[hub]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom hub.cli.app import run\nrun(['--help'])\n"
        "heavy = {'httpx', 'fastapi', 'duckdb', 'rich', 'websockets', 'pydantic', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.splitlines()[-1] == "[]"
