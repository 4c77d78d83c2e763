"""ASGI middleware: nothing but the login page and a liveness check is reached without a valid session.

request ─▶ open path? ───────────────────────────────────────────────▶ app
        └▶ cookie ─▶ identity ─▶ known ──────────────────────────────▶ app
                              ├▶ signed out ─▶ page: to /login · WebSocket: closed · else 401
                              └▶ API away ───▶ page that says so and tries again · else 503

A WebSocket lives long, so it is judged anew with each frame that the browser sends, and every few seconds of silence:
after logout it is closed, and the page asks where to log in (shell.py).
"""

from __future__ import annotations

import asyncio
import html
from functools import partial
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
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from dashboard.identity import Identities

_OPEN: Final = frozenset({"/login", "/login/oidc", "/login/callback", "/logout", "/_stcore/health"})
_SIGNED_OUT: Final = 4401
_AWAY: Final = 1013
#: A page that only stands there is judged anew so often.
_SILENT_S: Final = 5.0
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

        line = _Line(receive, send, partial(self._check, connection))
        try:
            await self._app(scope, line.receive, line.send)
        finally:
            line.end()

    async def _check(self, connection: HTTPConnection) -> None:
        token = connection.cookies.get(COOKIE)
        if not token:
            raise SignedOut("Log in first.")
        await asyncio.to_thread(self._identities.of, token)


class _Line:
    """A WebSocket that ends with its session, also where nobody touches the page.

    Args:
        receive: of the server.
        send: of the server.
        check: raises ``SignedOut`` once the session is over.
    """

    def __init__(self, receive: Receive, send: Send, check: Callable[[], Awaitable[None]]) -> None:
        self._receive = receive
        self._send = send
        self._check = check
        self._coming: asyncio.Future[Message] | None = None
        self._is_closed = False

    async def receive(self) -> Message:
        """What the browser sends next, or its end."""
        if self._coming is None:
            self._coming = asyncio.ensure_future(self._receive())
        while not self._is_closed:
            await asyncio.wait({self._coming}, timeout=_SILENT_S)
            if self._coming.done() and self._coming.result()["type"] == "websocket.disconnect":
                break
            try:
                await self._check()
            except SignedOut:
                await self.send({"type": "websocket.close", "code": _SIGNED_OUT, "reason": "signed out"})
                break
            except ApiAway:
                pass  # the page says so itself
            if self._coming.done():
                message, self._coming = self._coming.result(), None
                return message
        self._is_closed = True
        return {"type": "websocket.disconnect", "code": _SIGNED_OUT}

    async def send(self, message: Message) -> None:
        """Send; OSError after the end, as ASGI has it, which the app takes for a browser that has left."""
        if self._is_closed:
            raise OSError("The browser has left.")
        self._is_closed = message["type"] == "websocket.close"
        await self._send(message)

    def end(self) -> None:
        """Wait for nothing any more."""
        if self._coming is not None:
            self._coming.cancel()


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
