"""The commands of this node for those who send them: ``info["commands"]`` of the birth message, and ``info``.

``[{"name": "logs", "allowed": true, "when": ["source=syslog"], "help": "…", "args": {JSON schema}}, …]``: ``when``
only where arguments are restricted, one text an alternative; ``help`` and ``args`` only of what is allowed, to keep it
small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.commands.base import Command
    from agent.config_commands import CommandSettings


def catalogue(commands: Mapping[str, Command[Any]], settings: CommandSettings) -> list[dict[str, Any]]:
    """What this node takes, by name."""
    policy = Policy(settings.allow)
    return [_entry(command, policy, settings) for _, command in sorted(commands.items())]


def _entry(command: Command[Any], policy: Policy, settings: CommandSettings) -> dict[str, Any]:
    rules = policy.rules(command.name)
    if not rules:
        return {"name": command.name, "allowed": False}
    entry = {
        "name": command.name,
        "allowed": True,
        "help": command.help,
        "args": command.schema(command.model, settings),
    }
    if all(rule.patterns for rule in rules):
        entry["when"] = [" ".join(f"{name}={pattern}" for name, pattern in rule.patterns) for rule in rules]
    return entry
