"""``/series``: what is stored, without its values."""

import bisect

import msgspec
from fastapi import APIRouter, Request

from hub.api import schemas
from hub.api.auth import SeenParts
from hub.api.requests import TAG_PARAMETER, Glob, PageCursor, PageLimit, from_cursor, tags_of, to_cursor
from hub.api.schemas import Page
from hub.api.times import iso
from hub.store.base import Series, SeriesFilter

router = APIRouter(tags=["data"])


class _Place(msgspec.Struct, frozen=True, order=True, array_like=True):
    """What series are sorted by."""

    node: str
    measurement: str
    tags: tuple[tuple[str, str], ...]
    field: str


@router.get("/series", openapi_extra={"parameters": [TAG_PARAMETER]})
async def list_series(
    request: Request,
    parts: SeenParts,
    *,
    node: Glob = None,
    measurement: Glob = None,
    field: Glob = None,
    limit: PageLimit = 100,
    page: PageCursor = None,
) -> Page[schemas.Series]:
    """Series in order of node, measurement, tags and field, each with its type and first and last time."""
    chosen = SeriesFilter(node=node, measurement=measurement, field=field, tags=tags_of(request))
    found = await parts.store.series(chosen)
    start = bisect.bisect_right(found, from_cursor(page, _Place), key=_place) if page is not None else 0
    shown = found[start : start + limit]
    following = to_cursor(_place(shown[-1])) if start + limit < len(found) else None
    return Page(items=[_series(one) for one in shown], next=following, total=len(found))


def _place(series: Series) -> _Place:
    key = series.key
    return _Place(key.node, key.measurement, key.tags, series.field)


def _series(series: Series) -> schemas.Series:
    key = series.key
    return schemas.Series(
        node=key.node,
        measurement=key.measurement,
        tags=dict(key.tags),
        field=series.field,
        kind=series.kind.value,
        first=iso(series.first_ns),
        last=iso(series.last_ns),
    )
