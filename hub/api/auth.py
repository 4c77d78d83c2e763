"""Who asks: opaque bearer tokens, looked up by their hash at every request.

Everything below ``/api/v1`` but ``POST token`` and ``token/oidc`` needs one. ``/health`` answers tersely without.
``/metrics`` needs one unless the client is on this machine and speaks to it directly (no proxy between, and addressed
by a loopback name, so that a page in a browser cannot reach it through a name of its own); ``api.metrics_token_file``
holds one that opens nothing else.
"""

import hmac
import ipaddress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import structlog
from fastapi import Depends, Security
from fastapi.requests import HTTPConnection, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from hub.api.parts import Parts, PartsOf, parts_of
from hub.api.problems import ProblemError
from hub.api.seen import SeenStore
from hub.nodes.callers import Caller
from hub.nodes.users import NO_USER
from hub.paths import read_secret

_BEARER: Final = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="`Authorization: Bearer …` with a token of `POST /api/v1/token` or of the file `secrets/cli-token`.",
)
#: What the dashboard says: the client's address, and the secret for which it is believed.
CLIENT_HEADER: Final = "x-iothub-client"
PROXY_HEADER: Final = "x-iothub-proxy"
_PROXY_HEADERS: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")

_log = structlog.get_logger("hub.api")


def unauthorised(*, given: bool) -> ProblemError:
    """Answer 401: no token, or one that is wrong, revoked or expired."""
    if given:
        detail = "The token is unknown, revoked or expired; POST /api/v1/token gives a new one."
        challenge = 'Bearer realm="iothub", error="invalid_token"'
    else:
        detail = "A token is needed: Authorization: Bearer …; POST /api/v1/token gives one."
        challenge = 'Bearer realm="iothub"'
    return ProblemError(401, detail, headers={"WWW-Authenticate": challenge})


async def optional_caller(
    request: Request, parts: PartsOf, given: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
) -> Caller | None:
    """The holder of the token; None when none is given or it is not valid."""
    return await holder_of(given.credentials, request, parts) if given is not None else None


async def holder_of(token: str, connection: HTTPConnection, parts: Parts) -> Caller | None:
    """The holder of ``token``; None when it is not valid, which is recorded.

    Raises:
        ProblemError: 429, it is not valid and this address has tried too many of these.
    """
    users, now_ns = parts.registry.users, parts.clock_ns()
    caller = await users.holder(token, now_ns)
    if caller is None:
        address = client_address(connection)
        wait_s = parts.token_limiter.attempt(address, address)
        if wait_s > 0:
            raise too_many("tokens that are not valid", wait_s)
        _log.warning("token refused", address=address)
        await users.record_login(NO_USER, address, accepted=False, now_ns=now_ns)
    return caller


def too_many(what: str, wait_s: float) -> ProblemError:
    """Answer 429."""
    retry_s = int(wait_s) + 1
    headers = {"Retry-After": str(retry_s)}
    return ProblemError(429, f"Too many {what}; try again in {retry_s} s.", headers=headers)


async def required_caller(request: Request, caller: Annotated[Caller | None, Depends(optional_caller)]) -> Caller:
    """The holder of the token; else 401."""
    if caller is None:
        raise unauthorised(given="authorization" in request.headers)
    return caller


async def changing_caller(caller: Annotated[Caller, Depends(required_caller)]) -> Caller:
    """The holder of a token that may change something; else 401 or 403."""
    if not caller.may_change:
        raise _forbidden("a token of an administrator with scope full", caller)
    return caller


async def operating_caller(caller: Annotated[Caller, Depends(required_caller)]) -> Caller:
    """The holder of a token that may command and handle alerts, of what it sees; else 401 or 403."""
    if not caller.may_operate:
        raise _forbidden("a token of an operator or administrator with scope operate or full", caller)
    return caller


async def auditing_caller(caller: Annotated[Caller, Depends(required_caller)]) -> Caller:
    """The holder of a token of an administrator, of any scope; else 401 or 403."""
    if not caller.may_audit:
        raise _forbidden("a token of an administrator", caller)
    return caller


async def seen_parts(parts: PartsOf, caller: Annotated[Caller, Depends(required_caller)]) -> Parts:
    """The parts, with a store that shows nothing but the nodes that the caller sees."""
    return parts if caller.nodes is None else replace(parts, store=SeenStore(parts.store, caller.nodes))


OptionalCaller = Annotated[Caller | None, Depends(optional_caller)]
RequiredCaller = Annotated[Caller, Depends(required_caller)]
ChangingCaller = Annotated[Caller, Depends(changing_caller)]
OperatingCaller = Annotated[Caller, Depends(operating_caller)]
AuditingCaller = Annotated[Caller, Depends(auditing_caller)]
#: In place of :data:`~hub.api.parts.PartsOf` in every route that asks the store.
SeenParts = Annotated[Parts, Depends(seen_parts)]


def client_address(connection: HTTPConnection) -> str:
    """Address of the client: of the other end of the TCP connection.

    The dashboard logs people in: it says where they come from, and is believed for the secret that the hub gave it.
    Headers of other proxies are not believed.
    """
    secret = parts_of(connection).dashboard_secret
    given = connection.headers.get(PROXY_HEADER, "")
    if secret and hmac.compare_digest(given.encode(), secret.encode()):
        try:
            return str(ipaddress.ip_address(connection.headers.get(CLIENT_HEADER, "")))
        except ValueError:
            return "unknown"
    return connection.client.host if connection.client is not None else "unknown"


def may_scrape(connection: HTTPConnection, token_file: Path | None) -> bool:
    """Whether the request has the token of ``api.metrics_token_file``; read anew each time, so that it can be changed.

    Raises:
        ProblemError: 503, the file cannot be read.
    """
    kind, _, given = connection.headers.get("authorization", "").partition(" ")
    if token_file is None or kind.lower() != "bearer":
        return False
    try:
        wanted = read_secret(token_file)
    except (OSError, UnicodeDecodeError) as error:
        raise ProblemError(503, f"The hub cannot read api.metrics_token_file: {error}") from error
    return bool(wanted) and hmac.compare_digest(given.strip().encode(), wanted.encode())


def is_local(connection: HTTPConnection) -> bool:
    """Whether the client is on this machine, speaks to it directly and names it by a loopback name."""
    if any(name in connection.headers for name in _PROXY_HEADERS):
        return False
    return _is_loopback(client_address(connection)) and _is_loopback(connection.url.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _forbidden(needed: str, caller: Caller) -> ProblemError:
    return ProblemError(403, f"This needs {needed}; {caller.user} has role {caller.role}, scope {caller.scope}.")
