from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.cli.app import run
from hub.config import Settings
from hub.plan import Plan


def state_of_agent(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Path:
    """The state directory that ``iothub agent`` gives the agent."""
    given: list[str] = []

    def execv(_: str, argv: list[str]) -> None:
        given.extend(argv)

    monkeypatch.setattr(os, "execv", execv)
    assert run(["agent", *arguments]) == 0
    return Path(given[given.index("--state") + 1])


def test_the_agent_alone_and_below_up_have_one_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below_up = Plan(Settings(state=tmp_path / "x"), None).paths.agent
    assert state_of_agent(monkeypatch, "--state", str(tmp_path / "x")) == below_up == tmp_path / "x" / "agent"


@pytest.mark.parametrize("text", ["", "state = 'elsewhere'\n"])
def test_so_they_have_when_the_directory_comes_from_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IOTHUB_STATE", raising=False)
    (tmp_path / "iothub.toml").write_text(text, encoding="utf-8")
    assert state_of_agent(monkeypatch) == tmp_path / ("elsewhere" if text else "var") / "agent"
