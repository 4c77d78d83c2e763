"""``/health`` and ``/metrics``: for load balancers and Prometheus, outside the prefix."""

import time

from fastapi import APIRouter, Request, Response

from hub.api import schemas
from hub.api.auth import OptionalCaller, is_local, may_scrape, unauthorised
from hub.api.parts import PartsOf
from wire.version import __version__

router = APIRouter(tags=["health"])

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/health", responses={503: {"model": schemas.Health, "description": "a link of the chain is broken"}})
async def health(response: Response, parts: PartsOf, caller: OptionalCaller) -> schemas.Health:
    """Whether data gets through: 200, or 503 with the links of the chain that are broken. More is told with a token."""
    seen = parts.health()
    if seen.broken:
        response.status_code = 503
    answer = schemas.Health(status="broken" if seen.broken else "ok", broken=seen.broken)
    if caller is None:
        return answer
    links = [schemas.HealthLink(name=link.name, ok=link.ok, detail=link.detail) for link in seen.links]
    uptime_s = round(time.monotonic() - parts.started_s, 3)
    return answer.model_copy(update={"links": links, "version": __version__, "uptime_s": uptime_s})


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, parts: PartsOf, caller: OptionalCaller) -> Response:
    """Prometheus metrics about the hub itself. Needs a token, but not from this machine."""
    may_read = caller is not None or is_local(request) or may_scrape(request, parts.settings.api.metrics_token_file)
    if not may_read:
        raise unauthorised(given="authorization" in request.headers)
    return Response(parts.metrics_text(), media_type=_PROMETHEUS)
