"""The node session against a real Mosquitto."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.mosquitto import Mosquitto, free_port
from tests.support.node import STATUS, collected, connected, make_session, mqtt, pub, run, with_password
from tests.support.waiting import eventually
from wire.connection import Connection
from wire.errors import PayloadError, SessionDown
from wire.messages import Command, NodeState, Receipt, Status
from wire.session import NodeSession, SessionOptions, publish_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wire.packets import Incoming
    from wire.received import ReceivedCommand


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto", lines=["max_packet_size 5000"]) as running:
        yield running


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
        async with make_session(free_port()) as session:
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
        async with make_session(broker.port) as session:
            await eventually(lambda: caplog.records)
            with broker:
                await asyncio.wait_for(session.connected.wait(), 60)

    with caplog.at_level(logging.INFO, logger="wire.session"):
        run(test)
    assert "connected again after" in caplog.text


def test_a_killed_broker_is_followed_by_a_new_connection_with_birth_and_commands(broker: Mosquitto) -> None:
    async def test() -> None:
        async with connected(broker) as session:
            broker.kill()
            await eventually(lambda: not session.connected.is_set())
            broker.start()
            await asyncio.wait_for(session.connected.wait(), 60)
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


def test_of_more_commands_than_it_holds_a_session_hands_out_the_rest_to_be_answered(broker: Mosquitto) -> None:
    async def test() -> None:
        overflowed: list[ReceivedCommand] = []
        async with connected(broker) as session:
            session.on_overflow = overflowed.append
            argv = ["mosquitto_pub", "-V", "5", "-p", str(broker.port), "-q", "1", "-t", "iot/v1/n1/cmd/ping", "-l"]
            lines = "".join(f'{{"id":"{i}"}}\n' for i in range(1002))
            await asyncio.to_thread(subprocess.run, argv, input=lines.encode(), check=True, timeout=60)
            await eventually(lambda: len(overflowed) == 2)
            assert [command.body for command in overflowed] == [Command(id="1000"), Command(id="1001")]
            first = await anext(aiter(session.commands()))
            assert first.body == Command(id="0")

    run(test)


def test_the_retained_receipt_arrives_at_each_connection(broker: Mosquitto) -> None:
    async def test() -> None:
        pub(broker, "iot/v1/n1/stored", '{"seq":41,"session":"s1"}', "-r")
        receipts: list[tuple[Receipt, bool]] = []
        async with connected(broker, lambda receipt, retained: receipts.append((receipt, retained))):
            pub(broker, "iot/v1/n1/stored", "rubbish")
            pub(broker, "iot/v1/n1/stored", '{"seq":42,"session":"s1"}')
            await eventually(lambda: len(receipts) == 2)
        assert receipts == [(Receipt(41, "s1"), True), (Receipt(42, "s1"), False)]

    run(test)


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
            await asyncio.wait_for(session.connected.wait(), 60)
            assert len(caplog.records) == 1

    with Mosquitto(tmp_path / "mosquitto", lines=with_password(tmp_path)) as broker:
        run(lambda: test(broker))


def test_a_second_client_with_the_same_id_is_suspected_when_connections_keep_breaking(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with connected(broker) as session:
            for _ in range(3):
                async with Connection(mqtt(broker.port), client_id="n1", clean_start=True):
                    await eventually(lambda: not session.connected.is_set())
                await asyncio.wait_for(session.connected.wait(), 60)
            assert "Another client uses the id n1?" in caplog.text

    run(test)
