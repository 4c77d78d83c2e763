"""ASGI middleware: nothing but the login page and a liveness check is reached without a valid session.

request ─▶ open path? ───────────────────────────────────────────────▶ app
        └▶ cookie ─▶ identity ─▶ known ──────────────────────────────▶ app
                              ├▶ signed out ─▶ page: to /login · WebSocket: closed · else 401
                              └▶ API away ───▶ page that says so and tries again · else 503

A WebSocket lives long, so each frame that the browser sends is judged anew: after logout it is closed.
"""

from __future__ import annotations

import asyncio
import html
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.websockets import WebSocketClose

from dashboard.errors import ApiAway, SignedOut
from dashboard.identity import COOKIE
from dashboard.markup import document

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from dashboard.identity import Identities

_OPEN: Final = frozenset({"/login", "/login/oidc", "/login/callback", "/logout", "/_stcore/health"})
_SIGNED_OUT: Final = 4401
_AWAY: Final = 1013
_FOREIGN: Final = 4403

#: Streamlit's front end needs inline styles, workers from blobs and evaluated code (charts); all from here only.
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
        "worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Gate:
    """Lets through what carries the cookie of a session that the API knows."""

    def __init__(self, app: ASGIApp, *, identities: Identities) -> None:
        self._app = app
        self._identities = identities

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        if scope["type"] == "websocket":
            await self._websocket(connection, scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = None if connection.url.path in _OPEN else await self._refusal(Request(scope))
        await (answer or self._app)(scope, receive, send_with_headers)

    async def _refusal(self, request: Request) -> Response | None:
        """What to answer in place of the app; None when the session is valid."""
        is_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
        try:
            await self._check(request)
        except SignedOut as error:
            if not is_page:
                return PlainTextResponse(str(error), 401)
            there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?next={quote(there, safe='')}", 303)
        except ApiAway as error:
            return _away(str(error)) if is_page else PlainTextResponse(str(error), 503, {"Retry-After": "3"})
        return None

    async def _websocket(self, connection: HTTPConnection, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._check(connection)
        except SignedOut:
            await WebSocketClose(_SIGNED_OUT, "log in first")(scope, receive, send)
            return
        except ApiAway:
            await WebSocketClose(_AWAY, "the hub does not answer")(scope, receive, send)
            return
        if not _same_origin(connection):
            await WebSocketClose(_FOREIGN, "another site's page")(scope, receive, send)
            return

        async def receive_while_valid() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                try:
                    await self._check(connection)
                except SignedOut:
                    await send({"type": "websocket.close", "code": _SIGNED_OUT, "reason": "signed out"})
                    return {"type": "websocket.disconnect", "code": _SIGNED_OUT}
                except ApiAway:
                    pass  # the page says so itself
            return message

        await self._app(scope, receive_while_valid, send)

    async def _check(self, connection: HTTPConnection) -> None:
        token = connection.cookies.get(COOKIE)
        if not token:
            raise SignedOut("Log in first.")
        await asyncio.to_thread(self._identities.of, token)


def _same_origin(connection: HTTPConnection) -> bool:
    """Whether the page that opened the WebSocket is ours; programs other than browsers send no Origin."""
    origin = connection.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == connection.headers.get("host", "")


def _away(why: str) -> HTMLResponse:
    text = (
        f"<h1>The hub does not answer</h1><p>{html.escape(why)}</p>"
        "<p>This page tries again every 3 seconds. "
        "On the machine of the hub, <code>iothub doctor</code> says what is wrong.</p>"
    )
    return HTMLResponse(document("Waiting for the hub", text, refresh_s=3), 503, {"Retry-After": "3"})
