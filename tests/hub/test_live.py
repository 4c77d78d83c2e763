from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.live import Live, LiveFilter, LiveFull, MessageEvent, NodeEvent, Outcome, Skipped, node_event
from hub.nodes.model import Change, Transition

if TYPE_CHECKING:
    from hub.live import Event, LiveStream


def message(number: int = 0, *, node: str | None = "dev", measurement: str | None = "room") -> MessageEvent:
    return MessageEvent(number, f"iot/v1/{node}/telemetry/{measurement}", node, measurement, Outcome.STORED, 10)


def about(node: str = "dev") -> NodeEvent:
    return NodeEvent(0, node, Change.ONLINE, "birth")


async def read(stream: LiveStream, count: int) -> list[Event | Skipped]:
    async with asyncio.timeout(60):
        return [await anext(stream) for _ in range(count)]


def test_events_come_in_order() -> None:
    async def scenario() -> None:
        live = Live()
        async with live.subscribe() as stream:
            sent = [message(number) for number in range(5)]
            for event in sent:
                live.publish(event)
            assert await read(stream, 5) == sent

    asyncio.run(scenario())


def test_a_waiting_subscriber_is_woken() -> None:
    async def scenario() -> None:
        live = Live()
        async with live.subscribe() as stream:
            waiting = asyncio.create_task(read(stream, 1))
            await asyncio.sleep(0)
            live.publish(message(7))
            assert await waiting == [message(7)]

    asyncio.run(scenario())


def test_nothing_is_wanted_without_a_subscriber_to_messages() -> None:
    async def scenario() -> None:
        live = Live()
        assert not live.wanted
        async with live.subscribe(LiveFilter(types=frozenset([NodeEvent]))):
            assert not live.wanted
            async with live.subscribe():
                assert bool(live.wanted)
            assert not live.wanted
        live.publish(message())  # reaches nobody, harms nobody

    asyncio.run(scenario())


def test_a_slow_subscriber_loses_the_oldest_and_is_told_how_many() -> None:
    async def scenario() -> None:
        live = Live(queue=3)
        async with live.subscribe() as slow, live.subscribe() as quick:
            got = []
            for number in range(10):
                live.publish(message(number))
                got += await read(quick, 1)
            assert got == [message(number) for number in range(10)]
            assert await read(slow, 4) == [Skipped(7), message(7), message(8), message(9)]
            live.publish(message(10))
            assert await read(slow, 1) == [message(10)]

    asyncio.run(scenario())


@given(st.lists(st.sampled_from(["publish", "read"]), max_size=60), st.integers(1, 5))
def test_every_event_is_either_given_or_counted_as_skipped(steps: list[str], queue: int) -> None:
    async def scenario() -> None:
        live = Live(queue=queue)
        published = accounted = 0
        async with live.subscribe() as stream:
            for step in [*steps, *["read"] * (queue + 1)]:
                if step == "publish":
                    live.publish(message(published))
                    published += 1
                elif accounted < published:
                    (got,) = await read(stream, 1)
                    if isinstance(got, Skipped):
                        accounted += got.n
                    else:
                        assert isinstance(got, MessageEvent)
                        assert got.at_ns == accounted
                        accounted += 1
            assert accounted == published

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (LiveFilter(node="dev*"), ["dev room", "dev none", "node dev"]),
        (LiveFilter(measurement="ro?m"), ["dev room", "node dev"]),
        (LiveFilter(node="other", measurement="*"), []),
        (LiveFilter(types=frozenset([NodeEvent])), ["node dev"]),
        (LiveFilter(types=frozenset([MessageEvent])), ["dev room", "dev none", "unknown"]),
        (LiveFilter(types=frozenset()), []),
        (LiveFilter(node="[d-e]ev"), ["dev room", "dev none", "node dev"]),
    ],
)
def test_only_chosen_events_arrive(chosen: LiveFilter, expected: list[str]) -> None:
    events: dict[str, Event] = {
        "dev room": message(),
        "dev none": message(measurement=None),
        "unknown": message(node=None, measurement=None),
        "node dev": about(),
    }

    async def scenario() -> None:
        live = Live()
        async with live.subscribe(chosen) as stream:
            for event in events.values():
                live.publish(event)
            live.close()
            assert [event async for event in stream] == [events[name] for name in expected]

    asyncio.run(scenario())


def test_closing_ends_streams_after_what_they_hold_and_those_that_come_later() -> None:
    async def scenario() -> None:
        live = Live()
        async with asyncio.timeout(60), live.subscribe() as stream:
            live.publish(message())
            live.close()
            assert [event async for event in stream] == [message()]
            async with live.subscribe() as late:
                assert [event async for event in late] == []

    asyncio.run(scenario())


def test_the_number_of_subscribers_is_bounded() -> None:
    async def scenario() -> None:
        live = Live(max_streams=1)
        async with live.subscribe():
            with pytest.raises(LiveFull, match="1 subscribers"):
                async with live.subscribe():
                    pass
        async with live.subscribe():
            pass

    asyncio.run(scenario())


def test_a_transition_is_shown_with_the_duration_of_the_connection_that_ended() -> None:
    gone = Transition("dev", Change.OFFLINE, 90, "shutdown", session="s1", connected_ns=10, ended_ns=70)
    assert node_event(gone) == NodeEvent(90, "dev", Change.OFFLINE, "shutdown", "s1", 60)
