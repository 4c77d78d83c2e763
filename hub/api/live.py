"""``WS /live``: events as JSON text frames.

    client                                   hub
      ── handshake, Authorization: Bearer ──▶         (or without: then the first frame carries the token;
      ── {"node":"boiler-*"} ───────────────▶          never the URL, which proxies and browsers write down)
      ◀───────────────────── {"type":"ready"} ──
      ◀─────────── {"type":"message", …} … ─────

Close codes: 1008 first frame is wrong or did not come, 4401 no valid token or it has expired, 1013 too many
subscribers, 1001 the hub stops.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from hub.api.auth import unauthorised
from hub.api.livebodies import live_body
from hub.api.parts import Parts, PartsOf
from hub.api.problems import problem_response
from hub.api.schemas_live import LiveReady, LiveSubscribe
from hub.live import EVENT_TYPES, Event, LiveFilter, LiveFull, LiveStream, Skipped
from hub.nodes.callers import Caller
from wire.point import NS_PER_S

router = APIRouter()

_FIRST_FRAME_S: Final = 10.0
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
    caller = await _holder(header.partition(" ")[2].strip(), parts) if header is not None else None
    if header is not None and caller is None:
        await socket.send_denial_response(problem_response(socket, unauthorised(given=True)))
        return
    await socket.accept()
    try:
        wanted, caller = await _first_frame(socket, caller, parts)
        async with parts.live.subscribe(_filter(wanted)) as stream:
            await socket.send_text(LiveReady().model_dump_json())
            async with _until(caller, parts):
                with _statistics(wanted, parts):
                    await _follow(socket, stream)
        await _close(socket, _GOING_AWAY, "the hub stops")
    except _CloseError as close:
        await _close(socket, close.code, close.reason)
    except LiveFull as full:
        await _close(socket, _TRY_LATER, str(full))
    except WebSocketDisconnect:
        pass


async def _first_frame(socket: WebSocket, caller: Caller | None, parts: Parts) -> tuple[LiveSubscribe, Caller]:
    try:
        async with asyncio.timeout(_FIRST_FRAME_S):
            text = await socket.receive_text()
    except TimeoutError:
        raise _CloseError(_POLICY, f"no first frame within {_FIRST_FRAME_S:g} s") from None
    except KeyError:
        raise _CloseError(_POLICY, "the first frame must be text") from None
    try:
        wanted = LiveSubscribe.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _CloseError(_POLICY, f"first frame: {where} {first['msg']}".replace("  ", " ")) from None
    if caller is None and wanted.token is not None:
        caller = await _holder(wanted.token.get_secret_value(), parts)
    if caller is None:
        raise _CloseError(_UNAUTHORISED, "a valid token is needed: Authorization header, or token in the first frame")
    return wanted, caller


async def _holder(token: str, parts: Parts) -> Caller | None:
    return await parts.registry.users.holder(token, parts.clock_ns())


@contextlib.asynccontextmanager
async def _until(caller: Caller, parts: Parts) -> AsyncIterator[None]:
    left_s = (caller.expires_ns - parts.clock_ns()) / NS_PER_S if caller.expires_ns is not None else None
    try:
        async with asyncio.timeout(left_s):
            yield
    except TimeoutError:
        raise _CloseError(_UNAUTHORISED, "the token has expired") from None


def _statistics(wanted: LiveSubscribe, parts: Parts) -> contextlib.AbstractContextManager[None]:
    """Have the statistics kept that are wanted, while they are."""
    if parts.alerting is None or "stats" not in (wanted.types or ()):
        return contextlib.nullcontext()
    return parts.alerting.stats.wanted(wanted.node, wanted.measurement, wanted.window_s)


async def _follow(socket: WebSocket, stream: LiveStream) -> None:
    """Send events until the hub stops; WebSocketDisconnect when the client goes."""
    sending = asyncio.ensure_future(_send(socket, stream))
    listening = asyncio.ensure_future(_listen(socket))
    try:
        done, _ = await asyncio.wait((sending, listening), return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        listening.cancel()
        await asyncio.gather(sending, listening, return_exceptions=True)
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


def _filter(wanted: LiveSubscribe) -> LiveFilter:
    names = wanted.types if wanted.types is not None else EVENT_TYPES
    return LiveFilter(
        node=wanted.node, measurement=wanted.measurement, types=frozenset(EVENT_TYPES[name] for name in names)
    )


def _encoded(event: Event | Skipped) -> str:
    """As ``schemas_live`` says."""
    return msgspec.json.encode(live_body(event)).decode()
