"""What stays of a broker's debug log."""

from __future__ import annotations

import re

import pytest

from hub.broker.sieve import Sieve

ALLOWED = """\
Received PUBLISH from n1 (d0, q1, r0, m2, 'iot/v1/n1/telemetry/m', ... (1 bytes))
Sending PUBACK to n1 (m2, rc16)
Received SUBSCRIBE from n1
\tiot/v1/n1/cmd/+ (QoS 1)
n1 1 iot/v1/n1/cmd/+
Sending SUBACK to n1
Received PINGREQ from n1
Sending PINGRESP to n1
No will message specified.
Received UNSUBSCRIBE from n1
\tiot/v1/n1/cmd/+
Sending UNSUBACK to n1
Received DISCONNECT from n1
"""
CONNECTED = "New client connected from 127.0.0.1:47781 as n1 (p5, c0, k60, u'n1').\n"


def sifted(*pieces: str, now_s: float = 0.0) -> list[str]:
    sieve = Sieve("iot/v1", clock=lambda: now_s)
    lines = [line.decode() for piece in pieces for line in sieve(piece.encode())]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d: ", line) for line in lines)
    return [line[21:] for line in lines]


def test_what_is_allowed_leaves_nothing() -> None:
    assert sifted(ALLOWED) == []


def test_other_lines_stay_as_they_are() -> None:
    other = "Client n1 closed its connection.\nSaving in-memory database to mosquitto.db.\n"
    assert sifted(ALLOWED + other + ALLOWED) == other.splitlines()


def test_a_refused_publish_stays() -> None:
    line = "Denied PUBLISH from n1 (d0, q1, r0, m1, 'iot/v1/n2/log', ... (1 bytes))"
    assert sifted(f"{line}\nSending PUBACK to n1 (m1, rc135)\n") == [line]


@pytest.mark.parametrize("at", range(5))
def test_of_a_subscription_the_filters_that_were_not_granted_stay_wherever_a_piece_ends(at: int) -> None:
    lines = [
        "Received SUBSCRIBE from n1\n",
        "\tiot/v1/n1/stored (QoS 1)\n",
        "n1 1 iot/v1/n1/stored\n",
        "\t# (QoS 0)\n",
        "Sending SUBACK to n1\n",
    ]
    assert sifted("".join(lines[:at]), "".join(lines[at:])) == ["Denied SUBSCRIBE from n1 (q0, '#')"]


def test_a_will_is_told_with_its_account_unless_it_is_the_nodes_own_status() -> None:
    will = "Will message specified (6 bytes) (r1, q1).\n\tiot/v1/{}/status\n"
    assert sifted(CONNECTED, will.format("n1")) == [CONNECTED.strip()]
    assert sifted(CONNECTED, will.format("n2"))[1:] == ["Will from n1 (u'n1', 'iot/v1/n2/status')"]


def test_of_a_flood_some_stay_and_the_number_of_the_others() -> None:
    now_s = 100.0
    sieve = Sieve("iot/v1", clock=lambda: now_s)
    flood = b"Denied PUBLISH from n1 (d0, q0, r0, m0, 'x', ... (1 bytes))\n" * 1000
    assert len(sieve(flood)) == 50
    assert sieve(flood) == []
    now_s = 101.0
    assert [line[21:] for line in sieve(b"")] == [b"Denied PUBLISH: 1950 more"]
    assert len(sieve(flood)) == 50
