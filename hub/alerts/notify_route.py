"""Which alerts a route is about, and when it is open. Pure."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Final

from hub.alerts.notify_times import parse_window, parse_zone
from hub.config_notify import RouteSettings
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from hub.alerts.model import Alert
    from hub.config_notify import NotifySettings

#: The route that stands for a rule's own list of channels, and for settings without any route. No setting has it: the
#: grammar of names allows no brackets.
DIRECT: Final = "(direct)"


class Route:
    """One route of the settings, ready to be asked."""

    def __init__(self, settings: RouteSettings, zone: str, *, name: str | None = None) -> None:
        self.name = name or settings.name
        self.channels = settings.channels
        self.escalate_to = settings.escalate_to
        self.escalate_after_ns = _ns(settings.escalate_after)
        self.repeat_ns = _ns(settings.repeat_every)
        self.wait_ns = _ns(settings.group_wait)
        self.interval_ns = _ns(settings.group_interval)
        self.resolved = settings.resolved
        self._settings = settings
        self._zone = parse_zone(zone)
        self._windows = [parse_window(text) for text in settings.times]

    def matches(self, alert: Alert, groups: Collection[str]) -> bool:
        """Whether it is about ``alert``, whose node is in ``groups``."""
        wanted = self._settings
        return (
            (not wanted.severity or alert.severity.value in wanted.severity)
            and _any(wanted.rules, (alert.rule,))
            and _any(wanted.nodes, (alert.node,))
            and _any(wanted.groups, groups)
        )

    def open_at(self, now_ns: int) -> bool:
        """Whether it tells people now."""
        return not self._windows or any(window.holds(now_ns, self._zone) for window in self._windows)

    def group_of(self, alert: Alert) -> tuple[str, ...]:
        """Alerts with the same answer share a message."""
        return tuple(str(getattr(alert, attribute)) for attribute in self._settings.group_by)


class Routes:
    """All routes, and those that nobody wrote: a rule's own channels; every channel where there is no route."""

    def __init__(self, settings: NotifySettings) -> None:
        self._zone = settings.time_zone
        self._known = frozenset(channel.name for channel in settings.channels)
        self._all = [Route(route, settings.time_zone) for route in settings.routes]
        if not self._all and self._known:
            self._all = [self._direct(tuple(channel.name for channel in settings.channels))]
        self._by_name = {route.name: route for route in self._all}

    def of(self, alert: Alert, groups: Collection[str], own: Iterable[str]) -> list[Route]:
        """The routes of ``alert``: where its rule names channels of its own, those and no others."""
        if channels := tuple(name for name in own if name in self._known):
            return [self._direct(channels)]
        return [route for route in self._all if route.matches(alert, groups)]

    def named(self, name: str, channel: str) -> Route | None:
        """The route of that name that told ``channel``; None where the settings have it no more."""
        if channel not in self._known:
            return None
        return self._by_name.get(name) or (self._direct((channel,)) if name == DIRECT else None)

    def _direct(self, channels: tuple[str, ...]) -> Route:
        return Route(RouteSettings(name="direct", channels=channels), self._zone, name=DIRECT)


def _any(globs: tuple[str, ...], names: Iterable[str]) -> bool:
    return not globs or any(fnmatch.fnmatchcase(name, glob) for glob in globs for name in names)


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
