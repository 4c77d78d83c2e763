"""``/token/oidc``: log in at an OpenID Connect issuer in place of a password here.

GET ─▶ where the browser goes        POST code ─▶ issuer ─▶ person ─▶ user made or changed ─▶ token as of POST token
"""

from typing import Final

import structlog
from fastapi import APIRouter, Request

from hub.api.auth import client_address, too_many
from hub.api.changes import note
from hub.api.parts import Parts, PartsOf
from hub.api.problems import ProblemError
from hub.api.schemas import Token
from hub.api.schemas_oidc import OidcLogin, OidcOffer
from hub.api.times import iso
from hub.nodes.callers import Caller, Role, Scope, widest
from hub.nodes.oidc_users import NameTaken
from hub.oidc import IssuerAway, Oidc
from hub.oidc_rights import NoRights, Person
from hub.oidc_token import WrongToken
from wire.point import NS_PER_S

router = APIRouter(tags=["token"])

#: In place of a user whose name is not known yet; no user can be called so.
_NO_USER: Final = "(oidc)"
_RETRY: Final = {"Retry-After": "10"}

_log = structlog.get_logger("hub.api")


@router.get("/token/oidc")
async def show_issuer(parts: PartsOf) -> OidcOffer:
    """Where people log in who have no password here; 404 where there is no such place."""
    oidc = _configured(parts)
    try:
        endpoint = await oidc.authorization_endpoint()
    except IssuerAway as error:
        raise _away(error) from error
    settings = oidc.settings
    return OidcOffer(
        name=settings.name, authorization_endpoint=endpoint, client_id=settings.client_id, scopes=settings.scopes
    )


@router.post("/token/oidc", status_code=201)
async def make_token_of_code(wanted: OidcLogin, request: Request, parts: PartsOf) -> Token:
    """Log in with a code of the issuer. Ten failures at once from an address, then one every 30 s."""
    oidc, address = _configured(parts), client_address(request)
    wait_s = parts.oidc_limiter.attempt(address, address)
    if wait_s > 0:
        raise too_many("failed logins", wait_s)
    try:
        person = await oidc.log_in(
            wanted.code.get_secret_value(),
            wanted.code_verifier.get_secret_value(),
            wanted.redirect_uri,
            wanted.nonce.get_secret_value(),
        )
    except IssuerAway as error:
        _log.warning("login impossible", reason=str(error), address=address)
        raise _away(error) from error
    except WrongToken as error:
        await _refused(parts, _NO_USER, address, str(error))
        raise ProblemError(
            401, f"The login was not accepted: {error}. Log in again.", headers={"WWW-Authenticate": "Bearer"}
        ) from error
    except NoRights as error:
        await _refused(parts, _NO_USER, address, str(error))
        raise ProblemError(403, str(error), kind="no-rights") from error
    caller = await _admitted(parts, oidc, person, address)
    parts.oidc_limiter.give_back(address, address)
    users, now_ns = parts.registry.users, parts.clock_ns()
    await users.record_login(caller.user, address, accepted=True, now_ns=now_ns)
    expires_ns = now_ns + int(parts.settings.api.token_lifetime * NS_PER_S)
    token = await users.issue(caller.user, caller.scope, now_ns, expires_ns, name="login", address=address)
    return Token(
        token=token, expires=iso(expires_ns), user=caller.user, role=caller.role.value, scope=caller.scope.value
    )


async def _admitted(parts: Parts, oidc: Oidc, person: Person, address: str) -> Caller:
    """The user that this person is from now on."""
    users = parts.registry.oidc_users
    if person.role is None:
        gone = await users.turn_out(person.issuer, person.subject)
        name, revoked = gone or (person.name, 0)
        await _refused(parts, name, address, "no role")
        if revoked:
            nobody = Caller(name, Role.VIEWER, Scope.READ, None)
            await note(parts, nobody, "tokens ended", name, revoked=revoked, via="oidc")
        raise ProblemError(
            403,
            f"{person.name!r} may not use this hub: nothing in claim {oidc.settings.role_claim} gives a role "
            "(api.oidc.admins, operators, viewers). An administrator of the login service or of the hub can change it.",
            kind="no-rights",
        )
    try:
        admitted = await users.admit(
            person.issuer, person.subject, person.name, person.role, parts.clock_ns(), groups=person.groups
        )
    except NameTaken:
        await _refused(parts, person.name, address, "the name is somebody else's here")
        raise ProblemError(
            403,
            f"There is another user {person.name!r} here, whom the login service does not vouch for. An administrator "
            "can remove that user, or choose another claim with api.oidc.user_claim.",
            kind="user-exists",
        ) from None
    caller = Caller(admitted.name, person.role, widest(person.role), None)
    if admitted.change:
        groups = list(person.groups) if person.groups is not None else None
        await note(parts, caller, admitted.change, admitted.name, role=person.role.value, groups=groups, via="oidc")
    return caller


async def _refused(parts: Parts, user: str, address: str, reason: str) -> None:
    _log.warning("login refused", user=user, address=address, reason=reason)
    await parts.registry.users.record_login(user, address, accepted=False, now_ns=parts.clock_ns())


def _configured(parts: Parts) -> Oidc:
    if parts.oidc is None:
        raise ProblemError(
            404, "This hub logs people in by password alone; see [api.oidc] of iothub.toml.", kind="no-oidc"
        )
    return parts.oidc


def _away(error: IssuerAway) -> ProblemError:
    return ProblemError(503, f"{error} Users with a password here can log in.", kind="issuer", headers=_RETRY)
