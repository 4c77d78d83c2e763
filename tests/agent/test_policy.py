from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from agent.commands import COMMANDS
from agent.config_commands import CommandSettings
from agent.policy import HARMLESS, KNOWN, Policy


def test_the_list_knows_the_catalogue() -> None:
    assert set(KNOWN) == set(COMMANDS)
    assert set(HARMLESS) <= set(KNOWN)


def test_what_shows_or_changes_more_is_denied_by_default() -> None:
    policy = Policy(CommandSettings().allow)
    denied = {name for name in KNOWN if policy.refusal(name, {}) is not None}
    assert denied == {"files", "logs", "processes", "service-restart", "services", "shell"}


@pytest.mark.parametrize(
    ("rule", "name", "arguments", "allowed"),
    [
        ("ping", "ping", {}, True),
        ("ping", "info", {}, False),
        ("*", "shell", {"name": "x"}, True),
        ("service*", "service-restart", {"service": "x"}, True),
        ("logs source=syslog", "logs", {"source": "syslog", "lines": 5}, True),
        ("logs source=syslog", "logs", {"source": "syslog2"}, False),
        ("logs source=syslog", "logs", {}, False),
        ("logs source=sys*", "logs", {"source": "syslog2"}, True),
        ("logs source=sys*", "logs", {"source": "Syslog"}, False),
        ("logs lines=~[0-9]{1,2}", "logs", {"lines": 99}, True),
        ("logs lines=~[0-9]{1,2}", "logs", {"lines": 100}, False),
        ("logs follow=false", "logs", {"follow": False}, True),
        ("logs follow=false", "logs", {"follow": True}, False),
        ("collect collectors=cpu", "collect", {"collectors": ["cpu"]}, True),
        ("collect collectors=cpu", "collect", {"collectors": ["cpu", "disk"]}, False),
        ("collect collectors=cpu", "collect", {"collectors": None}, False),
        ("collect collectors=*", "collect", {"collectors": None}, True),
        ("shell name='a b'", "shell", {"name": "a b"}, True),
        ("service-restart service=~nginx|app", "service-restart", {"service": "nginx.evil"}, False),
        ("service-restart service=~nginx|app", "service-restart", {"service": "app\n"}, False),
    ],
)
def test_a_rule_is_a_command_and_patterns(rule: str, name: str, arguments: dict[str, Any], *, allowed: bool) -> None:
    assert (Policy([rule]).refusal(name, arguments) is None) is allowed


def test_the_refusal_says_who_decides_and_what_is_allowed() -> None:
    policy = Policy(["logs source=syslog"])
    assert "agent.commands.allow in its settings decides" in (policy.refusal("shell", {}) or "")
    assert "only: logs source=syslog" in (policy.refusal("logs", {"source": "auth"}) or "")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"allow": ["pong"]}, "no command 'pong'; there are cancel"),
        ({"allow": ["logs syslog"]}, "'syslog' must be argument=pattern"),
        ({"allow": ["logs source=~["]}, "no regular expression"),
        ({"allow": ["logs 'source"]}, "must be a command"),
        ({"allow": [""]}, "must be a command"),
        ({"logs": {"x": "var/log"}}, "an absolute path, 'journal' or 'journal:UNIT'"),
        ({"logs": {"A B": "/x"}}, "is no name"),
        ({"files": {"folders": ["var"]}}, "absolute path"),
        ({"files": {"folders": ["/a/../b"]}}, "without .."),
        ({"shell": {"x": {"run": ["df", "{path}"]}}}, "run names path, which args has no pattern for"),
        ({"shell": {"x": {"run": ["df"], "args": {"path": "/"}}}}, "args has path, which run does not name"),
        ({"shell": {"x": {"run": ["df"], "args": {"PATH": "/"}}}}, "no name of an argument"),
        ({"shell": {"x": {"run": ["{y}"], "args": {"y": "["}}}}, "no regular expression"),
        ({"shell": {"x": {"run": ["a", "b"], "script": True}}}, "one text in run"),
        ({"shell": {"x": {"run": []}}}, "at least 1"),
    ],
)
def test_wrong_settings_are_told_before_anything_starts(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)):
        CommandSettings.model_validate(settings)
