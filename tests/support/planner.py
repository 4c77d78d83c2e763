"""The planner of notifications with a clock that the test moves."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from hub.alerts.notify_plan import Planner
from hub.alerts.notify_route import Routes
from hub.config_notify import ChannelSettings, NotifySettings, RouteSettings
from tests.support.notifying import NOON_NS, ns
from wire.settings import Secret

if TYPE_CHECKING:
    from hub.alerts.model import Alert
    from hub.alerts.notify_model import Due, Told

ROUTE = {"name": "all", "channels": ("ops",), "group_wait": 10, "group_interval": 60, "repeat_every": 3600}


def settings(*routes: dict[str, Any]) -> NotifySettings:
    channels = tuple(ChannelSettings(name=name, url=Secret("json://localhost")) for name in ("ops", "boss", "log"))
    return NotifySettings(channels=channels, routes=tuple(RouteSettings(**(ROUTE | route)) for route in routes))


@dataclasses.dataclass
class Bench:
    """A planner, and all that left it: (seconds after noon, channel, occasions, alert numbers)."""

    planner: Planner
    left: list[tuple[int, str, set[str], list[int]]] = dataclasses.field(default_factory=list)
    told: dict[tuple[int, str], Told] = dataclasses.field(default_factory=dict)
    dues: list[Due] = dataclasses.field(default_factory=list)

    def at(self, second: float, *alerts: Alert) -> None:
        """Let time pass up to ``second``, then take ``alerts``."""
        self.until(second)
        for alert in alerts:
            self.planner.update(alert, NOON_NS + ns(second))
        self._look(NOON_NS + ns(second))

    def until(self, second: float) -> None:
        while (next_ns := self.planner.next_ns()) is not None and next_ns <= NOON_NS + ns(second):
            self._look(next_ns)

    def _look(self, now_ns: int) -> None:
        plan = self.planner.look(now_ns)
        for due in plan.due:
            numbers = [item.alert.id for item in due.items]
            occasions = {str(item.occasion) for item in due.items}
            self.left.append(((now_ns - NOON_NS) // ns(1), due.channel, occasions, numbers))
        self.dues += plan.due
        self.told |= {(told.alert, told.channel): told for told in plan.told}
        for key in plan.done:
            del self.told[key]


def bench(*routes: dict[str, Any], **how: Any) -> Bench:
    return Bench(Planner(Routes(settings(*(routes or ({},)))), **how))
