"""``iothub check``: reads the settings of hub and agent as they would, and starts nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from hub.alerts.notify_send import check_channels
from hub.cli.base import USAGE
from hub.cli.output import paint
from hub.notifying import unknown_receivers
from hub.routes import check_sources
from hub.rules.files import read_rules, rule_set, rules_file
from wire.errors import Problem, SettingsError
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.cli.base import Options
    from hub.config import Settings

_AGENT_LIMIT_S: Final = 30.0


def run_check(options: Options) -> int:
    """Print every problem, one a line, or what was read; the exit code."""
    config = options.config_file()
    settings, problems = _read(options)
    agent_code, said = _check_agent(options)
    # Both read the same file, so both may find the same line wrong.
    for line in dict.fromkeys([*map(str, problems), *(said.splitlines() if agent_code else ())]):
        print(line)
    if settings is None or agent_code:
        return USAGE
    variables = sorted(name for name in os.environ if name.startswith("IOTHUB_") and "__" in name)
    print(f"{paint('ok')}       {config or 'no settings file: defaults'}")
    if variables:
        print(f"         laid over it: {', '.join(variables)}")
    print(
        f"         broker {settings.broker.mode} at {settings.mqtt.host}:{settings.mqtt.port}, "
        f"store {settings.store.kind}, API on {settings.api.host}:{settings.api.port}, state {settings.state}"
    )
    return 0


def _read(options: Options) -> tuple[Settings | None, Sequence[Problem]]:
    try:
        settings = options.settings()
        check_sources(settings.sources, Topics(settings.mqtt.root))
        check_channels(settings.notify.channels)
        rules = rule_set(read_rules(rules_file(settings), shipped=settings.rules.shipped))
    except SettingsError as error:
        return None, error.problems
    wrong = unknown_receivers(rules, settings)
    if wrong:
        return None, [Problem(rules_file(settings), None, f"rules.{name}.notify", None, wrong[name]) for name in wrong]
    return settings, ()


def _check_agent(options: Options) -> tuple[int, str]:
    """Exit code and output of the agent's own check; its settings are known to it alone."""
    config = options.config_file()
    argv = [sys.executable, "-m", "agent", "--check", *(["--config", str(config)] if config else [])]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=_AGENT_LIMIT_S, check=False)
    return done.returncode, (done.stderr or done.stdout).strip()
