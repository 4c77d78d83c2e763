"""The hub's link in tests: run it, collect what it brings, publish by another program."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from hub.link import Filter, Link, LinkOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from hub.link import Batch, Message
    from hub.subscriptions import Subscriptions

_LIMIT_S = 30.0


def make_link(
    port: int,
    *filters: str | Filter,
    client_id: str = "hub",
    on_connect: Callable[[], None] | None = None,
    subscriptions: Subscriptions | None = None,
    **options: Any,
) -> Link:
    """A link to a broker on this port of 127.0.0.1; ``options`` are those of :class:`LinkOptions`."""
    wanted = [Filter(each) if isinstance(each, str) else each for each in filters]
    known = LinkOptions("127.0.0.1", port, client_id, **options)
    return Link(known, wanted, on_connect=on_connect, subscriptions=subscriptions)


@asynccontextmanager
async def running(link: Link) -> AsyncIterator[asyncio.Task[Any]]:
    """Run ``link`` while the body does; it says DISCONNECT at its end."""
    task = asyncio.create_task(link.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def connected(
    port: int,
    *filters: str | Filter,
    client_id: str = "hub",
    on_connect: Callable[[], None] | None = None,
    **options: Any,
) -> AsyncIterator[Link]:
    """A link that is connected and subscribed."""
    subscribed = asyncio.Event()

    def note() -> None:
        subscribed.set()
        if on_connect is not None:
            on_connect()

    link = make_link(port, *filters, client_id=client_id, on_connect=note, **options)
    async with running(link):
        await asyncio.wait_for(subscribed.wait(), 60)
        yield link


async def collect(link: Link, count: int, *, acknowledge: bool = True) -> list[Message]:
    """The next ``count`` messages at least, in order of arrival; each batch is acknowledged as it comes."""
    messages: list[Message] = []
    async with asyncio.timeout(60):
        while len(messages) < count:
            batch = await link.batch()
            messages += batch.messages
            if acknowledge:
                link.acknowledge(batch)
    return messages


async def settle(link: Link) -> None:
    """Return when the broker has seen every acknowledgement sent so far; a new connection could overtake them."""
    await link.publish("settled", b"")


async def collect_batches(link: Link, count: int) -> list[Batch]:
    """Batches of at least ``count`` messages, not acknowledged."""
    batches: list[Batch] = []
    async with asyncio.timeout(60):
        while sum(len(batch.messages) for batch in batches) < count:
            batches.append(await link.batch())
    return batches


def payloads(messages: Sequence[Message]) -> list[bytes]:
    return [message.payload for message in messages]


def numbered(start: int, stop: int) -> list[bytes]:
    """Payloads that can be told apart."""
    return [b"%06d" % i for i in range(start, stop)]


async def pub(port: int, topic: str, lines: Sequence[bytes], *, retain: bool = False) -> None:
    """Publish each line by mosquitto_pub at QoS 1, and wait until the broker acknowledged all of them."""
    argv = ["mosquitto_pub", "-V", "5", "-p", str(port), "-q", "1", "-t", topic, *(["-r"] if retain else []), "-l"]
    text = b"".join(line + b"\n" for line in lines)
    done = await asyncio.to_thread(subprocess.run, argv, input=text, check=True, timeout=20, capture_output=True)
    assert not done.stderr, done.stderr


def run(test: Callable[[], Awaitable[None]], limit_s: float = _LIMIT_S) -> None:
    """``asyncio.run`` with a limit, so that a test that hangs fails where it hangs."""

    async def limited() -> None:
        async with asyncio.timeout(limit_s):
            await test()

    asyncio.run(limited())
