"""``/ledger``: what became of the messages of each node."""

from fastapi import APIRouter

from hub.api import schemas
from hub.api.parts import PartsOf
from hub.api.requests import NamedPlace, PageCursor, PageLimit, Text, from_cursor, to_cursor
from hub.api.schemas import Page

router = APIRouter(tags=["what became of messages"])


@router.get("/ledger")
async def list_ledger(
    parts: PartsOf, node: Text = None, limit: PageLimit = 100, page: PageCursor = None
) -> Page[schemas.LedgerRow]:
    """Counts by node, in order of their ids: received = stored + duplicate + handled + all refused.

    Messages whose topic names no node stand under an empty id.
    """
    after = from_cursor(page, NamedPlace).name if page is not None else None
    rows = parts.ledger.rows(node)
    rest = [row for row in rows if after is None or row.node > after]
    following = to_cursor(NamedPlace(rest[limit - 1].node)) if len(rest) > limit else None
    items = [
        schemas.LedgerRow(
            node=row.node,
            received=row.received,
            stored=row.stored,
            duplicate=row.duplicate,
            handled=row.handled,
            refused=dict(row.refused),
            missing=row.missing,
            late=row.late,
        )
        for row in rest[:limit]
    ]
    return Page(items=items, next=following, total=len(rows))
