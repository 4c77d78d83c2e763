"""What ``agent/README.md`` promises is what the code does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from agent.collectors import COLLECTORS
from agent.commands import COMMANDS
from agent.config import AgentSettings, Settings

README = (Path(__file__).parents[2] / "agent" / "README.md").read_text(encoding="utf-8")


def test_every_collector_is_described_with_its_interval() -> None:
    described = dict(re.findall(r"^\| `(\w+)` \| (\d+) s \|", README, re.MULTILINE))
    made = {name: make(AgentSettings(), dict) for name, make in COLLECTORS.items()}
    assert described == {name: f"{collector.interval_s:g}" for name, collector in made.items()}


def test_every_command_is_described() -> None:
    commands = README[README.index("## Commands") : README.index("## Settings")]
    assert set(re.findall(r"^\| `([\w-]+)` \|", commands, re.MULTILINE)) == set(COMMANDS)


def test_every_setting_of_the_agent_is_described_and_the_sample_loads() -> None:
    (sample,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    settings = Settings.model_validate(tomllib.loads(sample))
    assert settings.agent.model_fields_set == set(AgentSettings.model_fields)
