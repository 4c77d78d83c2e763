"""Notifications, composed: what they ask of rules, silences and groups.

Alerting ─▶ listeners ─────▶ Notifier.changed          desk: silences, alerts of a number
         ─▶ on_look_again ─▶ Notifier.look_again       rules: receivers, mute schedules
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog

from hub.alerts.notify import Notifier

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from hub.alerts.desk import Desk
    from hub.alerts.model import Alert
    from hub.config import Settings
    from hub.nodes.database import Database
    from hub.rules.model import RuleSet

_log: Final = structlog.get_logger("hub.notify")


async def open_notifier(
    settings: Settings,
    database: Database,
    desk: Desk,
    alerts: Iterable[Alert],
    *,
    rules: Callable[[], RuleSet],
    groups_of: Callable[[str], Collection[str]],
    clock_ns: Callable[[], int] = time.time_ns,
) -> Notifier:
    """Make the notifier, which goes on where the hub stopped; tell it of changes and ``run`` it.

    Args:
        settings: the whole tree.
        database: the registry's.
        desk: the alerts; its silences keep them quiet.
        alerts: all that are open.
        rules: those that hold now; asked often.
        groups_of: the groups that a node is in.
        clock_ns: wall clock.

    Raises:
        RegistryError: it does not answer.
    """
    warn_of_receivers(rules(), settings)

    def quiet(alert: Alert, now_ns: int) -> bool:
        rule = rules().get(alert.rule)
        return desk.silences.of(alert) is not None or (rule is not None and rule.muted(now_ns))

    def channels_of(name: str) -> Collection[str]:
        rule = rules().get(name)
        return rule.notify if rule is not None else ()

    notifier = Notifier(
        settings.notify,
        database,
        find=desk.alert,
        quiet=quiet,
        groups_of=groups_of,
        channels_of=channels_of,
        clock_ns=clock_ns,
    )
    await notifier.restore(alerts)
    return notifier


def unknown_receivers(rules: RuleSet, settings: Settings) -> dict[str, str]:
    """Rules whose ``notify`` names channels that the settings have not, and what is wrong with each."""
    known = [channel.name for channel in settings.notify.channels]
    found = {}
    for name, rule in rules:
        missing = [each for each in rule.notify if each not in known]
        if missing:
            there_are = ", ".join(known) or "none"
            found[name] = f"{missing[0]!r} is no channel of [[notify.channels]]; there are: {there_are}"
    return found


def warn_of_receivers(rules: RuleSet, settings: Settings) -> None:
    """Say in the log which rules name channels that are not there: the others, or the routes, are told."""
    for name, why in unknown_receivers(rules, settings).items():
        _log.warning("a rule notifies a channel that is not there", rule=name, why=why)
