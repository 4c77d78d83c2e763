"""The HTTP application: routes, who may use them, and how errors look.

/api/v1/token (POST)                    open, rate limited
/api/v1/token/oidc                      open; POST rate limited
/api/v1/live                            WebSocket; header or first frame carries the token
/api/v1/…                               bearer token; who may what: ``hub/nodes/callers.py``
/health  /metrics  /docs  /openapi.json see ``auth.py``; the last two say nothing that is secret
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Depends, FastAPI

from hub.api import (
    accounts,
    alerts,
    commands,
    docs,
    fleet,
    health,
    joining,
    ledger,
    live,
    logs,
    measurements,
    nodes,
    notify,
    oidc,
    problems,
    query,
    rejects,
    rules,
    series,
    token,
    tokens,
    users,
    views,
)
from hub.api.auth import required_caller
from hub.api.edge import Edge
from hub.api.requests import known_parameters
from hub.api.schemas import Problem
from wire.version import __version__

if TYPE_CHECKING:
    from hub.api.parts import Parts

PREFIX: Final = "/api/v1"
_DESCRIPTION: Final = """\
Times are ISO 8601 in UTC. Given, they may also be Unix time in ms, or relative to now: `-5m`. Lists are pages: send
`next` back as `?page=`. Errors are problem documents (RFC 9457, application/problem+json).

Get a token with POST /api/v1/token and send it as `Authorization: Bearer …`. Live events: WebSocket /api/v1/live; the
first text frame says what is wanted, `{"node": "boiler-*", "measurement": null, "types": ["message", "node"]}`.

On the machine of the hub: `curl -H "Authorization: Bearer $(cat var/secrets/cli-token)" 127.0.0.1:8080/api/v1/nodes`.\
"""
#: Every route may answer so; named once, in place of FastAPI's own shape of errors.
_ERRORS: Final[dict[int | str, dict[str, Any]]] = {"default": {"model": Problem, "description": "What went wrong"}}

_ROUTERS: Final = (
    token.router,
    users.router,
    tokens.router,
    nodes.router,
    accounts.router,
    joining.router,
    series.router,
    measurements.router,
    query.router,
    logs.router,
    rejects.router,
    alerts.router,
    rules.router,
    ledger.router,
    notify.router,
    commands.router,
    fleet.router,
    views.router,
)


def create_app(parts: Parts) -> FastAPI:
    """Make the application over ``parts``."""
    app = FastAPI(
        title="iothub",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url="/openapi.json" if parts.settings.api.docs else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.parts = parts
    app.add_middleware(Edge)
    problems.install(app)

    open_api = APIRouter(prefix=PREFIX, dependencies=[Depends(known_parameters)], responses=_ERRORS)
    open_api.include_router(token.login)
    open_api.include_router(oidc.router)
    closed_api = APIRouter(
        prefix=PREFIX, dependencies=[Depends(required_caller), Depends(known_parameters)], responses=_ERRORS
    )
    for router in _ROUTERS:
        closed_api.include_router(router)
    app.include_router(open_api)
    app.include_router(closed_api)
    app.include_router(live.router, prefix=PREFIX)
    app.include_router(health.router, responses=_ERRORS)
    if parts.settings.api.docs:
        app.add_route("/docs", lambda request: docs.docs_response(request.app), include_in_schema=False)
    return app
