"""What the broker says about a message, and one-off clients."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.mosquitto import Mosquitto, free_port
from tests.support.node import collected, connected, make_session, mqtt, run, with_password
from tests.support.waiting import eventually
from wire.connection import Connection
from wire.driver import Driver
from wire.errors import SessionDown, SessionRefused
from wire.packets import Subscription
from wire.session import listen, publish_once

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto", lines=["max_packet_size 5000"]) as running:
        yield running


@asynccontextmanager
async def scripted(*answers: bytes) -> AsyncIterator[int]:
    """A server that answers each packet it gets with the next of ``answers`` and closes after the last."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for answer in answers:
                _, length = await reader.readexactly(2)
                await reader.readexactly(length)
                writer.write(answer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


CONNACK = bytes.fromhex("2003000000")


def test_a_task_that_is_cancelled_in_the_turn_the_broker_answers_ends(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        entered = asyncio.Event()

        def answered(self: Driver, *args: Any) -> None:
            def in_one_turn() -> None:
                heard(self, *args)
                task.cancel()

            asyncio.get_running_loop().call_later(0.1, in_one_turn)  # by then the task waits for the answer

        async def work() -> None:
            try:
                async with Connection(mqtt(broker.port), client_id="n1", clean_start=True):
                    entered.set()
            finally:
                monkeypatch.setattr(Driver, "_on_connect", heard)

        heard = Driver._on_connect
        monkeypatch.setattr(Driver, "_on_connect", answered)
        task = asyncio.create_task(work())
        await asyncio.wait([task])
        assert task.cancelled()
        assert not entered.is_set()
        await eventually(lambda: "Client n1 disconnected" in broker.log.read_text(), what="no ghost stays connected")

    run(test)


def test_a_message_that_somebody_subscribes_to_is_delivered(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker) as session, collected(broker, "iot/v1/#") as got:
            answer = await session.publish("iot/v1/n1/telemetry/room", b'{"t":1}')
            assert answer.code == 0
            assert answer.delivered
            await eventually(lambda: b'{"t":1}' in [message.payload for message in got])

    run(test)


def test_a_message_that_nobody_subscribes_to_is_not_delivered(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker) as session:
            answer = await session.publish("iot/v1/n1/telemetry/room", b'{"t":1}')
            assert answer.code == 0x10
            assert answer.nobody_subscribed
            assert not answer.delivered
            assert not answer.permanent

    run(test)


def test_a_message_too_large_for_the_broker_is_refused_without_losing_the_connection(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker) as session:
            answer = await session.publish("iot/v1/n1/telemetry/room", b"x" * 5000)
            assert answer.code == 0x95
            assert answer.permanent
            await session.publish("iot/v1/n1/telemetry/room", b"x" * 4900)
            assert session.connections == 1

    run(test)


def test_a_topic_without_rights_is_refused_for_good(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite iot/v1/n1/#\n", encoding="utf-8")

    async def test(broker: Mosquitto) -> None:
        async with connected(broker) as session:
            answer = await session.publish("iot/v1/n2/telemetry/room", b"x")
            assert answer.code == 0x87
            assert answer.permanent

    with Mosquitto(tmp_path / "mosquitto", lines=[f"acl_file {acl}"]) as broker:
        run(lambda: test(broker))


def test_many_messages_are_in_flight_at_once_and_arrive_in_order(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker) as session, collected(broker, "iot/v1/n1/telemetry/+") as got:
            async with asyncio.TaskGroup() as tasks:
                for i in range(1000):
                    tasks.create_task(session.publish("iot/v1/n1/telemetry/room", b"%d" % i))
            await eventually(lambda: len(got) == 1000)
            assert [int(message.payload) for message in got] == list(range(1000))

    run(test)


def test_no_more_than_the_broker_takes_are_in_flight(tmp_path: Path) -> None:
    async def test(broker: Mosquitto) -> None:
        async with make_session(broker.port, window=50) as session:
            await asyncio.wait_for(session.connected.wait(), 60)
            assert session._connection is not None
            assert session._connection._slots._value == 7

    with Mosquitto(tmp_path, lines=["max_inflight_messages 7"]) as broker:
        run(lambda: test(broker))


def test_a_message_expires_on_the_broker_when_it_is_told_to(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker) as session:
            await session.publish("iot/v1/n1/log", b"gone", retain=True, expiry_s=1)
            await asyncio.sleep(1.2)
            async with collected(broker, "iot/v1/n1/log") as got:
                await session.publish("iot/v1/n1/log", b"live")
                await eventually(lambda: got)
                assert [message.payload for message in got] == [b"live"]

    run(test)


def test_a_missing_password_file_is_said_and_tried_again(broker: Mosquitto, tmp_path: Path) -> None:
    async def test() -> None:
        with pytest.raises(SessionDown, match=r"cannot read mqtt\.password_file .*nowhere"):
            await publish_once(mqtt(broker.port, password_file=tmp_path / "nowhere"), "a", b"x")

    run(test)


def test_a_broker_that_disconnects_over_a_message_has_refused_that_message() -> None:
    async def test() -> None:
        async with scripted(CONNACK, bytes.fromhex("e00187")) as port:
            assert (await publish_once(mqtt(port), "a", b"x")).code == 0x87

    run(test)


def test_a_broker_that_says_the_id_is_taken_over_refuses_the_session() -> None:
    async def test() -> None:
        async with scripted(CONNACK + bytes.fromhex("e0018e")) as port:
            with pytest.raises(SessionRefused) as refused:
                await publish_once(mqtt(port), "a", b"x", timeout_s=60)
            assert refused.value.code == 0x8E

    run(test)


def test_a_connection_that_breaks_while_it_subscribes_is_noticed_at_once() -> None:
    async def test() -> None:
        async with (
            scripted(CONNACK, b"") as port,
            Connection(mqtt(port), client_id="n1", clean_start=False) as connection,
        ):
            with pytest.raises(SessionDown, match="the connection broke"):
                await connection.subscribe([Subscription("iot/v1/n1/stored")])

    run(test, limit_s=20)


def test_a_server_that_is_no_broker_is_noticed_at_once() -> None:
    async def test() -> None:
        async with scripted(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
            with pytest.raises(SessionDown, match="is it an MQTT 5 broker"):
                await publish_once(mqtt(port), "a", b"x", timeout_s=60)

    run(test)


def test_a_broker_that_never_answers_ends_in_session_down_in_time() -> None:
    async def test() -> None:
        async with scripted(b"", b"") as port:
            with pytest.raises(SessionDown, match=r"within 0\.5 s|timed out"):
                await publish_once(mqtt(port), "a", b"x", timeout_s=0.5)

    run(test)


def test_publish_once_tells_what_the_broker_said(broker: Mosquitto) -> None:
    async def test() -> None:
        assert (await publish_once(mqtt(broker.port), "iot/v1/n1/telemetry/room", b"{}")).nobody_subscribed
        async with collected(broker, "iot/v1/#") as got:
            assert (await publish_once(mqtt(broker.port), "iot/v1/n1/telemetry/room", b"{}")).delivered
            await eventually(lambda: got)

    run(test)


def test_publish_once_without_a_broker_names_its_address() -> None:
    async def test() -> None:
        port = free_port()
        with pytest.raises(SessionDown, match=rf"broker 127\.0\.0\.1:{port}: .*Connection refused"):
            await publish_once(mqtt(port), "a", b"x")

    run(test)


def test_publish_once_with_a_wrong_password_is_refused(tmp_path: Path) -> None:
    async def test(broker: Mosquitto) -> None:
        with pytest.raises(SessionRefused, match="refused n1") as refused:
            await publish_once(mqtt(broker.port, username="n1", password="no"), "a", b"x")
        assert refused.value.code == 0x87

    with Mosquitto(tmp_path / "mosquitto", lines=with_password(tmp_path)) as broker:
        run(lambda: test(broker))


def test_listening_ends_with_an_error_when_the_broker_goes(broker: Mosquitto) -> None:
    async def test() -> None:
        async with listen(mqtt(broker.port), "iot/v1/#") as messages:
            broker.kill()
            with pytest.raises(SessionDown):
                await anext(messages)

    run(test)
