"""``/views``: pages of the dashboard with their parameters, saved under a name, for oneself or for everybody.

A view holds no data: whoever opens it sees what his own rights show.
"""

from typing import Annotated

import msgspec
import structlog
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hub.api.auth import RequiredCaller
from hub.api.parts import Parts, PartsOf
from hub.api.problems import ProblemError
from hub.api.requests import Int64, PageCursor, PageLimit, from_cursor, to_cursor
from hub.api.schemas import Page, Time
from hub.api.times import iso
from hub.nodes.callers import Caller
from hub.nodes.views import MOST_VIEWS, TooManyViews, ViewRow, Views

router = APIRouter(tags=["saved views"])

_log = structlog.get_logger("hub.api")

_MOST_PARAMS = 50
_MOST_VALUES = 200
#: Parameters of the dashboard's pages that name nodes.
_NODE_PARAMS = frozenset({"node", "nodes", "n"})
_PAGE = r"^[a-z][a-z-]{0,31}$"
_Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")
]
_Text = Annotated[str, Field(max_length=256)]


class NewView(BaseModel):
    """A view to save; one of the same page and name is replaced."""

    model_config = ConfigDict(extra="forbid")

    page: Annotated[str, Field(pattern=_PAGE, description="of the dashboard", examples=["explore"])]
    name: _Name
    params: Annotated[
        dict[_Text, Annotated[list[_Text], Field(max_length=_MOST_VALUES)]],
        Field(max_length=_MOST_PARAMS, description="query parameters of the page", examples=[{"m": ["cpu"]}]),
    ]
    shared: Annotated[bool, Field(description="offer it to everybody")] = False


class View(BaseModel):
    """A saved view."""

    id: int
    page: str
    name: str
    params: dict[str, list[str]]
    shared: bool
    owner: str
    #: When it was saved last.
    saved: Time


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """The last view shown."""

    number: Int64


@router.get("/views")
async def list_views(
    parts: PartsOf,
    caller: RequiredCaller,
    *,
    of: Annotated[str | None, Query(pattern=_PAGE, description="page of the dashboard, e.g. `explore`")] = None,
    limit: PageLimit = 100,
    page: PageCursor = None,
) -> Page[View]:
    """The caller's own views and those that others share, the oldest first."""
    after = from_cursor(page, _Place).number if page is not None else 0
    rows = await _views(parts).offered(caller.user, of, after=after, limit=limit + 1)
    following = to_cursor(_Place(rows[limit - 1].id)) if len(rows) > limit else None
    return Page(items=[_view(row) for row in rows[:limit] if _may_know(row, caller)], next=following)


@router.post("/views", status_code=201)
async def save_view(
    wanted: NewView, request: Request, response: Response, parts: PartsOf, caller: RequiredCaller
) -> View:
    """Save a view; one of the caller's with the same page and name is replaced. Sharing needs the role operator."""
    _may_save(caller)
    if wanted.shared and not caller.may_operate:
        raise ProblemError(403, "Sharing a view with everybody needs the role operator; save it for yourself.")
    row = ViewRow(0, caller.user, wanted.page, wanted.name, wanted.params, wanted.shared, parts.clock_ns())
    try:
        saved = await _views(parts).save(row)
    except TooManyViews as error:
        raise ProblemError(
            409, f"{caller.user} has {MOST_VIEWS} views already: remove one first.", kind="too-many-views"
        ) from error
    _log.info("view saved", id=saved.id, page=saved.page, name=saved.name, shared=saved.shared, by=caller.user)
    response.headers["Location"] = f"{request.url.path}/{saved.id}"
    return _view(saved)


@router.delete("/views/{number}", status_code=204)
async def remove_view(
    number: Annotated[int, Path(ge=0, le=2**63 - 1)], parts: PartsOf, caller: RequiredCaller
) -> Response:
    """Remove a view of one's own; administrators remove any that is shared."""
    row = await _views(parts).view(number)
    is_own = row is not None and row.owner == caller.user
    if row is None or not (is_own or row.shared):
        raise ProblemError(404, f"There is no view {number}; GET views lists those that there are.", kind="no-view")
    if is_own:
        _may_save(caller)
    elif not caller.may_change:
        raise ProblemError(403, f"The view is {row.owner}'s: only its owner and administrators remove it.")
    await _views(parts).remove(number)
    _log.info("view removed", id=number, page=row.page, name=row.name, by=caller.user)
    return Response(status_code=204)


# -- private -----------------------------------------------------------------------------------------------------------


def _views(parts: Parts) -> Views:
    return Views(parts.registry.database)


def _may_save(caller: Caller) -> None:
    """A person who logged in may, whatever the role: it is theirs alone. A token made to read changes nothing."""
    if not (caller.session or caller.may_operate):
        raise ProblemError(403, f"This token of {caller.user} may only read: log in to save views.")


def _may_know(row: ViewRow, caller: Caller) -> bool:
    """Whether a view names no node but those that the caller sees."""
    if row.owner == caller.user or caller.nodes is None:
        return True
    chosen = [value for name, values in row.params.items() if name in _NODE_PARAMS for value in values]
    return all(map(caller.may_see, filter(None, chosen)))


def _view(row: ViewRow) -> View:
    return View(
        id=row.id,
        page=row.page,
        name=row.name,
        params={name: list(values) for name, values in row.params.items()},
        shared=row.shared,
        owner=row.owner,
        saved=iso(row.saved_ns),
    )
