"""What the link brings, against a real Mosquitto: order, acknowledgements, sessions, flow control."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from hub.link import Will
from tests.support.links import (
    collect,
    collect_batches,
    connected,
    make_link,
    numbered,
    payloads,
    pub,
    run,
    running,
    settle,
)
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.link import Link


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker that no test stops; each test uses topics and client ids of its own."""
    with Mosquitto(tmp_path_factory.mktemp("mosquitto"), lines=["max_packet_size 20000000"]) as running_one:
        yield running_one


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker of the test's own, to be stopped and started."""
    with Mosquitto(tmp_path / "mosquitto") as running_one:
        yield running_one


def paused(link: Link) -> bool:
    assert link._connection is not None
    return link._connection.paused


# -- messages in ------------------------------------------------------------------------------------------------------


def test_messages_arrive_in_order_and_many_at_a_time(shared: Mosquitto) -> None:
    async def test() -> None:
        async with connected(shared.port, "a/#", client_id="a") as link:
            await pub(shared.port, "a/x", numbered(0, 5000))
            batches = await collect_batches(link, 5000)
            assert [m.payload for batch in batches for m in batch.messages] == numbered(0, 5000)
            assert len(batches) < 500
            assert all(m.topic == "a/x" and not m.retain for batch in batches for m in batch.messages)
            assert link.received == link.in_flight_messages == 5000
            for batch in batches:
                link.acknowledge(batch)
            assert link.in_flight_messages == 0

    run(test)


def test_what_is_not_acknowledged_comes_again_in_order(shared: Mosquitto) -> None:
    async def test() -> None:
        async with connected(shared.port, "b/#", client_id="b") as link:
            await pub(shared.port, "b/x", numbered(0, 50))
            await collect(link, 50)
            await pub(shared.port, "b/x", numbered(50, 100))
            first = await collect(link, 50, acknowledge=False)
            await settle(link)
            assert not any(m.duplicate for m in first)
        async with connected(shared.port, "b/#", client_id="b") as link:
            again = await collect(link, 50)
            assert payloads(again) == payloads(first) == numbered(50, 100)
            assert all(m.duplicate for m in again)
            await settle(link)
        async with connected(shared.port, "b/#", client_id="b") as link:
            await pub(shared.port, "b/x", [b"end"])
            assert payloads(await collect(link, 1)) == [b"end"]

    run(test)


def test_messages_of_a_time_without_the_link_are_kept_for_it(shared: Mosquitto) -> None:
    async def test() -> None:
        async with connected(shared.port, "c/#", client_id="c"):
            pass
        await pub(shared.port, "c/x", numbered(0, 200))
        async with connected(shared.port, "c/#", client_id="c") as link:
            assert payloads(await collect(link, 200)) == numbered(0, 200)

    run(test)


def test_a_payload_larger_than_the_buffer_arrives_whole(shared: Mosquitto) -> None:
    sizes = [5 << 20, 1, (1 << 20) - 10, (1 << 20) - 9, 1 << 20, (1 << 20) + 1, 3, 1 << 19, (1 << 19) + 1, 0]
    sent = [(f"d/{i}", b"%d" % i * size) for i, size in enumerate(sizes)]

    async def test() -> None:
        async with (
            connected(shared.port, "d/#", client_id="d") as link,
            connected(shared.port, client_id="d2") as other,
        ):
            for topic, payload in sent:
                await other.publish(topic, payload)
            assert [(m.topic, m.payload) for m in await collect(link, len(sent))] == sent

    run(test)


def test_what_the_link_publishes_does_not_come_back_to_it(shared: Mosquitto) -> None:
    async def test() -> None:
        async with connected(shared.port, "p/#", client_id="p") as link:
            await link.publish("p/x", b"own")
            await pub(shared.port, "p/x", [b"end"])
            assert payloads(await collect(link, 1)) == [b"end"]

    run(test)


def test_the_buffer_shrinks_again_after_a_large_message(shared: Mosquitto) -> None:
    async def test() -> None:
        async with connected(shared.port, "e/#", client_id="e") as link:
            async with connected(shared.port, client_id="e2") as other:
                await other.publish("e/x", b"x" * (9 << 20))
            await collect(link, 1)
            assert link._connection is not None
            assert len(link._connection._buffer) == 1 << 20

    run(test)


# -- sessions ---------------------------------------------------------------------------------------------------------


def test_the_session_outlives_a_restart_of_the_broker(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker.port, "x/#") as link:
            await pub(broker.port, "x/y", numbered(0, 30))
            await collect(link, 30, acknowledge=False)
            await asyncio.to_thread(broker.stop)
            await eventually(lambda: not link.connected.is_set())
            assert link.trouble
            await asyncio.to_thread(broker.start)
            assert payloads(await collect(link, 30)) == numbered(0, 30)
            assert (link.trouble, link.connects) == ("", 2)

    run(test)


def test_acknowledging_what_a_lost_connection_brought_acknowledges_nothing(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker.port, "x/#") as link:
            await pub(broker.port, "x/y", numbered(0, 15))
            old = await collect_batches(link, 15)
            await pub(broker.port, "x/y", numbered(15, 30))
            (last,) = await collect_batches(link, 15)
            await asyncio.to_thread(broker.stop)
            await eventually(lambda: not link.connected.is_set())
            for batch in old:
                link.acknowledge(batch)  # while there is no connection
            await asyncio.to_thread(broker.start)
            again = await collect_batches(link, 30)
            link.acknowledge(last)  # while there is another one, in which the packet ids mean other messages
            assert link.in_flight_messages == 30
            await settle(link)
        async with connected(broker.port, "x/#") as link:
            assert payloads(await collect(link, 30)) == [m.payload for batch in again for m in batch.messages]

    run(test)


def test_the_link_subscribes_again_when_the_broker_lost_the_session(broker: Mosquitto, tmp_path: Path) -> None:
    async def test() -> None:
        async with connected(broker.port, "x/#") as link:
            await asyncio.to_thread(broker.kill)
            (tmp_path / "mosquitto" / "mosquitto.db").unlink(missing_ok=True)
            await eventually(lambda: not link.connected.is_set())
            await asyncio.to_thread(broker.start)
            await eventually(lambda: link.connects == 2)
            marked = asyncio.create_task(collect(link, 1))
            while not marked.done():  # until the subscription holds
                await pub(broker.port, "x/y", [b"back"])
            assert payloads(await marked)[0] == b"back"

    run(test)


# -- flow control -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [{"max_in_flight_messages": 50}, {"max_in_flight_bytes": 500_000}])
def test_with_too_much_in_flight_the_socket_is_not_read_and_nothing_is_lost(
    shared: Mosquitto, limit: dict[str, Any]
) -> None:
    count, size = 2000, 10_000
    most = 50 + 2 * (1 << 20) // size  # the limit and what one read brings beyond it

    async def test() -> None:
        name = f"f{limit.get('max_in_flight_messages')}"
        async with connected(shared.port, f"{name}/#", client_id=name, receive_max=65_535, **limit) as link:
            await pub(shared.port, f"{name}/x", [line * (size // 6) for line in numbered(0, count)])
            await eventually(lambda: paused(link))
            held = link.received
            assert held <= most
            got: list[bytes] = []
            while len(got) < count:
                batch = await link.batch()
                got += payloads(batch.messages)
                assert link.in_flight_messages <= most
                link.acknowledge(batch)
            assert got == [line * (size // 6) for line in numbered(0, count)]
            assert not paused(link)
            assert link.in_flight_messages == 0

    run(test)


def test_a_paused_link_stays_connected_however_long_it_lasts(shared: Mosquitto) -> None:
    async def test() -> None:
        async with connected(
            shared.port, "g/#", client_id="g", max_in_flight_messages=1, keep_alive_s=1, receive_max=10
        ) as link:
            await pub(shared.port, "g/x", numbered(0, 20))
            await eventually(lambda: paused(link))
            assert link._connection is not None
            link._connection._heard -= 100
            await asyncio.sleep(0.7)  # a keep-alive falls into it
            assert (link.connects, link.trouble) == (1, "")
            assert payloads(await collect(link, 20)) == numbered(0, 20)

    run(test)


def test_after_stop_reading_the_rest_stays_with_the_broker(shared: Mosquitto) -> None:
    async def test() -> None:
        async with connected(shared.port, "h/#", client_id="h") as link:
            await pub(shared.port, "h/x", [b"before"])
            (batch,) = await collect_batches(link, 1)
            link.stop_reading()
            await pub(shared.port, "h/x", [b"after"])
            link.acknowledge(batch)
            assert paused(link)
            assert link.batch_nowait() is None
        async with connected(shared.port, "h/#", client_id="h") as link:
            assert payloads(await collect(link, 1)) == [b"after"]

    run(test)


def test_an_end_amid_a_backlog_loses_no_acknowledgement_and_leaves_no_will(shared: Mosquitto) -> None:
    will = Will("q2/status", b"offline")

    async def test() -> None:
        async with connected(shared.port, "q/#", client_id="q"):
            pass
        await pub(shared.port, "q/x", numbered(0, 20_000))
        async with connected(shared.port, "q2/#", client_id="q2") as watcher:
            link = make_link(shared.port, "q/#", client_id="q", max_in_flight_messages=100, will=will)
            async with running(link):
                first = await collect(link, 1)
                link.stop_reading()
                while (batch := link.batch_nowait()) is not None:
                    first += batch.messages
                    link.acknowledge(batch)
            await pub(shared.port, "q2/x", [b"no will"])
            assert payloads(await collect(watcher, 1)) == [b"no will"]
        async with connected(shared.port, "q/#", client_id="q") as link:
            rest = await collect(link, 20_000 - len(first))
            assert payloads(first) + payloads(rest) == numbered(0, 20_000)

    run(test)
