"""``WS /live``: events as JSON text frames.

    client                                   hub
      ── handshake, Authorization: Bearer ──▶         (or without: then the first frame carries the token;
      ── {"node":"boiler-*"} ───────────────▶          never the URL, which proxies and browsers write down)
      ◀───────────────────── {"type":"ready"} ──
      ◀─────────── {"type":"message", …} … ─────

Close codes: 1008 first frame is wrong or did not come, 4401 no valid token or it has expired or was revoked, 1013 too
many subscribers, or connect again because other nodes may be seen now, 1001 the hub stops.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final, Never
from urllib.parse import urlsplit

import msgspec
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from hub.api.auth import holder_of, unauthorised
from hub.api.livebodies import live_body
from hub.api.parts import Parts, PartsOf
from hub.api.problems import ProblemError, problem_response
from hub.api.schemas_live import LiveReady, LiveSubscribe
from hub.live import EVENT_TYPES, Event, LiveFilter, LiveFull, LiveStream, Skipped
from hub.nodes.callers import Caller
from wire.point import NS_PER_S

router = APIRouter()

_FIRST_FRAME_S: Final = 10.0
#: What changed elsewhere, in the database itself, is noticed after so long.
_ASK_AGAIN_S: Final = 30.0
_GOING_AWAY: Final = 1001
_POLICY: Final = 1008
_TRY_LATER: Final = 1013
_UNAUTHORISED: Final = 4401
#: A close frame holds 123 bytes of reason.
_MAX_REASON: Final = 120


class _CloseError(Exception):
    """Close the connection with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@router.websocket("/live")
async def live(socket: WebSocket, parts: PartsOf) -> None:
    """Follow what becomes of messages and nodes."""
    header = socket.headers.get("authorization")
    token = header.partition(" ")[2].strip() if header is not None else None
    try:
        _check_origin(socket)
        if token is not None and await holder_of(token, socket, parts) is None:
            raise unauthorised(given=True)
    except ProblemError as error:
        await socket.send_denial_response(problem_response(socket, error))
        return
    await socket.accept()
    try:
        wanted = await _first_frame(socket)
        if token is None and wanted.token is not None:
            token = wanted.token.get_secret_value()
        revision = parts.registry.users.revision.next()
        caller = await _holder(token, socket, parts)
        async with parts.live.subscribe(_filter(wanted, caller)) as stream:
            await socket.send_text(LiveReady().model_dump_json())
            with _statistics(wanted, parts):
                await _follow(socket, stream, _while_valid(token or "", caller, parts, revision))
        await _close(socket, _GOING_AWAY, "the hub stops")
    except _CloseError as close:
        await _close(socket, close.code, close.reason)
    except LiveFull as full:
        await _close(socket, _TRY_LATER, str(full))
    except WebSocketDisconnect:
        pass


async def _first_frame(socket: WebSocket) -> LiveSubscribe:
    try:
        async with asyncio.timeout(_FIRST_FRAME_S):
            text = await socket.receive_text()
    except TimeoutError:
        raise _CloseError(_POLICY, f"no first frame within {_FIRST_FRAME_S:g} s") from None
    except KeyError:
        raise _CloseError(_POLICY, "the first frame must be text") from None
    try:
        return LiveSubscribe.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _CloseError(_POLICY, f"first frame: {where} {first['msg']}".replace("  ", " ")) from None


def _check_origin(socket: WebSocket) -> None:
    """Refuse pages of other sites: browsers say where a page came from, programs say nothing.

    Raises:
        ProblemError: 403.
    """
    origin = socket.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != socket.headers.get("host", ""):
        raise ProblemError(403, "Pages of other sites may not follow live events.", kind="foreign-origin")


async def _holder(token: str | None, socket: WebSocket, parts: Parts) -> Caller:
    caller = None
    if token is not None:
        try:
            caller = await holder_of(token, socket, parts)
        except ProblemError as error:
            raise _CloseError(_TRY_LATER, error.detail) from None
    if caller is None:
        raise _CloseError(_UNAUTHORISED, "a valid token is needed: Authorization header, or token in the first frame")
    return caller


async def _while_valid(token: str, caller: Caller, parts: Parts, revision: asyncio.Event) -> Never:
    """Ask anew who holds the token whenever rights change, and now and then.

    Raises:
        _CloseError: it is valid no longer, or its holder sees other nodes than before.
    """
    users = parts.registry.users
    while True:
        now_ns = parts.clock_ns()
        left_s = (caller.expires_ns - now_ns) / NS_PER_S if caller.expires_ns is not None else _ASK_AGAIN_S
        if left_s <= 0:
            raise _CloseError(_UNAUTHORISED, "the token has expired")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(left_s, _ASK_AGAIN_S)):
                await revision.wait()
        revision = users.revision.next()
        holder = await users.holder(token, parts.clock_ns())
        if holder is None and (caller.expires_ns is None or parts.clock_ns() < caller.expires_ns):
            raise _CloseError(_UNAUTHORISED, "the token was revoked")
        if holder is not None and holder.nodes != caller.nodes:
            raise _CloseError(_TRY_LATER, "other nodes are yours to see now: connect again")


def _statistics(wanted: LiveSubscribe, parts: Parts) -> contextlib.AbstractContextManager[None]:
    """Have the statistics kept that are wanted, while they are."""
    if parts.alerting is None or "stats" not in (wanted.types or ()):
        return contextlib.nullcontext()
    return parts.alerting.stats.wanted(wanted.node, wanted.measurement, wanted.window_s)


async def _follow(socket: WebSocket, stream: LiveStream, watch: Coroutine[Any, Any, Never]) -> None:
    """Send events until the hub stops; WebSocketDisconnect when the client goes, or what ``watch`` raises."""
    tasks = [asyncio.ensure_future(each) for each in (_send(socket, stream), _listen(socket), watch)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _send(socket: WebSocket, stream: LiveStream) -> None:
    async for event in stream:
        await socket.send_text(_encoded(event))


async def _listen(socket: WebSocket) -> None:
    """Wait for the client to go; what else it sends is ignored."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
    raise WebSocketDisconnect


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it may have gone in between
        await socket.close(code, reason.encode()[:_MAX_REASON].decode(errors="ignore"))


def _filter(wanted: LiveSubscribe, caller: Caller) -> LiveFilter:
    names = wanted.types if wanted.types is not None else EVENT_TYPES
    return LiveFilter(
        node=wanted.node,
        measurement=wanted.measurement,
        types=frozenset(EVENT_TYPES[name] for name in names),
        nodes=caller.nodes,
    )


def _encoded(event: Event | Skipped) -> str:
    """As ``schemas_live`` says."""
    return msgspec.json.encode(live_body(event)).decode()
