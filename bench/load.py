"""Makes load: messages encoded ahead of time, sent as fast as the broker takes them."""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mqtt5

if TYPE_CHECKING:
    from collections.abc import Iterable

_CHUNK = 1 << 18
#: A PUBACK with reason code 0; others are longer.
_PUBACK = 4
_REST_S = 0.002


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent. Every message carries its own ``ts``, so that each is a sample of its own."""

    messages: int
    topics: int
    values: int = 5
    qos: int = 1
    #: Unix ms of the first sample of each topic; the next of the same topic is 1 ms later.
    first_ms: int = 0
    #: 0 = as fast as it goes.
    rate: float = 0.0
    #: Samples in one message.
    samples: int = 1
    #: Number of the first topic.
    first_topic: int = 0
    #: Nodes that share the topics; 0 = one for each.
    nodes: int = 0


def topic(number: int, nodes: int = 0) -> str:
    """Topic of series ``number``, of one of so many nodes."""
    if nodes:
        return f"iot/v1/node-{number % nodes:05d}/telemetry/bench{number // nodes}"
    return f"iot/v1/node-{number:05d}/telemetry/bench"


def value(sample: Any, field: int) -> Any:
    """Field ``value{field}`` of sample number ``sample``, or of an array of numbers.

    Exact in binary, so that it can be compared after its journey.
    """
    return 20.0 + (sample * 7 + field * 13) % 1000 / 8


def payload(load: Load, number: int) -> bytes:
    """Payload of message ``number``."""
    base_ms = load.first_ms + number // load.topics * load.samples
    made = [
        {
            "ts": base_ms + i,
            "values": {f"value{k}": value(number + i, k) for k in range(load.values)},
        }
        for i in range(load.samples)
    ]
    return json.dumps(made[0] if load.samples == 1 else made, separators=(",", ":")).encode()


def packets(load: Load, start: int = 0, stop: int | None = None) -> list[bytes]:
    """The PUBLISH packets, or those from ``start`` up to ``stop``; packet identifiers go round."""
    names = [topic(load.first_topic + i, load.nodes) for i in range(load.topics)]
    numbers = range(start, load.messages if stop is None else min(stop, load.messages))
    return encoded(((names[i % load.topics], payload(load, i)) for i in numbers), qos=load.qos)


def encoded(messages: Iterable[tuple[str, bytes]], *, qos: int = 1, retain: bool = False) -> list[bytes]:
    """PUBLISH packets of these topics and payloads; packet identifiers go round."""
    level = mqtt5.QoS.AT_LEAST_ONCE if qos else mqtt5.QoS.AT_MOST_ONCE
    return [
        mqtt5.PublishPacket(name, content, qos=level, retain=retain, packet_id=i % 65_535 + 1 if qos else None).write()
        for i, (name, content) in enumerate(messages)
    ]


def connect(
    port: int,
    client_id: str,
    username: str | None = None,
    password: str | None = None,
    *,
    will: mqtt5.Will | None = None,
) -> socket.socket:
    """A connected session; raises OSError when the broker refuses."""
    link = socket.create_connection(("127.0.0.1", port), timeout=30)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    secret = password.encode() if password is not None else None
    packet = mqtt5.ConnectPacket(client_id, username=username, password=secret, clean_start=True, will=will)
    link.sendall(packet.write())
    answer, _ = mqtt5.read(memoryview(link.recv(4096)))
    if not isinstance(answer, mqtt5.ConnAckPacket) or int(answer.reason_code) != 0:
        raise OSError(f"the broker refused the connection: {answer}")
    return link


class _Acknowledged:
    """Counts PUBACK packets in what the broker sends."""

    def __init__(self) -> None:
        self.messages = 0
        self._rest = b""

    def take(self, received: bytes) -> None:
        """Count those that are complete; raises OSError when the broker has gone."""
        if not received:
            raise ConnectionResetError("the broker closed the connection")
        data = self._rest + received
        whole = len(data) // _PUBACK
        if data[1 : whole * _PUBACK : _PUBACK] == b"\x02" * whole:
            self.messages += whole
            self._rest = data[whole * _PUBACK :]
            return
        start = 0
        while start + 1 < len(data) and start + 2 + data[start + 1] <= len(data):
            start += 2 + data[start + 1]
            self.messages += 1
        self._rest = data[start:]


def send(link: socket.socket, made: list[bytes], load: Load) -> float:
    """Send all, at QoS 1 with at most 10,000 unacknowledged; return the seconds it took."""
    window = 10_000
    link.settimeout(0)
    waiting = selectors.DefaultSelector()
    waiting.register(link, selectors.EVENT_READ | selectors.EVENT_WRITE)
    began = time.perf_counter()
    sent = 0
    acknowledged = _Acknowledged()
    out = memoryview(b"")
    total = len(made)
    while sent < total or out or (load.qos and acknowledged.messages < total):
        if not out and sent < total:
            allowed = total
            if load.qos:
                allowed = min(allowed, acknowledged.messages + window)
            if load.rate:
                allowed = min(allowed, int((time.perf_counter() - began) * load.rate) + 1)
            upto = min(allowed, sent + 2000)
            if upto > sent:
                out = memoryview(b"".join(made[sent:upto]))
                sent = upto
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if out else 0)
        waiting.modify(link, wanted)
        for _, events in waiting.select(timeout=0.005 if load.rate else 5.0):
            if events & selectors.EVENT_READ:
                acknowledged.take(link.recv(_CHUNK))
            if events & selectors.EVENT_WRITE and out:
                out = out[link.send(out[:_CHUNK]) :]
        if load.qos and not out:
            # A broker acknowledges one by one: woken for each, the load would take the processor from who is measured.
            time.sleep(_REST_S)
    return time.perf_counter() - began


def send_in_parts(link: socket.socket, load: Load, part: int = 50_000) -> float:
    """As :func:`send`, without holding all of a large load in memory; the seconds count the sending only."""
    return sum(send(link, packets(load, i, i + part), load) for i in range(0, load.messages, part))


def main() -> None:
    """``python -m bench.load PORT '{"messages": …}'``: prepare, say ready, wait for a line, send, say the seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("load", type=json.loads)
    given = parser.parse_args()
    load = Load(**given.load)
    made = packets(load)
    link = connect(given.port, "bench-load")
    print("ready", flush=True)
    sys.stdin.readline()
    began_s = time.monotonic()
    print(json.dumps({"began_s": began_s, "seconds": send(link, made, load)}), flush=True)
    sys.stdin.readline()
    link.close()


if __name__ == "__main__":
    main()
