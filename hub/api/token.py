"""``/token``: log in for a bearer token, and give it back."""

import structlog
from fastapi import APIRouter, Request, Response

from hub.api.auth import RequiredCaller, client_address, too_many
from hub.api.parts import PartsOf
from hub.api.problems import ProblemError
from hub.api.schemas import Holder, Token, TokenRequest
from hub.api.times import iso
from hub.nodes.callers import Scope, least, widest
from wire.point import NS_PER_S

#: ``POST`` is the one operation without a token.
login = APIRouter(tags=["token"])
router = APIRouter(tags=["token"])

_log = structlog.get_logger("hub.api")


@login.post("/token", status_code=201)
async def make_token(wanted: TokenRequest, request: Request, parts: PartsOf) -> Token:
    """Log in: a token for the user whose password this is. Ten failures at once, then one every 30 s."""
    address = client_address(request)
    wait_s = parts.login_limiter.attempt(wanted.user, address)
    if wait_s > 0:
        raise too_many("failed logins", wait_s)
    users, lists, now_ns = parts.registry.users, parts.registry.user_lists, parts.clock_ns()
    mark = await lists.password_mark(wanted.user)
    role = await users.check_password(wanted.user, wanted.password.get_secret_value())
    await users.record_login(wanted.user, address, accepted=role is not None, now_ns=now_ns)
    if role is None:
        raise _refused(wanted.user, address)
    scope = least(Scope(wanted.scope), widest(role))
    expires_ns = now_ns + int(parts.settings.api.token_lifetime * NS_PER_S)
    token = await users.issue(wanted.user, scope, now_ns, expires_ns, name="login", address=address)
    if await lists.password_mark(wanted.user) != mark:
        # The password was changed since it was looked at: this session would outlive all those that the change ended.
        await users.revoke(token)
        raise _refused(wanted.user, address)
    parts.login_limiter.give_back(wanted.user, address)
    return Token(token=token, expires=iso(expires_ns), user=wanted.user, role=role, scope=scope.value)


@router.get("/token")
async def show_token(caller: RequiredCaller) -> Holder:
    """Who holds the token of this request, and what it may do."""
    return Holder(
        user=caller.user,
        role=caller.role,
        scope=caller.scope.value,
        expires=iso(caller.expires_ns) if caller.expires_ns is not None else None,
        groups=sorted(caller.groups) if caller.groups is not None else None,
    )


@router.delete("/token", status_code=204)
async def drop_token(request: Request, caller: RequiredCaller, parts: PartsOf) -> Response:
    """Log out: the token of this request is valid no longer."""
    del caller
    await parts.registry.users.revoke(request.headers["authorization"].split(None, 1)[1])
    return Response(status_code=204)


def _refused(user: str, address: str) -> ProblemError:
    _log.warning("login refused", user=user, address=address)
    return ProblemError(401, "Unknown user or wrong password.", headers={"WWW-Authenticate": "Bearer"})
