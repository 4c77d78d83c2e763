"""``/ledger``: what became of the messages of each node, in all, by hour and by sequence number."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query

from hub.api import schemas_messages as schemas
from hub.api.auth import RequiredCaller
from hub.api.parts import PartsOf
from hub.api.requests import (
    Int64,
    NamedPlace,
    PageCursor,
    PageLimit,
    Start,
    Stop,
    Text,
    from_cursor,
    time_range,
    to_cursor,
)
from hub.api.schemas import Page
from hub.api.schemas_messages import LedgerHour, LedgerSession
from hub.api.times import iso
from hub.ledger import LedgerRow
from hub.ledger.model import HOUR_NS

router = APIRouter(tags=["what became of messages"])


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page of hours ends: the last row shown."""

    hour: Int64
    node: str


@router.get("/ledger")
async def list_ledger(
    parts: PartsOf, caller: RequiredCaller, node: Text = None, limit: PageLimit = 100, page: PageCursor = None
) -> Page[schemas.LedgerRow]:
    """Counts by node, in order of their ids: received = stored + duplicate + handled + all refused.

    Messages whose topic names no node stand under an empty id.
    """
    after = from_cursor(page, NamedPlace).name if page is not None else None
    rows = parts.ledger.rows(node, after=after, limit=limit + 1, nodes=caller.nodes)
    following = to_cursor(NamedPlace(rows[limit - 1].node)) if len(rows) > limit else None
    total = parts.ledger.count(caller.nodes) if node is None else len(rows)
    return Page(items=[schemas.LedgerRow(**_counts(row)) for row in rows[:limit]], next=following, total=total)


@router.get("/ledger/hours")
async def list_hours(
    parts: PartsOf,
    caller: RequiredCaller,
    *,
    node: Text = None,
    start: Start = "-1d",
    stop: Stop = "now",
    limit: PageLimit = 100,
    page: PageCursor = None,
) -> Page[LedgerHour]:
    """Counts by hour and node, the newest hour first; they are kept for 90 days. Hours that overlap the range count."""
    since_ns, until_ns = time_range(start, stop, parts.clock_ns())
    place = from_cursor(page, _Place) if page is not None else None
    rows = await parts.ledger.hours(
        node,
        since_ns=since_ns,
        until_ns=until_ns,
        before=(place.hour, place.node) if place is not None else None,
        limit=limit + 1,
        nodes=caller.nodes,
    )
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        items=[LedgerHour(**_counts(row), start=iso(row.start_ns)) for row in rows[:limit]],
        next=to_cursor(_Place(last.start_ns // HOUR_NS, last.node)) if last is not None else None,
    )


@router.get("/ledger/sessions")
async def list_sessions(
    parts: PartsOf, caller: RequiredCaller, node: Annotated[str, Query(max_length=256, description="node id")]
) -> Page[LedgerSession]:
    """Sequence numbers of a node by session, the one named last first; empty for a node that sends none."""
    rows = [msgspec.structs.asdict(row) for row in parts.ledger.sessions(node)] if caller.may_see(node) else []
    return Page(items=[LedgerSession.model_validate(row) for row in rows], total=len(rows))


def _counts(row: LedgerRow) -> dict[str, int | str | dict[str, int]]:
    return {
        "node": row.node,
        "received": row.received,
        "stored": row.stored,
        "duplicate": row.duplicate,
        "handled": row.handled,
        "refused": row.refused,
        "values_refused": row.values_refused,
        "missing": row.missing,
        "late": row.late,
        "dropped_by_node": row.dropped_by_node,
        "repeats": row.repeats,
        "unaccounted": row.unaccounted,
    }
