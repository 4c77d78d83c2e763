"""Who asks: opaque bearer tokens, looked up by their hash at every request.

Everything below ``/api/v1`` but ``POST token`` needs one. ``/health`` answers tersely without. ``/metrics`` needs one
unless the client is on this machine and speaks to it directly (no proxy between, and addressed by a loopback name, so
that a page in a browser cannot reach it through a name of its own); ``api.metrics_token_file`` holds one that opens
nothing else.
"""

import hmac
import ipaddress
from pathlib import Path
from typing import Annotated, Final

from fastapi import Depends, Security
from fastapi.requests import HTTPConnection, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from hub.api.parts import PartsOf
from hub.api.problems import ProblemError
from hub.nodes.callers import Caller
from hub.paths import read_secret

_BEARER: Final = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="`Authorization: Bearer …` with a token of `POST /api/v1/token` or of the file `secrets/cli-token`.",
)
_PROXY_HEADERS: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


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
    parts: PartsOf, given: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
) -> Caller | None:
    """The holder of the token; None when none is given or it is not valid."""
    return await parts.registry.users.holder(given.credentials, parts.clock_ns()) if given is not None else None


async def required_caller(request: Request, caller: Annotated[Caller | None, Depends(optional_caller)]) -> Caller:
    """The holder of the token; else 401."""
    if caller is None:
        raise unauthorised(given="authorization" in request.headers)
    return caller


async def changing_caller(caller: Annotated[Caller, Depends(required_caller)]) -> Caller:
    """The holder of a token that may change something; else 401 or 403."""
    if not caller.may_change:
        raise ProblemError(
            403, f"This needs a token of an administrator with scope full; {caller.user} has {_rights(caller)}."
        )
    return caller


OptionalCaller = Annotated[Caller | None, Depends(optional_caller)]
RequiredCaller = Annotated[Caller, Depends(required_caller)]
ChangingCaller = Annotated[Caller, Depends(changing_caller)]


def client_address(connection: HTTPConnection) -> str:
    """Address of the other end of the TCP connection; headers of proxies are not believed."""
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


def _rights(caller: Caller) -> str:
    return f"role {caller.role}, scope {caller.scope}"
