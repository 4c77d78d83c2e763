"""A WebSocket behind the gate lives as long as its session, and what is sent after its end is no error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import dashboard.gate
from dashboard.errors import ApiAway, SignedOut
from dashboard.gate import Gate
from dashboard.identity import COOKIE, Identity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Message, Receive, Scope, Send

SCOPE: dict[str, Any] = {
    "type": "websocket",
    "path": "/_stcore/stream",
    "headers": [(b"cookie", f"{COOKIE}=token".encode()), (b"host", b"dash")],
}


class Known:
    """Identities of which each can end."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def of(self, token: str) -> Identity:
        if self.error is not None:
            raise self.error
        return Identity("ann", "viewer", "read", token)


class Browser:
    """The other end of the WebSocket."""

    def __init__(self) -> None:
        self.sends: asyncio.Queue[Message] = asyncio.Queue()
        self.got: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.got.append(message)


def talking(app: Callable[[Known, Browser, Receive, Send], Awaitable[None]]) -> tuple[list[Message], bool]:
    """Run ``app`` behind the gate for a browser that is silent; what the browser got, and whether it was cut off."""
    known, browser = Known(), Browser()

    async def inner(_: Scope, receive: Receive, send: Send) -> None:
        await app(known, browser, receive, send)

    async def scenario() -> bool:
        before = asyncio.all_tasks()
        await Gate(inner, identities=known)(dict(SCOPE), browser.sends.get, browser)  # type: ignore[arg-type]  # only asked
        await asyncio.sleep(0)
        return asyncio.all_tasks() == before

    return browser.got, asyncio.run(scenario())


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard.gate, "_SILENT_S", 0.01)


def test_a_silent_page_is_closed_once_its_session_is_over() -> None:
    async def app(known: Known, _: Browser, receive: Receive, _send: Send) -> None:
        known.error = SignedOut("over")
        assert (await receive())["type"] == "websocket.disconnect"
        assert (await receive())["type"] == "websocket.disconnect"

    got, nothing_left = talking(app)
    assert [(message["type"], message["code"]) for message in got] == [("websocket.close", 4401)]
    assert nothing_left


def test_what_is_sent_after_the_end_of_the_session_is_refused_as_to_a_browser_that_has_left() -> None:
    async def app(known: Known, _: Browser, receive: Receive, send: Send) -> None:
        known.error = SignedOut("over")
        await receive()
        with pytest.raises(OSError, match="left"):
            await send({"type": "websocket.send", "bytes": b"what nobody may see any more"})

    got, _ = talking(app)
    assert [message["type"] for message in got] == ["websocket.close"]


def test_what_a_browser_sends_while_the_hub_is_away_still_arrives() -> None:
    async def app(known: Known, browser: Browser, receive: Receive, send: Send) -> None:
        known.error = ApiAway("away")
        await asyncio.sleep(0.05)  # several looks at the session
        browser.sends.put_nowait({"type": "websocket.receive", "bytes": b"draw"})
        assert (await receive())["bytes"] == b"draw"
        await send({"type": "websocket.send", "bytes": b"drawn"})

    got, _ = talking(app)
    assert [message["bytes"] for message in got] == [b"drawn"]


def test_a_browser_that_leaves_ends_the_connection_without_a_word() -> None:
    async def app(_: Known, browser: Browser, receive: Receive, send: Send) -> None:
        browser.sends.put_nowait({"type": "websocket.disconnect", "code": 1001})
        assert (await receive())["type"] == "websocket.disconnect"
        with pytest.raises(OSError, match="left"):
            await send({"type": "websocket.send", "bytes": b"late"})

    got, nothing_left = talking(app)
    assert got == []
    assert nothing_left
