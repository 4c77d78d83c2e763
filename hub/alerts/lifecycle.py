"""The life of alerts, pure: what the engine says and what people do go in, what changed comes out.

    RuleEvent ──▶ apply ─────────┐
    people ─────▶ acknowledge, … ├──▶ AlertChange …
    time ───────▶ tick ──────────┘

Flap damping: an alert that fires ``changes`` times within ``window`` is *flapping*. It is held open from then on, and
says nothing more, until its condition has been clear for ``quiet``; only a severity beyond its worst breaks the hold.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from hub.alerts.model import HUB, Alert, AlertChange, AlertState, BrokenLink, Change, Identity
from hub.rules.events import EventKind
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from hub.config_alerts import AlertSettings
    from hub.rules.events import RuleEvent

    #: Says which link an absence is due to, and how that is known.
    Blame = Callable[[RuleEvent], tuple[BrokenLink, str]]

#: States of a node that is not there.
_AWAY: Final = ("silent", "lost", "offline")


@dataclass(frozen=True, slots=True)
class FlapLimits:
    """When an alert flaps, and when it has calmed down."""

    changes: int = 5
    window_ns: int = 600_000_000_000
    quiet_ns: int = 300_000_000_000

    @classmethod
    def of(cls, settings: AlertSettings) -> FlapLimits:
        """As ``[alerts]`` says."""
        window_ns, quiet_ns = int(settings.flap_window * NS_PER_S), int(settings.flap_quiet * NS_PER_S)
        return cls(settings.flap_changes, window_ns, quiet_ns)


class NoSuchAlert(Exception):  # noqa: N818  the name says what the caller is told
    """There is no open or pending alert of that number."""


class NotNow(Exception):  # noqa: N818  the name says what the caller is told
    """The alert is there, but not in a state for that; the text says why."""


class Lifecycle:
    """All alerts that are pending or open; each call costs a few microseconds an alert.

    Args:
        flap: when to hold an alert open.
        blame: asked once when an absence fires.
        next_id: number of the next new alert.
    """

    def __init__(self, flap: FlapLimits, blame: Blame, *, next_id: int = 1) -> None:
        self._flap = flap
        self._blame = blame
        self.next_id = next_id
        self._alerts: dict[Identity, Alert] = {}
        self._by_id: dict[int, Identity] = {}
        #: When each alert fired, or changed its severity, of late.
        self._fired: dict[Identity, deque[int]] = {}
        #: Flapping alerts whose condition is clear, and since when.
        self._quiet: dict[Identity, int] = {}

    # -- what there is ------------------------------------------------------------------------------------------------

    @property
    def alerts(self) -> Collection[Alert]:
        """Pending and open ones, in no order."""
        return self._alerts.values()

    def get(self, alert_id: int) -> Alert | None:
        """The pending or open alert of that number."""
        identity = self._by_id.get(alert_id)
        return self._alerts[identity] if identity is not None else None

    def of(self, identity: Identity) -> Alert | None:
        """The pending or open alert of that identity."""
        return self._alerts.get(identity)

    def restore(self, alerts: Iterable[Alert], fired: Iterable[tuple[Identity, int]]) -> None:
        """Take over what the registry kept: pending and open alerts, and what fired of late, oldest first."""
        for alert in alerts:
            self._keep(alert)
            self.next_id = max(self.next_id, alert.id + 1)
        for identity, at_ns in fired:
            self._fired.setdefault(identity, deque(maxlen=self._flap.changes)).append(at_ns)

    # -- what changes -------------------------------------------------------------------------------------------------

    def apply(self, event: RuleEvent) -> list[AlertChange]:
        """Take what the engine says; an event that was applied before changes nothing."""
        identity = Identity(event.rule, event.subject.node, event.subject.series)
        alert = self._alerts.get(identity)
        match event.kind:
            case EventKind.PENDING:
                return [self._new(identity, event, AlertState.PENDING)] if alert is None else []
            case EventKind.FIRING | EventKind.SEVERITY:
                self._quiet.pop(identity, None)
                if alert is None:
                    change = self._new(identity, event, AlertState.FIRING)
                    return [change, *self._count(change.alert, event.at_ns)]
                if alert.state is AlertState.PENDING:
                    fired = self._made(event, AlertState.FIRING, id=alert.id, started_ns=alert.started_ns)
                    change = self._change(Change.FIRING, alert, fired, event.at_ns)
                    return [change, *self._count(change.alert, event.at_ns)]
                return self._other_severity(alert, event)
            case EventKind.RESOLVED | EventKind.CANCELLED:
                if alert is None:
                    return []
                return self._over(alert, event)

    def acknowledge(self, alert_id: int, *, by: str, why: str, now_ns: int) -> list[AlertChange]:
        """Note that ``by`` knows; nothing changes where somebody has said so before.

        Raises:
            NoSuchAlert: or it is resolved.
            NotNow: it has not fired yet.
        """
        alert = self._open(alert_id)
        if alert.state is AlertState.PENDING:
            raise NotNow(f"alert {alert_id} has not fired yet: there is nothing to acknowledge")
        if alert.state is AlertState.ACKNOWLEDGED:
            return []
        return [
            self._act(
                Change.ACKNOWLEDGED,
                alert,
                by,
                why,
                now_ns,
                state=AlertState.ACKNOWLEDGED,
                acknowledged_ns=now_ns,
                acknowledged_by=by,
            )
        ]

    def assign(self, alert_id: int, assignee: str | None, *, by: str, why: str, now_ns: int) -> list[AlertChange]:
        """Make it somebody's, or with None nobody's.

        Raises:
            NoSuchAlert: or it is resolved.
        """
        alert = self._open(alert_id)
        if alert.assignee == assignee:
            return []
        said = f"to {assignee or 'nobody'}" + (f": {why}" if why else "")
        return [self._act(Change.ASSIGNED, alert, by, said, now_ns, assignee=assignee)]

    def comment(self, alert_id: int, *, by: str, why: str, now_ns: int) -> list[AlertChange]:
        """Add a remark.

        Raises:
            NoSuchAlert: or it is resolved.
        """
        return [self._act(Change.COMMENTED, self._open(alert_id), by, why, now_ns)]

    def tick(self, now_ns: int) -> list[AlertChange]:
        """Resolve what flapped and has calmed down; call it once a second or so."""
        calm = [identity for identity, since_ns in self._quiet.items() if now_ns - since_ns >= self._flap.quiet_ns]
        earliest_ns = now_ns - self._flap.window_ns
        for identity in [each for each, fired in self._fired.items() if fired[-1] < earliest_ns]:
            del self._fired[identity]
        return [self._end(self._alerts[identity], now_ns, "it has calmed down") for identity in calm]

    # -- how ----------------------------------------------------------------------------------------------------------

    def _made(self, event: RuleEvent, state: AlertState, *, id: int, started_ns: int) -> Alert:  # noqa: A002  the field
        broken, detail = None, ""
        if state is AlertState.FIRING and _is_absence(event):
            broken, detail = self._blame(event)
        return Alert(
            id=id,
            rule=event.rule,
            node=event.subject.node,
            key=event.subject.key,
            field=event.subject.field,
            state=state,
            severity=event.severity,
            worst=event.severity,
            message=event.message,
            value=event.value,
            started_ns=started_ns,
            fired_ns=event.at_ns if state is AlertState.FIRING else None,
            changed_ns=event.at_ns,
            broken=broken,
            broken_detail=detail,
        )

    def _new(self, identity: Identity, event: RuleEvent, state: AlertState) -> AlertChange:
        alert = self._made(event, state, id=self.next_id, started_ns=event.at_ns)
        self.next_id += 1
        self._by_id[alert.id] = identity
        return self._change(Change(state.value), None, alert, event.at_ns)

    def _other_severity(self, alert: Alert, event: RuleEvent) -> list[AlertChange]:
        rises = event.severity.rank > alert.severity.rank
        beyond = event.severity.rank > alert.worst.rank
        if event.severity is alert.severity or (alert.flapping and not beyond):
            return []
        changed: dict[str, Any] = {"severity": event.severity, "message": event.message, "value": event.value}
        if beyond:
            changed["worst"] = event.severity
        why = ""
        if rises and alert.state is AlertState.ACKNOWLEDGED:
            # Who said "I know" knew of less.
            changed |= {"state": AlertState.FIRING, "acknowledged_ns": None, "acknowledged_by": None}
            why = f"it is worse than what {alert.acknowledged_by} acknowledged"
        after = replace(alert, **changed)
        return [
            self._change(Change.SEVERITY, alert, after, event.at_ns, why=why),
            *self._count(after, event.at_ns),
        ]

    def _count(self, alert: Alert, at_ns: int) -> list[AlertChange]:
        """Note that it fired; it flaps where that was the last straw."""
        fired = self._fired.setdefault(alert.identity, deque(maxlen=self._flap.changes))
        fired.append(at_ns)
        flaps = len(fired) == self._flap.changes and at_ns - fired[0] <= self._flap.window_ns
        if not flaps or alert.flapping:
            return []
        now = self._alerts[alert.identity]
        minutes = self._flap.window_ns / 60e9
        why = f"{self._flap.changes} changes within {minutes:g} min: held open until it has been quiet for a while"
        return [self._change(Change.FLAPPING, now, replace(now, flapping=True), at_ns, why=why)]

    def _over(self, alert: Alert, event: RuleEvent) -> list[AlertChange]:
        if alert.flapping:
            self._quiet.setdefault(alert.identity, event.at_ns)
            return []
        value = alert.value if event.value is None else event.value
        message = event.message or alert.message
        return [self._end(replace(alert, message=message, value=value), event.at_ns, "")]

    def _end(self, alert: Alert, at_ns: int, why: str) -> AlertChange:
        pending, after = alert.state is AlertState.PENDING, alert
        if not pending:
            after = replace(after, state=AlertState.RESOLVED, resolved_ns=max(at_ns, alert.changed_ns), flapping=False)
        change = self._change(Change.CANCELLED if pending else Change.RESOLVED, alert, after, at_ns, why=why)
        del self._alerts[alert.identity], self._by_id[alert.id]
        self._quiet.pop(alert.identity, None)
        return change

    def _act(self, change: Change, alert: Alert, by: str, why: str, now_ns: int, **changed: object) -> AlertChange:
        return self._change(change, alert, replace(alert, **changed), now_ns, by=by, why=why)

    def _change(
        self, change: Change, before: Alert | None, after: Alert, at_ns: int, *, by: str = HUB, why: str = ""
    ) -> AlertChange:
        if before is not None:
            after = replace(after, changed_ns=max(at_ns, before.changed_ns + 1))
        self._keep(after)
        return AlertChange(
            change=change,
            alert=after,
            before=before.state if before is not None else None,
            severity_before=before.severity if before is not None else None,
            at_ns=after.changed_ns,
            by=by,
            why=why,
        )

    def _keep(self, alert: Alert) -> None:
        self._alerts[alert.identity] = alert
        self._by_id[alert.id] = alert.identity

    def _open(self, alert_id: int) -> Alert:
        alert = self.get(alert_id)
        if alert is None:
            raise NoSuchAlert(f"there is no open alert {alert_id}")
        return alert


def _is_absence(event: RuleEvent) -> bool:
    """Whether it says that something does not come; rules about a node itself see its state."""
    return event.value is None or (event.subject.key is None and event.value in _AWAY)
