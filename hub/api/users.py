"""``/users``: who may use the API and the dashboard, and what of it; ``/password``: one's own."""

import secrets
from typing import Final

from fastapi import APIRouter, Request, Response

from hub.api.auth import AuditingCaller, ChangingCaller, RequiredCaller, client_address, too_many
from hub.api.changes import note
from hub.api.parts import Parts, PartsOf
from hub.api.problems import ProblemError, wrong_parameter
from hub.api.requests import NamedPlace, PageCursor, PageLimit, from_cursor, to_cursor
from hub.api.schemas import Page
from hub.api.schemas_users import MadeUser, NewUser, PasswordChange, Revoked, User, UserChange
from hub.api.times import iso, iso_or_none
from hub.nodes.callers import Role
from hub.nodes.local import LOCAL
from hub.nodes.user_lists import UserRow
from hub.nodes.users import LastAdmin

router = APIRouter(tags=["users"])

_LAST_ADMIN: Final = ProblemError(
    409,
    "Nobody could log in as an administrator any more: make another user one first.",
    kind="last-admin",
)


@router.get("/users")
async def list_users(
    parts: PartsOf, caller: AuditingCaller, limit: PageLimit = 100, page: PageCursor = None
) -> Page[User]:
    """All users, by name."""
    del caller
    found = await parts.registry.user_lists.users()
    after = from_cursor(page, NamedPlace).name if page is not None else ""
    rows = [each for each in found if each.name > after]
    following = to_cursor(NamedPlace(rows[limit - 1].name)) if len(rows) > limit else None
    return Page(items=[_user(row) for row in rows[:limit]], next=following, total=len(found))


@router.post("/users", status_code=201)
async def add_user(
    wanted: NewUser, request: Request, response: Response, parts: PartsOf, caller: ChangingCaller
) -> MadeUser:
    """Make a user. A password that the hub makes up is shown this once."""
    _check_groups(wanted.groups, Role(wanted.role))
    made = secrets.token_urlsafe(16) if wanted.password is None else None
    password = made if wanted.password is None else wanted.password.get_secret_value()
    users = parts.registry.users
    if not await users.add(wanted.name, password, Role(wanted.role), parts.clock_ns(), groups=wanted.groups):
        raise ProblemError(409, f"There is a user {wanted.name!r} already.", kind="user-exists")
    await note(parts, caller, "user added", wanted.name, role=wanted.role, groups=wanted.groups)
    response.headers["Location"] = f"{request.url.path}/{wanted.name}"
    return MadeUser(**_user(await _row(wanted.name, parts)).model_dump(), password=made)


@router.patch("/users/{name}")
async def change_user(name: str, wanted: UserChange, parts: PartsOf, caller: ChangingCaller) -> User:
    """Change role, access groups or password, in force at once. A new password ends all sessions and tokens."""
    row = await _row(name, parts)
    _check_not_local(name)
    if row.issuer is not None and wanted.password is not None:
        raise ProblemError(409, f"{name!r} logs in at {row.issuer} and can have no password here.", kind="oidc-user")
    role = Role(wanted.role) if wanted.role is not None else None
    regroup = "groups" in wanted.model_fields_set
    if regroup:
        _check_groups(wanted.groups, role or row.role)
    users = parts.registry.users
    if role is not None or regroup:
        try:
            await users.change(
                name, role=role, groups=wanted.groups if regroup else None, every_node=regroup and wanted.groups is None
            )
        except LastAdmin:
            raise _LAST_ADMIN from None
        now = await _row(name, parts)
        await note(parts, caller, "user changed", name, role=now.role.value, groups=now.groups)
    if wanted.password is not None:
        await users.set_password(name, wanted.password.get_secret_value())
        await note(parts, caller, "password set", name)
    return _user(await _row(name, parts))


@router.delete("/users/{name}", status_code=204)
async def remove_user(name: str, parts: PartsOf, caller: ChangingCaller) -> Response:
    """Remove a user; its sessions and tokens end."""
    _check_not_local(name)
    try:
        found = await parts.registry.users.remove(name)
    except LastAdmin:
        raise _LAST_ADMIN from None
    if not found:
        raise _no_such_user(name)
    await note(parts, caller, "user removed", name)
    return Response(status_code=204)


@router.delete("/users/{name}/tokens")
async def end_tokens_of_user(name: str, parts: PartsOf, caller: ChangingCaller) -> Revoked:
    """End all sessions and API tokens of a user at once."""
    _check_not_local(name)
    await _row(name, parts)
    revoked = await parts.registry.users.revoke_all(name)
    await note(parts, caller, "tokens ended", name, revoked=revoked)
    return Revoked(revoked=revoked)


@router.put("/password", status_code=204)
async def change_password(wanted: PasswordChange, request: Request, parts: PartsOf, caller: RequiredCaller) -> Response:
    """Change one's own password. All sessions and tokens of the user end, this one too: log in again."""
    users, address = parts.registry.users, client_address(request)
    if not caller.session:
        raise ProblemError(403, "API tokens cannot change the password of their user: log in for it.")
    wait_s = parts.login_limiter.attempt(caller.user, address)
    if wait_s > 0:
        raise too_many("wrong passwords", wait_s)
    if await users.check_password(caller.user, wanted.current.get_secret_value()) is None:
        await users.record_login(caller.user, address, accepted=False, now_ns=parts.clock_ns())
        raise ProblemError(403, "The current password is another one.", kind="wrong-password")
    parts.login_limiter.give_back(caller.user, address)
    await users.set_password(caller.user, wanted.new.get_secret_value())
    await note(parts, caller, "password changed", caller.user)
    return Response(status_code=204)


# -- private -----------------------------------------------------------------------------------------------------------


async def _row(name: str, parts: Parts) -> UserRow:
    for row in await parts.registry.user_lists.users():
        if row.name == name:
            return row
    raise _no_such_user(name)


def _no_such_user(name: str) -> ProblemError:
    return ProblemError(404, f"There is no user {name[:64]!r}; GET users lists those that there are.", kind="no-user")


def _check_groups(groups: list[str] | None, role: Role) -> None:
    if role is Role.ADMIN and groups is not None:
        raise wrong_parameter("body.groups", "administrators see all nodes: leave it out, or choose another role")


def _check_not_local(name: str) -> None:
    if name == LOCAL:
        raise ProblemError(409, f"{LOCAL!r} is the command line of the hub's own machine; it stays as it is.")


def _user(row: UserRow) -> User:
    return User(
        name=row.name,
        role=row.role.value,
        groups=list(row.groups) if row.groups is not None else None,
        created=iso(row.created_ns),
        has_password=row.has_password,
        tokens=row.tokens,
        last_login=iso_or_none(row.last_login_ns),
        issuer=row.issuer,
    )
