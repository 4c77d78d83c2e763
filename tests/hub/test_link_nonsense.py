"""The link and brokers that talk nonsense, hang up, or pass on strange things."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import mqtt5
import pytest
from structlog.testing import capture_logs

from hub.link import Filter, LinkDown
from tests.support.links import collect, connected, make_link, payloads, run, running
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

CONNACK = mqtt5.ConnAckPacket().write()
SUBACK = mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]).write()
SHUTTING_DOWN = mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN).write()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon, so that several attempts fit into a test."""
    monkeypatch.setattr("hub.link._BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr("hub.link._BACKOFF_LAST_S", 0.05)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto") as running_one:
        yield running_one


class FakeBroker:
    """Answers CONNECT with the bytes it is given, and counts who comes."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = answers
        self.connects = 0
        #: What the clients said, CONNECT first.
        self.heard: list[mqtt5.Packet] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects += 1
        buffer, answers = b"", iter(self._answers)
        try:
            while data := await reader.read(65_536):
                buffer += data
                while buffer:
                    packet, size = mqtt5.read(memoryview(buffer))
                    self.heard.append(packet)
                    buffer = buffer[size:]
                    writer.write(next(answers, b""))
                    if isinstance(packet, mqtt5.DisconnectPacket):
                        return
        except OSError:
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]


# -- nonsense ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" + b" " * 100, "the broker sent a malformed packet"),
        (CONNACK + b"\xff\xff\xff\xff\xff\xff", "the broker sent a malformed packet"),
        (CONNACK + SHUTTING_DOWN, "the broker ended the connection: server shutting down"),
        (CONNACK + SUBACK + SHUTTING_DOWN, "the broker ended the connection: server shutting down"),
        (SHUTTING_DOWN, "the broker ended the connection: server shutting down"),
        (mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.BANNED).write(), "refused the connection: banned"),
        (
            mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.SERVER_BUSY, reason_str="come later").write(),
            "the broker refused the connection: come later",
        ),
    ],
)
def test_whatever_a_broker_says_the_link_tells_why_and_tries_again(answer: bytes, trouble: str) -> None:
    async def test() -> None:
        fake = FakeBroker(answer)
        async with fake.listening() as port:
            link = make_link(port, "x/#", Filter("x/+/status", snapshot=True))
            async with running(link):
                await eventually(lambda: fake.connects >= 3)
                await eventually(lambda: trouble in link.trouble, what=link.trouble)

    run(test)


def test_a_server_that_hangs_up_is_tried_again() -> None:
    async def test() -> None:
        came = 0

        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal came
            came += 1
            writer.close()

        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
            link = make_link(server.sockets[0].getsockname()[1])
            async with running(link):
                await eventually(lambda: came >= 3)
                assert link.trouble

    run(test)


def test_messages_before_a_malformed_packet_are_taken() -> None:
    async def test() -> None:
        message = mqtt5.PublishPacket("x/y", b"good", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=7).write()
        async with FakeBroker(CONNACK + message + b"\x00\x00").listening() as port:
            link = make_link(port)
            async with running(link):
                assert payloads(await collect(link, 1)) == [b"good"]

    run(test)


def test_messages_that_come_before_the_suback_are_taken() -> None:
    async def test() -> None:
        message = mqtt5.PublishPacket("x/y", b"early", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=7).write()
        fake = FakeBroker(CONNACK + message, message + SUBACK)
        async with fake.listening() as port, connected(port, "x/#") as link:
            assert payloads(await collect(link, 2)) == [b"early", b"early"]

    run(test)


def test_packets_may_arrive_byte_by_byte() -> None:
    message = mqtt5.PublishPacket("x/y", b"slow", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=7).write()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        for byte in CONNACK + message + message:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read(1000)  # our DISCONNECT
        writer.close()

    async def test() -> None:
        async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
            link = make_link(server.sockets[0].getsockname()[1])
            async with running(link):
                assert payloads(await collect(link, 2)) == [b"slow", b"slow"]

    run(test)


def test_a_publisher_is_told_when_the_broker_ends_the_connection() -> None:
    async def test() -> None:
        fake = FakeBroker(CONNACK, SHUTTING_DOWN)
        async with fake.listening() as port:
            link = make_link(port)
            async with running(link):
                await eventually(link.connected.is_set)
                with pytest.raises(LinkDown, match="server shutting down"):
                    await link.publish("x/y", b"x")

    run(test)


def test_a_broker_that_wants_no_keep_alive_is_not_flooded_with_pings() -> None:
    async def test() -> None:
        fake = FakeBroker(mqtt5.ConnAckPacket(server_keep_alive=0).write())
        async with fake.listening() as port:
            link = make_link(port, keep_alive_s=1)
            async with running(link):
                await eventually(lambda: len(fake.heard) >= 2)
                assert isinstance(fake.heard[1], mqtt5.PingReqPacket)
                await asyncio.sleep(0.1)
                assert len(fake.heard) <= 3

    run(test)


def test_the_keep_alive_of_the_broker_counts() -> None:
    async def test() -> None:
        fake = FakeBroker(mqtt5.ConnAckPacket(server_keep_alive=1).write())
        async with fake.listening() as port, connected(port, keep_alive_s=1000):
            await eventually(lambda: len(fake.heard) >= 2)

    run(test)


# -- strange, and allowed ---------------------------------------------------------------------------------------------


def _text(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


@pytest.mark.parametrize(
    "properties",
    [
        b"\x01\x02",  # payload format 2, which is none
        b"\x08" + _text(b"x/#"),  # a response topic with a wildcard
        b"\x08" + _text(b""),
        b"\x09" + _text(b""),  # empty correlation data
        b"\x02\x00\x00\x00\x00",  # expires at once
        (b"\x26" + _text(b"a") + _text(b"b")) * 3000,
    ],
)
def test_no_properties_that_the_broker_passes_on_break_the_link(broker: Mosquitto, properties: bytes) -> None:
    body = _text(b"x/y") + b"\x00\x01" + _length(len(properties)) + properties + b"\xff"

    def publish() -> None:
        with socket.create_connection(("127.0.0.1", broker.port), timeout=5) as device:
            device.sendall(mqtt5.ConnectPacket("device").write())
            device.recv(100)
            device.sendall(b"\x32" + _length(len(body)) + body)
            assert device.recv(100)[:1] == b"\x40"  # PUBACK

    async def test() -> None:
        async with connected(broker.port, "x/#") as link:
            await asyncio.to_thread(publish)
            assert payloads(await collect(link, 1)) == [b"\xff"]
            assert link.connects == 1

    run(test)


def _length(number: int) -> bytes:
    """A variable byte integer, MQTT 5 §1.5.5."""
    encoded = b""
    while True:
        number, digit = divmod(number, 128)
        encoded += bytes([digit | (128 if number else 0)])
        if not number:
            return encoded


def test_attempts_that_time_out_are_no_stable_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.link._CONNECT_LIMIT_S", 0.2)
    monkeypatch.setattr("hub.link._STABLE_S", 0.2)

    async def test() -> None:
        fake = FakeBroker(CONNACK + SHUTTING_DOWN)
        async with fake.listening() as port:
            link = make_link(port)
            with capture_logs() as logs:
                async with running(link):
                    await eventually(lambda: link.connects >= 1)
                    fake._answers = ()
                    before = fake.connects
                    await eventually(lambda: fake.connects >= before + 4)
            assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == [
                "no connection to the broker, trying again"
            ]

    run(test)
