from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub.cli.app import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Check = Callable[[str], tuple[int, list[str]]]


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    def checked(text: str) -> tuple[int, list[str]]:
        config = tmp_path / "iothub.toml"
        config.write_text(text)
        code = run(["check", "--config", str(config)])
        return code, [line.replace(f"{config}:", "") for line in capsys.readouterr().out.splitlines()]

    return checked


def test_good_settings_exit_0_and_say_what_was_read(check: Check, tmp_path: Path) -> None:
    code, lines = check("[mqtt]\nport = 1884\n")
    assert code == 0
    assert lines[0].split() == ["ok", str(tmp_path / "iothub.toml")]
    assert "127.0.0.1:1884" in lines[1]


def test_each_problem_is_one_line_with_line_key_value_and_what_is_allowed(check: Check) -> None:
    code, lines = check("[mqtt]\nport = 99999\n[store]\nkind = 'dukc'\n")
    assert code == 2
    assert lines == [
        "2: mqtt.port = 99999: must be at least 0 and at most 65535",
        "4: store.kind = 'dukc': must be 'duck', 'influx' or 'memory'; did you mean 'duck'?",
    ]


def test_the_agents_section_is_checked_by_the_agent(check: Check) -> None:
    code, lines = check("[agent]\nnode = 'a b'\n")
    assert code == 2
    assert lines[0].startswith("2: agent.node = 'a b'")


def test_a_problem_that_hub_and_agent_both_see_is_said_once(check: Check) -> None:
    _, lines = check("[mqtt]\nprot = 1\n")
    assert len(lines) == 1


def test_a_source_of_an_unknown_format_is_found(check: Check) -> None:
    code, lines = check("[[sources]]\nfilter = 'a/#'\nformat = 'jsno'\nnode = '{1}'\n")
    assert code == 2
    assert "jsno" in lines[0]


def test_nothing_is_made(check: Check, tmp_path: Path) -> None:
    state = tmp_path / "var"
    assert check(f"state = '{state}'\n")[0] == 0
    assert not state.exists()
