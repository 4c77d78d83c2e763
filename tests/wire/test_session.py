"""The node session against a real Mosquitto."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.mosquitto import Mosquitto, free_port
from tests.support.waiting import eventually
from wire.connection import Connection
from wire.errors import PayloadError, SessionDown, SessionRefused
from wire.messages import Command, NodeState, Receipt, Status
from wire.session import NodeSession, SessionOptions, listen, publish_once
from wire.settings import MqttSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from wire.packets import Incoming

STATUS = "iot/v1/n1/status"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto", lines=["max_packet_size 5000"]) as running:
        yield running


def mqtt(port: int, **values: object) -> MqttSettings:
    return MqttSettings.model_validate({"port": port, "keep_alive_s": 5, **values})


def make(port: int, on_receipt: Callable[[Receipt], None] | None = None, window: int = 100) -> NodeSession:
    options = SessionOptions(
        mqtt=mqtt(port), node="n1", window=window, first_retry_s=0.05, longest_retry_s=0.2, first_refused_s=0.05
    )
    return NodeSession(options, lambda: Status(NodeState.ONLINE, ts=5, session="s1", info={"os": "test"}), on_receipt)


@asynccontextmanager
async def connected(
    broker: Mosquitto, on_receipt: Callable[[Receipt], None] | None = None
) -> AsyncIterator[NodeSession]:
    async with make(broker.port, on_receipt) as session:
        await asyncio.wait_for(session.connected.wait(), 10)
        yield session


@asynccontextmanager
async def collected(broker: Mosquitto, *filters: str) -> AsyncIterator[list[Incoming]]:
    """What arrives on ``filters`` while the body runs, as another client sees it."""
    got: list[Incoming] = []

    async def collect(messages: AsyncIterator[Incoming]) -> None:
        async for message in messages:
            got.append(message)  # noqa: PERF401  read while it grows

    async with listen(mqtt(broker.port), *filters) as messages:
        task = asyncio.create_task(collect(messages))
        yield got
        task.cancel()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(limited())


def pub(broker: Mosquitto, topic: str, payload: str, *more: str) -> None:
    argv = ["mosquitto_pub", "-V", "5", "-p", str(broker.port), "-q", "1", "-t", topic, "-m", payload, *more]
    subprocess.run(argv, check=True, timeout=10)


def states(got: list[Incoming]) -> list[str]:
    return [json.loads(message.payload)["state"] for message in got if message.topic == STATUS]


def test_the_birth_is_retained_and_carries_the_inventory(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker), collected(broker, STATUS) as got:
            await eventually(lambda: got)
            assert got[0].retained
            assert json.loads(got[0].payload) == {"state": "online", "ts": 5, "session": "s1", "info": {"os": "test"}}

    run(test)


def test_leaving_publishes_a_retained_announced_end_and_no_will(broker: Mosquitto) -> None:
    async def test() -> None:
        async with collected(broker, STATUS) as got:
            async with connected(broker):
                pass
            await publish_once(mqtt(broker.port), STATUS, b'{"state":"online"}')  # all that came before is in now
            await eventually(lambda: len(states(got)) == 3)
            assert states(got) == ["online", "offline", "online"]
            assert json.loads(got[1].payload)["reason"] == "shutdown"
            assert json.loads(got[1].payload)["session"] == "s1"
        pub(broker, STATUS, '{"state":"online"}')

    run(test)


def test_a_body_that_fails_announces_a_failure_and_its_error_leaves_as_it_is(broker: Mosquitto) -> None:
    async def test() -> None:
        async with collected(broker, STATUS) as got:
            with pytest.raises(ZeroDivisionError):
                async with connected(broker):
                    raise ZeroDivisionError
            await eventually(lambda: len(got) == 2)
            assert json.loads(got[1].payload)["reason"] == "failure"

    run(test)


def test_the_will_is_published_when_the_connection_ends_without_a_goodbye(broker: Mosquitto) -> None:
    async def test() -> None:
        async with collected(broker, STATUS) as got, connected(broker) as session:
            assert session._connection is not None
            plug = session._connection._driver._client.socket()
            assert isinstance(plug, socket.socket)
            plug.shutdown(socket.SHUT_RDWR)
            await eventually(lambda: "offline" in states(got))
            will = json.loads(got[1].payload)
            assert will == {"state": "offline", "ts": 5, "session": "s1", "reason": "connection lost"}

    run(test)


def test_entering_does_not_wait_for_a_broker_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with make(free_port()) as session:
            with pytest.raises(SessionDown, match="no connection"):
                await session.publish("iot/v1/n1/log", b"x")
            await eventually(lambda: caplog.records)
            await asyncio.sleep(0.5)  # some more attempts

    run(test)
    assert len(caplog.records) == 1
    assert "Connection refused" in caplog.text


def test_the_session_connects_once_the_broker_is_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broker = Mosquitto(tmp_path)

    async def test() -> None:
        async with make(broker.port) as session:
            await eventually(lambda: caplog.records)
            with broker:
                await asyncio.wait_for(session.connected.wait(), 10)

    with caplog.at_level(logging.INFO, logger="wire.session"):
        run(test)
    assert "connected again after" in caplog.text


def test_a_killed_broker_is_followed_by_a_new_connection_with_birth_and_commands(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker) as session:
            broker.kill()
            await eventually(lambda: not session.connected.is_set())
            broker.start()
            await asyncio.wait_for(session.connected.wait(), 10)
            async with collected(broker, STATUS) as got:
                await eventually(lambda: states(got) == ["online"])
            pub(broker, "iot/v1/n1/cmd/ping", '{"id":"7"}')
            command = await anext(aiter(session.commands()))
            assert command.body == Command(id="7")

    run(test)


def test_publishing_while_the_broker_dies_says_so(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker) as session:
            broker.kill()
            with pytest.raises(SessionDown):
                await session.publish("iot/v1/n1/log", b"x")

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
        async with make(broker.port, window=50) as session:
            await asyncio.wait_for(session.connected.wait(), 10)
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


def test_a_command_carries_name_arguments_response_topic_and_correlation_data(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker) as session:
            more = ["-D", "PUBLISH", "response-topic", "iot/v1/n1/reply/a", "-D", "PUBLISH", "correlation-data", "c1"]
            pub(broker, "iot/v1/n1/cmd/collect", '{"id":"a","args":{"collectors":["cpu"]}}', *more)
            command = await anext(aiter(session.commands()))
            assert command.name == "collect"
            assert command.body == Command(id="a", args={"collectors": ["cpu"]})
            assert command.response_topic == "iot/v1/n1/reply/a"
            assert command.correlation_data == b"c1"
            assert not command.retained

    run(test)


def test_a_command_that_is_no_json_arrives_with_what_is_wrong(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker) as session:
            pub(broker, "iot/v1/n1/cmd/ping", "{nonsense")
            command = await anext(aiter(session.commands()))
            assert isinstance(command.body, PayloadError)
            assert "nonsense" in command.body.detail

    run(test)


def test_a_retained_command_is_marked_even_when_it_arrives_live(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker) as session:
            pub(broker, "iot/v1/n1/cmd/ping", "{}", "-r")
            command = await anext(aiter(session.commands()))
            assert command.retained

    run(test)


def test_a_command_sent_while_the_node_was_away_waits_for_it(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker):
            pass
        pub(broker, "iot/v1/n1/cmd/ping", '{"id":"waited"}')
        async with connected(broker) as session:
            command = await anext(aiter(session.commands()))
            assert command.body == Command(id="waited")

    run(test)


def test_the_retained_receipt_arrives_at_each_connection(broker: Mosquitto) -> None:
    async def test() -> None:
        pub(broker, "iot/v1/n1/stored", '{"seq":41,"session":"s1"}', "-r")
        receipts: list[Receipt] = []
        async with connected(broker, receipts.append):
            pub(broker, "iot/v1/n1/stored", "rubbish")
            pub(broker, "iot/v1/n1/stored", '{"seq":42,"session":"s1"}')
            await eventually(lambda: len(receipts) == 2)
        assert receipts == [Receipt(41, "s1"), Receipt(42, "s1")]

    run(test)


def with_password(folder: Path) -> list[str]:
    passwords = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(passwords), "n1", "right"], check=True, timeout=10)
    passwords.chmod(0o644)
    return ["allow_anonymous false", f"password_file {passwords}"]


def test_a_wrong_password_is_said_once_with_what_to_do_and_a_new_one_is_taken_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    password = tmp_path / "secret"
    password.write_text("wrong\n", encoding="utf-8")

    async def test(broker: Mosquitto) -> None:
        options = SessionOptions(
            mqtt=mqtt(broker.port, username="n1", password_file=password), node="n1", first_refused_s=0.05
        )
        async with NodeSession(options, lambda: Status(NodeState.ONLINE)) as session:
            await eventually(lambda: caplog.records)
            assert "Not authorized (0x87)" in caplog.text
            assert "iothub nodes add n1" in caplog.text
            password.write_text("right\n", encoding="utf-8")
            await asyncio.wait_for(session.connected.wait(), 10)
            assert len(caplog.records) == 1

    with Mosquitto(tmp_path / "mosquitto", lines=with_password(tmp_path)) as broker:
        run(lambda: test(broker))


def test_a_missing_password_file_is_said_and_tried_again(broker: Mosquitto, tmp_path: Path) -> None:
    async def test() -> None:
        with pytest.raises(SessionDown, match=r"cannot read mqtt\.password_file .*nowhere"):
            await publish_once(mqtt(broker.port, password_file=tmp_path / "nowhere"), "a", b"x")

    run(test)


def test_a_second_client_with_the_same_id_is_suspected_when_connections_keep_breaking(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with connected(broker) as session:
            for _ in range(3):
                async with Connection(mqtt(broker.port), client_id="n1", clean_start=True):
                    await eventually(lambda: not session.connected.is_set())
                await asyncio.wait_for(session.connected.wait(), 10)
            assert "Another client uses the id n1?" in caplog.text

    run(test)


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


def test_a_broker_that_disconnects_over_a_message_has_refused_that_message() -> None:
    async def test() -> None:
        async with scripted(CONNACK, bytes.fromhex("e00187")) as port:
            assert (await publish_once(mqtt(port), "a", b"x")).code == 0x87

    run(test)


def test_a_broker_that_says_the_id_is_taken_over_refuses_the_session() -> None:
    async def test() -> None:
        async with scripted(CONNACK + bytes.fromhex("e0018e")) as port:
            with pytest.raises(SessionRefused) as refused:
                await publish_once(mqtt(port), "a", b"x", timeout_s=5)
            assert refused.value.code == 0x8E

    run(test)


def test_a_server_that_is_no_broker_is_noticed_at_once() -> None:
    async def test() -> None:
        async with scripted(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
            with pytest.raises(SessionDown, match="is it an MQTT 5 broker"):
                await publish_once(mqtt(port), "a", b"x", timeout_s=5)

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
