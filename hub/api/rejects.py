"""``/rejects``: messages that were refused, with their bytes; replay and drop them."""

import base64
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Path, Query

from hub.api.auth import ChangingCaller, OperatingCaller, RequiredCaller
from hub.api.parts import Parts, PartsOf
from hub.api.problems import ProblemError, wrong_parameter
from hub.api.requests import Glob, NumberedPlace, PageCursor, PageLimit, from_cursor, to_cursor
from hub.api.schemas import Page
from hub.api.schemas_messages import (
    RejectDetail,
    RejectFigures,
    RejectIds,
    RejectsDropped,
    RejectsReplayed,
    RejectState,
    RejectSummary,
)
from hub.api.times import iso, iso_or_none, parse_time
from hub.nodes.callers import Caller
from hub.rejects import KeptReject
from hub.rejects import RejectState as State
from wire.errors import Reason

router = APIRouter(tags=["what became of messages"])

_log: Final = structlog.get_logger("hub.api")

RejectId = Annotated[int, Path(ge=0, le=2**63 - 1)]
_Since = Annotated[
    str | None, Query(max_length=64, description="arrived then or later: ISO 8601, Unix time in ms, or `-1h`")
]
_Until = Annotated[str | None, Query(max_length=64, description="arrived before; as `since`")]


@router.get("/rejects")
async def list_rejects(
    parts: PartsOf,
    caller: RequiredCaller,
    *,
    node: Glob = None,
    reason: Annotated[str | None, Query(description=f"one of {', '.join(Reason)}")] = None,
    topic: Glob = None,
    state: RejectState | None = None,
    since: _Since = None,
    until: _Until = None,
    limit: PageLimit = 100,
    page: PageCursor = None,
) -> Page[RejectSummary]:
    """Refused messages, newest first."""
    if reason is not None and reason not in set(Reason):
        raise wrong_parameter("query.reason", f"{reason[:64]!r} is none of {', '.join(Reason)}")
    before = from_cursor(page, NumberedPlace).number if page is not None else None
    rows = await parts.rejects.list(
        node=node,
        reason=reason,
        topic=topic,
        state=State(state) if state is not None else None,
        since_ns=_moment("since", since, parts),
        until_ns=_moment("until", until, parts),
        before_id=before,
        limit=limit + 1,
        nodes=caller.nodes,
    )
    following = to_cursor(NumberedPlace(rows[limit - 1].id)) if len(rows) > limit else None
    return Page(items=[_summary(row) for row in rows[:limit]], next=following)


@router.get("/rejects/figures")
async def reject_figures(parts: PartsOf) -> RejectFigures:
    """How many there are, and how many had to go."""
    stats = parts.rejects.stats()
    return RejectFigures(
        kept=stats.kept,
        replayed=stats.replayed,
        dropped=stats.dropped,
        size_bytes=stats.size_bytes,
        max_bytes=stats.max_bytes,
        max_messages=stats.max_messages,
        evicted=stats.evicted,
    )


@router.get("/rejects/{reject_id}")
async def show_reject(reject_id: RejectId, parts: PartsOf, caller: RequiredCaller) -> RejectDetail:
    """One refused message, whole."""
    row = await _row(reject_id, parts, caller)
    try:
        text = row.payload.decode()
    except UnicodeDecodeError:
        text = None
    return RejectDetail(**_summary(row).model_dump(), text=text, payload=base64.b64encode(row.payload).decode())


@router.post("/rejects/replay")
async def replay_rejects(wanted: RejectIds, parts: PartsOf, caller: OperatingCaller) -> RejectsReplayed:
    """Decode and store refused messages once more, with today's decoder, at the time of their first arrival."""
    if caller.nodes is not None:
        for reject_id in wanted.ids:
            await _row(reject_id, parts, caller)
    return await _replay(wanted.ids, parts, caller.user)


@router.post("/rejects/drop")
async def drop_rejects(wanted: RejectIds, parts: PartsOf, caller: ChangingCaller) -> RejectsDropped:
    """Remove the bytes of refused messages that nobody needs; that they were there stays known."""
    dropped = await parts.rejects.drop(wanted.ids)
    _log.info("rejects dropped", by=caller.user, dropped=dropped)
    return RejectsDropped(dropped=dropped)


@router.post("/rejects/{reject_id}/replay")
async def replay_reject(reject_id: RejectId, parts: PartsOf, caller: OperatingCaller) -> RejectsReplayed:
    """As ``POST rejects/replay`` for one."""
    await _row(reject_id, parts, caller)
    return await _replay([reject_id], parts, caller.user)


# -- private -----------------------------------------------------------------------------------------------------------


async def _row(reject_id: int, parts: Parts, caller: Caller) -> KeptReject:
    row = await parts.rejects.show(reject_id)
    if row is None or not caller.may_see(row.node):
        raise _no_such_reject(reject_id)
    return row


async def _replay(ids: list[int], parts: Parts, user: str) -> RejectsReplayed:
    if parts.replay is None:
        raise ProblemError(409, "Nothing here can decode messages.", kind="no-decoder")
    report = await parts.rejects.replay(ids, parts.replay)
    _log.info("rejects replayed", by=user, replayed=len(report.replayed), refused=len(report.refused))
    return RejectsReplayed(replayed=list(report.replayed), refused=list(report.refused), gone=list(report.gone))


def _moment(name: str, text: str | None, parts: Parts) -> int | None:
    try:
        return parse_time(text, parts.clock_ns()) if text is not None else None
    except ValueError as error:
        raise wrong_parameter(f"query.{name}", f"{text!r} {error}") from error


def _no_such_reject(reject_id: int) -> ProblemError:
    return ProblemError(404, f"There is no reject {reject_id} (any more).", kind="no-reject")


def _summary(row: KeptReject) -> RejectSummary:
    return RejectSummary(
        id=row.id,
        arrived=iso(row.arrival_ns),
        topic=row.topic,
        node=row.node,
        reason=row.reason,
        detail=row.detail,
        size_bytes=row.size_bytes,
        partial=row.partial,
        retained=row.retain,
        state=row.state.value,
        changed=iso_or_none(row.changed_ns),
        version=row.version,
    )
