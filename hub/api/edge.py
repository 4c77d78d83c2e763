"""The outermost layer of the application: bounds what comes in, and answers when everything else failed."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request

from hub.api.headers import SECURITY_HEADERS
from hub.api.problems import ProblemError, problem_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hub.api.parts import Parts

_MAX_BODY_BYTES: Final = 1 << 20

_log = structlog.get_logger("hub.api")


class Edge:
    """ASGI middleware.

    * A body of more than 1 MiB is refused with 413, before it is held in memory.
    * Every answer has :data:`SECURITY_HEADERS`, where the route set none of its own.
    * Every answer is counted by its status.
    * An error that nobody foresaw is logged under a number, and the client is told the number: 500.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken_bytes, answering = 0, False
        parts: Parts = scope["app"].state.parts

        async def bounded_receive() -> Message:
            nonlocal taken_bytes
            message = await receive()
            taken_bytes += len(message.get("body", b""))
            if taken_bytes > _MAX_BODY_BYTES:
                raise HTTPException(413)
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal answering
            if message["type"] == "http.response.start":
                answering = True
                parts.requested(message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, bounded_receive, send_with_headers)
        except Exception as error:  # what is left here is a fault of ours; the server goes on
            incident = secrets.token_hex(4)
            _log.exception("request failed", incident=incident, method=scope["method"], path=scope["path"])
            if answering:
                raise ConnectionAbortedError(f"incident {incident}") from error  # so that it does not look whole
            told = f"The hub failed to answer; its log says why under incident {incident}."
            await problem_response(Request(scope), ProblemError(500, told, kind="internal"))(scope, receive, send)
