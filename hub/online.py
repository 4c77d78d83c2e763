"""Waits until the hub sees a node online, by its own API: what ``iothub up`` calls the agent's readiness."""

from __future__ import annotations

from typing import Final

import httpx
from pydantic import ValidationError
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from hub.api.schemas import Node
from hub.api.schemas_live import LiveNode, LiveSubscribe

_PREFIX: Final = "/api/v1"


async def until_online(api_url: str, token: str, node: str) -> bool:
    """Return True as soon as ``node`` is online; False when the hub cannot be asked."""
    headers = {"Authorization": f"Bearer {token}"}
    url = api_url.replace("http", "ws", 1) + _PREFIX + "/live"
    try:
        async with connect(url, additional_headers=headers, proxy=None) as live:
            await live.send(LiveSubscribe(node=node, types=["node"]).model_dump_json(exclude_none=True))
            await live.recv()  # from here on no event is missed, so that asking once is enough
            if await _is_online(api_url, headers, node):
                return True
            async for frame in live:
                if _says_online(frame, node):
                    return True
    except (OSError, WebSocketException, httpx.HTTPError):
        return False
    return False


async def _is_online(api_url: str, headers: dict[str, str], node: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{api_url}{_PREFIX}/nodes/{node}", headers=headers)
    return answer.is_success and Node.model_validate_json(answer.content).contact == "online"


def _says_online(frame: str | bytes, node: str) -> bool:
    try:
        event = LiveNode.model_validate_json(frame)
    except ValidationError:
        return False
    return event.node == node and event.change == "online"
