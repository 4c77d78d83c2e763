"""Who must be told of what, and when. Pure: alerts and the clock go in, messages that are due come out.

    update(alert) ──┐   for each channel: what does it know, what should it know?
    clock ──────────┴─▶ consider ─▶ batch of its group ─▶ (group_wait, group_interval) ─▶ look() ─▶ Due, told
                            ▲                                                                          │
                            └──────────────── again: repeat, escalation, opening of a route ◀──────────┘

It goes by what is the case, not by what happened: for each alert and channel it keeps what was told last, and compares.
What was missed while the hub was away is therefore made up for, and nothing that was told is told again.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hub.alerts.model import AlertState
from hub.alerts.notify_model import Due, Item, Occasion, Plan, Told

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from hub.alerts.model import Alert
    from hub.alerts.notify_route import Route, Routes

#: Alerts that are kept quiet, or whose route is closed, are looked at again after this.
_HELD_NS: Final = 60_000_000_000


_Key = tuple[str, str, bool, tuple[str, ...]]


@dataclass(slots=True)
class _Batch:
    due_ns: int
    route: Route
    items: dict[int, Item] = field(default_factory=dict)


class Planner:
    """Keeps what was told.

    Args:
        routes: of the settings.
        groups_of: the groups that a node is in.
        channels_of: the channels that a rule names itself.
        quiet: whether a silence or its rule's mute schedule keeps an alert quiet at that time.
        waits: whether a channel has not taken yet what it was sent of an alert; until then that is not repeated.
    """

    def __init__(
        self,
        routes: Routes,
        *,
        groups_of: Callable[[str], Collection[str]] = lambda _node: (),
        channels_of: Callable[[str], Collection[str]] = lambda _rule: (),
        quiet: Callable[[Alert, int], bool] = lambda _alert, _now_ns: False,
        waits: Callable[[str, int], bool] = lambda _channel, _alert: False,
    ) -> None:
        self._routes = routes
        self._groups_of = groups_of
        self._channels_of = channels_of
        self._quiet = quiet
        self._waits = waits
        self._alerts: dict[int, Alert] = {}
        self._told: dict[int, dict[str, Told]] = {}
        #: When to look at an alert again; the heap may hold older entries, which then count for nothing.
        self._again: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []
        self._batches: dict[_Key, _Batch] = {}
        self._batched: dict[int, set[_Key]] = {}
        #: Until when a group says nothing more, because a message of it has just left.
        self._pause: dict[_Key, int] = {}

    def restore(self, alerts: Iterable[Alert], told: Iterable[Told], now_ns: int) -> None:
        """Take over, once, what the channels know, and alerts as they are: all open ones, and others that were told."""
        for each in told:
            self._told.setdefault(each.alert, {})[each.channel] = each
        for alert in alerts:
            self.update(alert, now_ns)
        for alert_id in self._told.keys() - self._alerts.keys():
            del self._told[alert_id]

    def update(self, alert: Alert, now_ns: int) -> None:
        """Take an alert as it is now; :meth:`look` says what follows."""
        if alert.state.open or alert.id in self._told:
            self._alerts[alert.id] = alert
            self._look_at(alert.id, now_ns)
        else:
            self._forget(alert.id)

    def look_again(self, now_ns: int) -> None:
        """Consider all alerts anew: silences or rules have changed."""
        for alert_id in self._alerts:
            self._look_at(alert_id, now_ns)

    def next_ns(self) -> int | None:
        """When :meth:`look` has something to do next; None: not before an update."""
        batches = min((batch.due_ns for batch in self._batches.values()), default=None)
        looks = self._heap[0][0] if self._heap else None
        return min((moment for moment in (batches, looks) if moment is not None), default=None)

    def look(self, now_ns: int) -> Plan:
        """What is due at ``now_ns``; it counts as told from here on."""
        plan = Plan()
        while self._heap and self._heap[0][0] <= now_ns:
            at_ns, alert_id = heapq.heappop(self._heap)
            if self._again.get(alert_id) == at_ns:
                del self._again[alert_id]
                self._consider(self._alerts[alert_id], now_ns, plan)
        if leaving := [key for key, batch in self._batches.items() if batch.due_ns <= now_ns]:
            self._pause = {key: until_ns for key, until_ns in self._pause.items() if until_ns > now_ns}
            for key in leaving:
                self._leave(key, now_ns, plan)
        return plan

    # -- what each alert needs ----------------------------------------------------------------------------------------

    def _consider(self, alert: Alert, now_ns: int, plan: Plan) -> None:
        was_in = self._batched.pop(alert.id, set())
        old = {key: self._batches[key].items.pop(alert.id) for key in was_in}
        quiet = self._quiet(alert, now_ns)
        if alert.state.open:
            if quiet:
                self._look_at(alert.id, now_ns + _HELD_NS)
            else:
                self._consider_open(alert, now_ns)
        else:
            self._consider_resolved(alert, now_ns, plan, quiet=quiet)
        for key in old:
            if not self._batches[key].items:
                del self._batches[key]

    def _consider_open(self, alert: Alert, now_ns: int) -> None:
        if alert.state is not AlertState.FIRING:
            return  # somebody has said that they know
        told = self._told.get(alert.id, {})
        wanted, moments = self._wanted(alert, told, now_ns)
        for channel, (route, occasion) in wanted.items():
            known = told.get(channel)
            if known is None:
                self._batch(route, channel, Item(alert, occasion), now_ns)
            elif alert.severity.rank > known.severity.rank:
                self._batch(route, channel, Item(alert, Occasion.WORSE), now_ns)
            elif route.repeat_ns:
                again_ns = known.last_ns + route.repeat_ns
                if again_ns > now_ns:
                    moments.append(again_ns)
                elif self._waits(channel, alert.id):
                    moments.append(now_ns + route.repeat_ns)
                else:
                    self._batch(route, channel, Item(alert, Occasion.REPEAT), now_ns)
        if moments:
            self._look_at(alert.id, min(moments))

    def _wanted(
        self, alert: Alert, told: dict[str, Told], now_ns: int
    ) -> tuple[dict[str, tuple[Route, Occasion]], list[int]]:
        """The channels that should know of ``alert`` now, each by the first open route; and when that may change."""
        wanted: dict[str, tuple[Route, Occasion]] = {}
        moments = []
        for route in self._routes.of(alert, self._groups_of(alert.node), self._channels_of(alert.rule)):
            if not route.open_at(now_ns):
                moments.append(now_ns + _HELD_NS)
                continue
            for channel in route.channels:
                wanted.setdefault(channel, (route, Occasion.FIRING))
            escalates_ns = self._escalates_ns(route, told)
            if escalates_ns is not None and escalates_ns > now_ns:
                moments.append(escalates_ns)
            elif escalates_ns is not None:
                for channel in route.escalate_to:
                    wanted.setdefault(channel, (route, Occasion.ESCALATION))
        return wanted, moments

    @staticmethod
    def _escalates_ns(route: Route, told: dict[str, Told]) -> int | None:
        """When the further channels are told; None: not at all, or nobody has been told yet."""
        first = min((told[channel].first_ns for channel in route.channels if channel in told), default=None)
        return first + route.escalate_after_ns if route.escalate_after_ns and first is not None else None

    def _consider_resolved(self, alert: Alert, now_ns: int, plan: Plan, *, quiet: bool) -> None:
        for channel, known in list(self._told.get(alert.id, {}).items()):
            route = self._routes.named(known.route, channel)
            if quiet or route is None or not route.resolved:
                self._tell_no_more(alert.id, channel, plan)
            elif not route.open_at(now_ns):
                self._look_at(alert.id, now_ns + _HELD_NS)
            else:
                self._batch(route, channel, Item(alert, Occasion.RESOLVED), now_ns)

    # -- batches ------------------------------------------------------------------------------------------------------

    def _batch(self, route: Route, channel: str, item: Item, now_ns: int) -> None:
        resolved = item.occasion is Occasion.RESOLVED
        key = (channel, route.name, resolved, route.group_of(item.alert))
        batch = self._batches.get(key)
        if batch is None:
            due_ns = max(now_ns + route.wait_ns, self._pause.get(key, 0))
            batch = self._batches[key] = _Batch(due_ns, route)
        batch.items[item.alert.id] = item
        self._batched.setdefault(item.alert.id, set()).add(key)

    def _leave(self, key: _Key, now_ns: int, plan: Plan) -> None:
        channel, route, resolved, _ = key
        batch = self._batches.pop(key)
        items = []
        for item in batch.items.values():
            self._batched[item.alert.id].discard(key)
            if self._quiet(item.alert, now_ns):
                self._look_at(item.alert.id, now_ns)
            else:
                items.append(item)
        if not items:
            return
        items.sort(key=lambda item: (-item.alert.severity.rank, item.alert.started_ns, item.alert.id))
        plan.due.append(Due(channel, route, tuple(items)))
        self._pause[key] = now_ns + batch.route.interval_ns
        for item in items:
            if resolved:
                self._tell_no_more(item.alert.id, channel, plan)
                continue
            channels = self._told.setdefault(item.alert.id, {})
            first_ns = channels[channel].first_ns if channel in channels else now_ns
            told = Told(item.alert.id, channel, route, item.alert.severity, first_ns, now_ns)
            channels[channel] = told
            plan.told.append(told)
            self._look_at(item.alert.id, now_ns)

    def _tell_no_more(self, alert_id: int, channel: str, plan: Plan) -> None:
        channels = self._told[alert_id]
        del channels[channel]
        plan.done.append((alert_id, channel))
        if not channels:
            self._forget(alert_id)

    def _forget(self, alert_id: int) -> None:
        self._alerts.pop(alert_id, None)
        self._told.pop(alert_id, None)
        self._again.pop(alert_id, None)
        for key in self._batched.pop(alert_id, set()):
            items = self._batches[key].items
            items.pop(alert_id, None)
            if not items:
                del self._batches[key]

    def _look_at(self, alert_id: int, at_ns: int) -> None:
        earlier = self._again.get(alert_id)
        if earlier is None or at_ns < earlier:
            self._again[alert_id] = at_ns
            heapq.heappush(self._heap, (at_ns, alert_id))
