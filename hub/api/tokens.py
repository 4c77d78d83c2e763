"""``/tokens``: what users make for their programs, and their sessions; ``/audit/logins``: who tried to get in."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from hub.api.auth import AuditingCaller, RequiredCaller
from hub.api.changes import note
from hub.api.parts import PartsOf
from hub.api.problems import ProblemError
from hub.api.requests import NumberedPlace, PageCursor, PageLimit, Text, from_cursor, to_cursor
from hub.api.schemas import Page
from hub.api.schemas_users import ApiToken, LoginAttempt, MadeApiToken, NewApiToken
from hub.api.times import iso, iso_or_none
from hub.nodes.callers import Scope, least, widest
from hub.nodes.user_lists import TokenRow
from hub.nodes.users import NO_USER
from wire.point import NS_PER_S

router = APIRouter(tags=["users"])

_Number = Annotated[int, Path(ge=0, le=2**63 - 1)]


@router.post("/tokens", status_code=201)
async def add_token(wanted: NewApiToken, parts: PartsOf, caller: RequiredCaller) -> MadeApiToken:
    """Make a token for a program, for oneself or, as an administrator, for somebody else. It is shown this once.

    It may no more than its user and no more than the session that asks for it; tokens make no tokens.
    """
    if not caller.session:
        raise ProblemError(403, "API tokens make no further tokens: log in for it.")
    user, lists = wanted.user or caller.user, parts.registry.user_lists
    if user != caller.user and not caller.may_change:
        raise ProblemError(403, "Only administrators make tokens for others.")
    row = next((each for each in await lists.users() if each.name == user), None)
    if row is None:
        raise ProblemError(404, f"There is no user {user!r}.", kind="no-user")
    scope = least(least(Scope(wanted.scope), caller.scope), widest(row.role))
    now_ns = parts.clock_ns()
    expires_ns = now_ns + int(wanted.lifetime_s * NS_PER_S)
    users = parts.registry.users
    token = await users.issue(user, scope, now_ns, expires_ns, name=wanted.name, session=False)
    number = (made.token_id or 0) if (made := await users.holder(token, now_ns)) is not None else 0
    await note(parts, caller, "token made", user, number=number, name=wanted.name, scope=scope.value)
    shown = TokenRow(
        number, user, wanted.name, scope, session=False, address="", created_ns=now_ns, expires_ns=expires_ns
    )
    return MadeApiToken(**_token(shown).model_dump(), token=token)


@router.get("/tokens")
async def list_tokens(
    parts: PartsOf, caller: RequiredCaller, user: Text = None, limit: PageLimit = 100, page: PageCursor = None
) -> Page[ApiToken]:
    """One's own tokens and sessions; administrators see those of all, or of ``user``."""
    if not caller.may_audit:
        if user not in (None, caller.user):
            raise ProblemError(403, "Only administrators see the tokens of others.")
        user = caller.user
    found = await parts.registry.user_lists.tokens(parts.clock_ns(), user)
    after = from_cursor(page, NumberedPlace).number if page is not None else 0
    rows = [row for row in found if row.id > after]
    following = to_cursor(NumberedPlace(rows[limit - 1].id)) if len(rows) > limit else None
    return Page(items=[_token(row) for row in rows[:limit]], next=following, total=len(found))


@router.delete("/tokens/{number}", status_code=204)
async def end_token(number: _Number, parts: PartsOf, caller: RequiredCaller) -> Response:
    """End a token or session of one's own, or as an administrator that of anybody."""
    user = await parts.registry.users.revoke_number(number, None if caller.may_change else caller.user)
    if user is None:
        raise ProblemError(404, f"There is no token {number} of yours; GET tokens lists them.", kind="no-token")
    await note(parts, caller, "token ended", user, number=number)
    return Response(status_code=204)


@router.get("/audit/logins")
async def list_logins(
    parts: PartsOf,
    caller: AuditingCaller,
    *,
    user: Text = None,
    accepted: bool | None = None,
    limit: PageLimit = 100,
    page: PageCursor = None,
) -> Page[LoginAttempt]:
    """Who logged in or tried to, and who used tokens that are not valid, newest first; kept for 90 days."""
    del caller
    before = from_cursor(page, NumberedPlace).number if page is not None else None
    rows = await parts.registry.user_lists.logins(user=user, accepted=accepted, before=before, limit=limit + 1)
    following = to_cursor(NumberedPlace(rows[limit - 1].id)) if len(rows) > limit else None
    items = [
        LoginAttempt(
            at=iso(row.at_ns),
            user=row.user if row.user != NO_USER else None,
            address=row.address,
            accepted=row.accepted,
        )
        for row in rows[:limit]
    ]
    return Page(items=items, next=following)


def _token(row: TokenRow) -> ApiToken:
    return ApiToken(
        id=row.id,
        user=row.user,
        name=row.name,
        scope=row.scope.value,
        kind="session" if row.session else "token",
        address=row.address,
        created=iso(row.created_ns),
        expires=iso_or_none(row.expires_ns),
    )
