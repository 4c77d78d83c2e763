"""``/rejects``: messages that were refused, with their bytes."""

import base64
from typing import Annotated

from fastapi import APIRouter, Path

from hub.api.parts import PartsOf, RejectInfo
from hub.api.problems import ProblemError
from hub.api.requests import NumberedPlace, PageCursor, PageLimit, Text, from_cursor, to_cursor
from hub.api.schemas import Page, RejectDetail, RejectSummary
from hub.api.times import iso

router = APIRouter(tags=["what became of messages"])


@router.get("/rejects")
async def list_rejects(
    parts: PartsOf, node: Text = None, reason: Text = None, limit: PageLimit = 100, page: PageCursor = None
) -> Page[RejectSummary]:
    """Refused messages, newest first."""
    before = from_cursor(page, NumberedPlace).number if page is not None else None
    rows = await parts.rejects.list(node=node, reason=reason, before_id=before, limit=limit + 1)
    following = to_cursor(NumberedPlace(rows[limit - 1].id)) if len(rows) > limit else None
    return Page(items=[_summary(row) for row in rows[:limit]], next=following)


@router.get("/rejects/{reject_id}")
async def show_reject(reject_id: Annotated[int, Path(ge=0, le=2**63 - 1)], parts: PartsOf) -> RejectDetail:
    """One refused message, whole."""
    row = await parts.rejects.show(reject_id)
    if row is None:
        raise ProblemError(404, f"There is no reject {reject_id} (any more).", kind="no-reject")
    try:
        text = row.payload.decode()
    except UnicodeDecodeError:
        text = None
    return RejectDetail(**_summary(row).model_dump(), text=text, payload=base64.b64encode(row.payload).decode())


def _summary(row: RejectInfo) -> RejectSummary:
    return RejectSummary(
        id=row.id,
        arrived=iso(row.arrival_ns),
        topic=row.topic,
        node=row.node,
        reason=row.reason,
        detail=row.detail,
        size_bytes=row.size_bytes,
    )
