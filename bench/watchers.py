"""Viewers of the dashboard without a Chromium: what theirs send and receive, and no pixel.

    python -m bench.watchers URL TOKEN COUNT

opens Overview COUNT times, each with a WebSocket of its own, asks for every redraw of a live part when it is due, as
Streamlit's front end does, and says ``ready``. When its standard input ends, it prints how many redraws there were a
second. A person's browser has a processor of its own; this is what remains of it for the machine of the hub.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import Final

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from bench.audience import COOKIE, given_to_lookers

#: Subprotocols of the front end: its own name, and a token that nobody checks as the gate has looked at the cookie.
_SUBPROTOCOLS: Final = (Subprotocol("streamlit"), Subprotocol("PLACEHOLDER_AUTH_TOKEN"))


class Watcher:
    """One open page."""

    def __init__(self, link: ClientConnection, url: str) -> None:
        self._link = link
        self._url = url
        self._page = ""
        #: Live part → when it asks next.
        self._timers: dict[str, asyncio.Task[None]] = {}
        #: What the front end has kept and need not be sent again.
        self._kept: set[str] = set()
        self.drawn = asyncio.Event()
        self.redraws = 0

    async def ask(self, part: str = "") -> None:
        """Have the page drawn, or one live part of it."""
        message = BackMsg()
        state = message.rerun_script
        state.page_script_hash = self._page
        state.fragment_id = part
        state.is_auto_rerun = bool(part)
        state.cached_message_hashes.extend(self._kept)
        state.context_info.timezone = "UTC"
        state.context_info.locale = "en-GB"
        state.context_info.url = self._url
        state.context_info.color_scheme = "light"
        await self._link.send(message.SerializeToString())

    async def look(self) -> None:
        """Until the dashboard closes the link."""
        await self.ask()
        try:
            async for frame in self._link:
                message = ForwardMsg()
                message.ParseFromString(frame if isinstance(frame, bytes) else frame.encode())
                self._took(message)
        finally:
            for timer in self._timers.values():
                timer.cancel()

    def _took(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if message.metadata.cacheable:
            self._kept.add(message.hash)
        if kind == "new_session":
            self._page = message.new_session.page_script_hash
        elif kind == "auto_rerun":
            part = message.auto_rerun.fragment_id
            if (old := self._timers.pop(part, None)) is not None:
                old.cancel()
            self._timers[part] = asyncio.create_task(self._again(part, message.auto_rerun.interval))
        elif kind == "script_finished":
            self.redraws += 1
            self.drawn.set()

    async def _again(self, part: str, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            await self.ask(part)


async def watch(url: str, token: str, count: int) -> None:
    """Hold ``count`` pages open until the standard input ends."""
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        watchers = []
        for _ in range(count):
            link = await stack.enter_async_context(
                connect(
                    url.replace("http", "ws", 1) + "/_stcore/stream",
                    additional_headers={"Cookie": f"{COOKIE}={token}"},
                    subprotocols=_SUBPROTOCOLS,
                    max_size=None,
                )
            )
            watchers.append(Watcher(link, url))
        looking = [group.create_task(each.look()) for each in watchers]
        async with asyncio.timeout(60):
            for each in watchers:
                await each.drawn.wait()
        began, before = time.perf_counter(), sum(each.redraws for each in watchers)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        rate = (sum(each.redraws for each in watchers) - before) / (time.perf_counter() - began)
        print(f"{rate:.2f}", flush=True)
        for task in looking:
            task.cancel()


def main() -> None:
    given = given_to_lookers()
    asyncio.run(watch(given.url, given.token, given.count))


if __name__ == "__main__":
    main()
