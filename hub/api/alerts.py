"""``/alerts`` and ``/silences``: what is wrong, what was, who knows of it; what keeps quiet."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query, Response
from msgspec import Struct

from hub.alerts import model
from hub.alerts.book import AlertFilter
from hub.alerts.desk import Desk, NoSuchSilence
from hub.alerts.lifecycle import NoSuchAlert, NotNow
from hub.alerts.notify_records import NotificationFilter
from hub.api.alertviews import alert_view, is_over, silence_view
from hub.api.auth import OperatingCaller, RequiredCaller
from hub.api.notify import notification
from hub.api.parts import Parts, PartsOf
from hub.api.problems import ProblemError, wrong_parameter
from hub.api.requests import Glob, PageCursor, PageLimit, from_cursor, to_cursor
from hub.api.schemas import Page
from hub.api.schemas_alerts import (
    Acknowledgement,
    Alert,
    AlertDetail,
    AlertEvent,
    Assignment,
    Remark,
    Severity,
    Silence,
    SilenceRequest,
)
from hub.api.times import iso, parse_time
from hub.nodes.callers import Caller
from hub.rules import events
from hub.store.select import glob_matcher

router = APIRouter(tags=["rules and alerts"])

#: Of one alert that are shown beside it.
_NOTIFICATIONS: Final = 50

AlertId = Annotated[int, Path(ge=0, le=2**63 - 1)]
_State = Literal["open", "pending", "firing", "acknowledged", "resolved", "all"]
_Since = Annotated[
    str | None, Query(max_length=64, description="fired then or later: ISO 8601, Unix time in ms, or `-7d`")
]
_OPEN: Final = frozenset({model.AlertState.FIRING, model.AlertState.ACKNOWLEDGED})


class _Place(Struct, frozen=True, array_like=True):
    """The last one shown."""

    fired_ns: int
    number: int


@router.get("/alerts")
async def list_alerts(
    parts: PartsOf,
    caller: RequiredCaller,
    *,
    state: Annotated[_State, Query(description="`open`: firing or acknowledged")] = "open",
    severity: Severity | None = None,
    rule: Glob = None,
    node: Glob = None,
    since: _Since = None,
    limit: PageLimit = 100,
    page: PageCursor = None,
) -> Page[Alert]:
    """Alerts, those that fired last first. Pending ones (not for long enough yet) stand on one page."""
    desk = _desk(parts)
    if state == "pending":
        found = [alert for alert in desk.now if alert.state is model.AlertState.PENDING]
        found = [each for each in found if caller.may_see(each.node) and _meant(each, severity, rule, node)]
        found.sort(key=lambda alert: alert.started_ns, reverse=True)
        return Page(items=[alert_view(each, desk) for each in found[:limit]], total=len(found))
    chosen = AlertFilter(
        states=_states(state),
        severity=events.Severity(severity) if severity is not None else None,
        rule=rule,
        node=node,
        since_ns=_moment("query.since", since, parts) if since is not None else None,
        groups=caller.groups,
    )
    place = from_cursor(page, _Place) if page is not None else None
    before = (place.fired_ns, place.number) if place is not None else None
    rows, total = await desk.book.page(chosen, before=before, limit=limit + 1)
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        following = to_cursor(_Place(last.fired_ns or 0, last.id))
    return Page(items=[alert_view(row, desk) for row in rows[:limit]], next=following, total=total)


@router.get("/alerts/{alert_id}")
async def show_alert(alert_id: AlertId, parts: PartsOf, caller: RequiredCaller) -> AlertDetail:
    """One alert with all that happened to it."""
    desk = _desk(parts)
    alert = await _seen(alert_id, desk, caller)
    history = [
        AlertEvent(
            at=iso(row.at_ns),
            change=row.change.value,
            state=row.state.value,
            severity=row.severity.value,
            message=row.message,
            by=row.by,
            why=row.why,
        )
        for row in await desk.book.history(alert_id)
    ]
    about = NotificationFilter(alert=alert_id, groups=caller.groups)
    told = await parts.notifier.book.page(about, limit=_NOTIFICATIONS) if parts.notifier is not None else []
    return AlertDetail(
        **alert_view(alert, desk).model_dump(), history=history, notifications=[notification(each) for each in told]
    )


@router.post("/alerts/{alert_id}/ack")
async def acknowledge_alert(
    alert_id: AlertId, parts: PartsOf, caller: OperatingCaller, wanted: Acknowledgement | None = None
) -> Alert:
    """Say that you know: it notifies nobody again, until it gets worse."""
    desk, why = _desk(parts), wanted.why if wanted is not None else ""
    await _seen(alert_id, desk, caller)
    try:
        alert = await desk.acknowledge(alert_id, by=caller.user, why=why)
    except NoSuchAlert:
        raise await _not_open(alert_id, desk) from None
    except NotNow as error:
        raise ProblemError(409, f"{str(error).capitalize()}.", kind="alert-pending") from None
    return alert_view(alert, desk)


@router.post("/alerts/{alert_id}/assign")
async def assign_alert(alert_id: AlertId, wanted: Assignment, parts: PartsOf, caller: OperatingCaller) -> Alert:
    """Make it somebody's."""
    desk = _desk(parts)
    await _seen(alert_id, desk, caller)
    try:
        return alert_view(await desk.assign(alert_id, wanted.to, by=caller.user, why=wanted.why), desk)
    except NoSuchAlert:
        raise await _not_open(alert_id, desk) from None


@router.post("/alerts/{alert_id}/comment")
async def comment_alert(alert_id: AlertId, wanted: Remark, parts: PartsOf, caller: OperatingCaller) -> Alert:
    """Add a remark, also to an alert that is over."""
    desk = _desk(parts)
    await _seen(alert_id, desk, caller)
    try:
        return alert_view(await desk.comment(alert_id, by=caller.user, why=wanted.why), desk)
    except NoSuchAlert:
        raise _no_such_alert(alert_id) from None


@router.get("/silences")
async def list_silences(
    parts: PartsOf,
    caller: RequiredCaller,
    *,
    ended: Annotated[bool, Query(description="also those that hold no more")] = False,
    limit: PageLimit = 1000,
) -> Page[Silence]:
    """Silences that hold or will hold, the newest first."""
    now_ns = parts.clock_ns()
    found = [row for row in await _desk(parts).book.silences() if ended or not is_over(row, now_ns)]
    rows = [silence_view(row, now_ns) for row in found if _concerns(row, caller)]
    return Page(items=rows[:limit], total=len(rows))


@router.post("/silences", status_code=201)
async def add_silence(wanted: SilenceRequest, parts: PartsOf, caller: OperatingCaller) -> Silence:
    """Keep alerts from notifying anybody for a while; their life goes on, and is shown.

    Who sees some nodes only names one of them: a pattern would hold for nodes of others.
    """
    if not caller.may_see(wanted.node):
        raise ProblemError(
            403, f"{caller.user} may silence single nodes that it sees; {wanted.node!r} is none of them."
        )
    now_ns = parts.clock_ns()
    starts_ns = _moment("body.starts", wanted.starts, parts) if wanted.starts is not None else now_ns
    ends_ns = _moment("body.ends", wanted.ends, parts)
    if ends_ns <= max(starts_ns, now_ns):
        raise wrong_parameter("body.ends", "must lie ahead, and after starts; relative times need their sign: +2h")
    silence = await _desk(parts).silence(
        rule=wanted.rule, node=wanted.node, starts_ns=starts_ns, ends_ns=ends_ns, by=caller.user, why=wanted.why
    )
    return silence_view(silence, now_ns)


@router.delete("/silences/{number}", status_code=204)
async def lift_silence(number: AlertId, parts: PartsOf, caller: OperatingCaller) -> Response:
    """End a silence now."""
    desk = _desk(parts)
    if caller.nodes is not None and not any(
        row.id == number and row.node in caller.nodes for row in await desk.book.silences()
    ):
        raise _no_such_silence(number)
    try:
        await desk.unsilence(number, by=caller.user)
    except NoSuchSilence:
        raise _no_such_silence(number) from None
    return Response(status_code=204)


# -- private -----------------------------------------------------------------------------------------------------------


def _desk(parts: Parts) -> Desk:
    if parts.alerting is None:
        raise ProblemError(503, "This hub watches for nothing: it has no rules and no alerts.", kind="no-alerts")
    return parts.alerting.desk


def _states(state: str) -> frozenset[model.AlertState] | None:
    if state == "all":
        return None
    return _OPEN if state == "open" else frozenset({model.AlertState(state)})


def _meant(alert: model.Alert, severity: str | None, rule: str | None, node: str | None) -> bool:
    return (
        severity in (None, alert.severity.value)
        and (rule is None or glob_matcher(rule)(alert.rule))
        and (node is None or glob_matcher(node)(alert.node))
    )


async def _seen(alert_id: int, desk: Desk, caller: Caller) -> model.Alert:
    alert = await desk.alert(alert_id)
    if alert is None or not caller.may_see(alert.node):
        raise _no_such_alert(alert_id)
    return alert


def _concerns(silence: model.Silence, caller: Caller) -> bool:
    """Whether it holds for a node that the caller sees; of patterns those that match one."""
    return caller.nodes is None or any(map(glob_matcher(silence.node), caller.nodes))


def _no_such_silence(number: int) -> ProblemError:
    return ProblemError(
        404, f"There is no silence {number} that still holds; GET silences lists them.", kind="no-silence"
    )


def _no_such_alert(alert_id: int) -> ProblemError:
    return ProblemError(404, f"There is no alert {alert_id}; GET alerts lists those that are open.", kind="no-alert")


async def _not_open(alert_id: int, desk: Desk) -> ProblemError:
    over = await desk.book.alert(alert_id)
    if over is None:
        return _no_such_alert(alert_id)
    return ProblemError(409, f"Alert {alert_id} is over; only remarks can be added to it.", kind="alert-over")


def _moment(where: str, text: str, parts: Parts) -> int:
    try:
        return parse_time(text, parts.clock_ns())
    except ValueError as error:
        raise wrong_parameter(where, str(error)) from None
