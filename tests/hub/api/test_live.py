"""``WS live`` with a real client."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import websockets
from pydantic import TypeAdapter

from hub.api.schemas_live import LiveEvent
from hub.live import MessageEvent, NodeEvent, Outcome
from hub.nodes.callers import Scope
from hub.nodes.model import Change
from tests.support.api import bearer, running_api
from tests.support.waiting import eventually
from wire.point import Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

    from tests.support.api import Api

S = 1_000_000_000
T0 = 1_763_750_000 * S
EVENTS: TypeAdapter[Any] = TypeAdapter(LiveEvent)


def stored(node: str = "dev", number: int = 0) -> MessageEvent:
    point = Point(SeriesKey(node, "room", (("floor", "1"),)), T0 + 1, {"t": 21.5, "door": True, "note": "hi"})
    return MessageEvent(
        T0 + number * S, f"iot/v1/{node}/telemetry/room", node, "room", Outcome.STORED, 40, points=(point,)
    )


def url(api: Api) -> str:
    return api.url.replace("http", "ws", 1) + "/api/v1/live"


@contextlib.asynccontextmanager
async def following(api: Api, **wanted: Any) -> AsyncIterator[ClientConnection]:
    """A client that was told that events follow."""
    async with asyncio.timeout(60), websockets.connect(url(api), additional_headers=bearer(api.token)) as client:
        await client.send(json.dumps(wanted))
        assert json.loads(await client.recv()) == {"type": "ready"}
        yield client


async def closed_with(client: ClientConnection) -> tuple[int, str]:
    async with asyncio.timeout(60):
        with contextlib.suppress(websockets.ConnectionClosedError):
            async for _ in client:
                pass
        await client.wait_closed()
    return client.close_code or 0, client.close_reason or ""


def test_messages_and_nodes_are_shown_as_the_schema_says(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api, following(api) as client:
            api.parts.live.publish(stored())
            api.parts.live.publish(
                MessageEvent(T0, "iot/v1/x/y", None, None, Outcome.REFUSED, 3, "unknown-topic", "'y' is none of …")
            )
            api.parts.live.publish(NodeEvent(T0, "dev", Change.OFFLINE, "shutdown", "s1", 90 * S))
            texts = [await client.recv() for _ in range(3)]
            assert json.loads(texts[0]) == {
                "type": "message",
                "at": "2025-11-21T18:33:20.000Z",
                "topic": "iot/v1/dev/telemetry/room",
                "node": "dev",
                "measurement": "room",
                "outcome": "stored",
                "reason": None,
                "detail": None,
                "points": [
                    {
                        "time": "2025-11-21T18:33:20.000000001Z",
                        "measurement": "room",
                        "tags": {"floor": "1"},
                        "fields": {"t": 21.5, "door": True, "note": "hi"},
                    }
                ],
                "size_bytes": 40,
            }
            refused, gone = (EVENTS.validate_json(text) for text in texts[1:])
            assert (refused.outcome, refused.reason, refused.points) == ("refused", "unknown-topic", [])
            assert (gone.change, gone.reason, gone.duration_s) == ("offline", "shutdown", 90.0)

    asyncio.run(scenario())


def test_only_what_is_wanted_is_sent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api, following(api, node="dev-*", types=["message"]) as client:
            live = api.parts.live
            assert live.wanted
            live.publish(NodeEvent(T0, "dev-1", Change.ONLINE, "birth"))
            live.publish(stored("other"))
            live.publish(stored("dev-1"))
            assert json.loads(await client.recv())["node"] == "dev-1"

    asyncio.run(scenario())


def test_when_the_last_client_goes_nothing_is_wanted_any_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            async with following(api):
                assert api.parts.live.wanted
            await eventually(lambda: not api.parts.live.wanted, what="the stream of the client that went is dropped")

    asyncio.run(scenario())


def test_a_client_that_breaks_off_without_a_word_is_dropped(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api, following(api) as client:
            client.transport.abort()
            await eventually(lambda: not api.parts.live.wanted)

    asyncio.run(scenario())


def test_a_client_that_does_not_read_is_told_what_it_missed_and_holds_nothing_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api, following(api) as client:
            client.transport.pause_reading()
            published = 0

            def overflow() -> bool:
                nonlocal published
                for _ in range(500):
                    api.parts.live.publish(stored(number=published))
                    published += 1
                return any(stream._skipped for stream in api.parts.live._streams.values())

            await eventually(overflow, what="the queue of the client overflows")
            client.transport.resume_reading()
            accounted, skipped = 0, 0
            while accounted < published:
                event = json.loads(await client.recv())
                accounted += event.get("n", 1)
                skipped += event["type"] == "skipped"
            assert accounted == published
            assert skipped >= 1

    asyncio.run(scenario())


def test_without_a_header_the_first_frame_carries_the_token(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api, websockets.connect(url(api)) as client:
            await client.send(json.dumps({"token": api.token, "types": ["node"]}))
            assert json.loads(await client.recv()) == {"type": "ready"}

    asyncio.run(scenario())


WRONG_FIRST_FRAMES: list[tuple[str | bytes, int]] = [
    ("{}", 4401),
    ('{"token": "wrong"}', 4401),
    ("not json", 1008),
    ("[]", 1008),
    ('{"nodes": "x"}', 1008),
    ('{"types": ["everything"]}', 1008),
    (b"{}", 1008),
]


def test_a_first_frame_that_is_wrong_closes_the_connection_and_says_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            for frame, code in WRONG_FIRST_FRAMES:
                async with websockets.connect(url(api)) as client:
                    await client.send(frame)
                    got, reason = await closed_with(client)
                    assert got == code, frame
                    assert reason
            assert not api.parts.live.wanted

    asyncio.run(scenario())


def test_a_frame_that_is_too_large_closes_the_connection(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api, websockets.connect(url(api)) as client:
            await client.send(json.dumps({"node": "x" * 200_000}))
            assert (await closed_with(client))[0] == 1009

    asyncio.run(scenario())


def test_a_token_that_expires_ends_the_stream(tmp_path: Path) -> None:
    async def end_of_a_token_for(api: Api, seconds: int) -> tuple[int, str] | None:
        """What ended the stream; nothing when a busy machine let the token expire before there was one."""
        token = await api.parts.registry.users.issue("admin", Scope.READ, api.clock(), api.clock() + seconds * S)
        try:
            async with websockets.connect(url(api), additional_headers=bearer(token)) as client:
                await client.send("{}")
                return await closed_with(client)
        except websockets.InvalidStatus:
            return None

    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            ended = None
            for seconds in (2, 8, 32):
                if (ended := await end_of_a_token_for(api, seconds)) is not None:
                    break
            assert ended == (4401, "the token has expired")

    asyncio.run(scenario())


def test_the_end_of_the_hub_ends_the_stream(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api, following(api) as client:
            api.parts.live.close()
            assert await closed_with(client) == (1001, "the hub stops")

    asyncio.run(scenario())


def test_clients_that_still_follow_do_not_hold_the_end_of_the_server_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        clients = []
        async with asyncio.timeout(60):
            async with running_api(tmp_path) as api:
                for _ in range(3):
                    client = await websockets.connect(url(api), additional_headers=bearer(api.token))
                    await client.send("{}")
                    await client.recv()
                    clients.append(client)
            for client in clients:
                assert (await closed_with(client))[0] in (1001, 1012)

    asyncio.run(scenario())


def test_one_subscriber_too_many_is_told_to_try_later(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api, following(api):
            api.parts.live._max_streams = 1
            async with websockets.connect(url(api), additional_headers=bearer(api.token)) as client:
                await client.send("{}")
                assert (await closed_with(client))[0] == 1013

    asyncio.run(scenario())
