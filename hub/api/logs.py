"""``/logs``: stored log records, newest first."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query

from hub.api import schemas
from hub.api.auth import SeenParts
from hub.api.problems import wrong_parameter
from hub.api.requests import Glob, Int64, PageCursor, PageLimit, Start, Stop, Text, from_cursor, time_range, to_cursor
from hub.api.schemas import Page
from hub.api.times import iso
from hub.store.base import LogQuery, LogRecord
from wire.formats.logs import LEVELS

router = APIRouter(tags=["data"])

_MAX_PASSED = 100_000


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ends: the rest of the range, and how many records of its last instant were shown."""

    start_ns: Int64
    stop_ns: Int64
    passed: Annotated[int, msgspec.Meta(ge=0, le=_MAX_PASSED)]


@router.get("/logs")
async def list_logs(
    parts: SeenParts,
    *,
    start: Start = "-1h",
    stop: Stop = "now",
    node: Glob = None,
    level: Annotated[str | None, Query(description=f"lowest level wanted: {', '.join(LEVELS)}")] = None,
    source: Text = None,
    text: Annotated[str | None, Query(max_length=256, description="part of the message, any case")] = None,
    limit: PageLimit = 100,
    page: PageCursor = None,
) -> Page[schemas.LogRecord]:
    """Log records, newest first. Following pages keep the ``start`` and ``stop`` of the first."""
    if level is not None and level not in LEVELS:
        raise wrong_parameter("query.level", f"{level[:64]!r} is none of {', '.join(LEVELS)}")
    if page is not None:
        place = from_cursor(page, _Place)
        start_ns, stop_ns, passed = place.start_ns, place.stop_ns, place.passed
    else:
        (start_ns, stop_ns), passed = time_range(start, stop, parts.clock_ns()), 0
    # Records of one instant may be spread over pages: ``passed`` of those at the end of the range were shown before.
    records = await parts.store.logs(
        LogQuery(
            start_ns=start_ns,
            stop_ns=stop_ns,
            node=node,
            level=level,
            source=source,
            text=text,
            limit=passed + limit + 1,
        )
    )
    shown = records[passed : passed + limit]
    following = None
    if len(records) > passed + limit:
        last_ns = shown[-1].ts_ns
        same = sum(record.ts_ns == last_ns for record in records[: passed + limit])
        following = to_cursor(_Place(start_ns, last_ns + 1, same))
    return Page(items=[_record(record) for record in shown], next=following)


def _record(record: LogRecord) -> schemas.LogRecord:
    return schemas.LogRecord(
        time=iso(record.ts_ns),
        node=record.node,
        level=record.level,
        source=record.source,
        message=record.message,
        fields=dict(record.fields),
    )
