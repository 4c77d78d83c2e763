"""Attacks on the broker from the network: each is turned away, and recorded where the broker tells."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from tests.support.device import GRANTED_QOS_1, NOT_AUTHORISED, SUCCESS, Device
from tests.support.opened import Opened, Witness, connect_packet, raw
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from hub.broker.accounts import Credentials

GUESSES = 60


@pytest.fixture(scope="module")
def n1(opened: Opened) -> Credentials:
    return opened.add_node("n1")


@pytest.fixture(scope="module")
def n2(opened: Opened) -> Credentials:
    return opened.add_node("n2")


def refused(opened: Opened, credentials: Credentials, **changes: object) -> int:
    device = Device(opened.by_tls(opened.node(credentials)).model_copy(update=changes))
    code = device.connect()
    device.disconnect()
    return code


def test_nobody_gets_in_from_the_network_without_an_account(opened: Opened, n1: Credentials, witness: Witness) -> None:
    assert refused(opened, n1, username=None) == NOT_AUTHORISED
    assert witness.recorded("credentials")


def test_guessing_passwords_leads_nowhere_and_every_guess_is_recorded(
    opened: Opened, n1: Credentials, witness: Witness
) -> None:
    for guess in range(GUESSES):
        answer = raw(opened.lan[0], connect_packet("n1", "n1", f"{guess:032x}"), tls=trusting(opened))
        assert answer[:1] != b" " or answer[3] == NOT_AUTHORISED
    assert witness.recorded("credentials", GUESSES)
    assert all(denial.addresses for denial in witness.denials.newest)
    assert witness.hub_lives
    with Device(opened.by_tls(opened.node(n1))) as device:
        assert device.publish("iot/v1/n1/log") in {SUCCESS, 0x10}


@pytest.mark.parametrize("client_id", ["hub", "n2", "agent-host", "N1"])
def test_a_client_id_of_another_is_refused_and_recorded(
    opened: Opened, n1: Credentials, witness: Witness, client_id: str
) -> None:
    assert refused(opened, n1, client_id=client_id) == NOT_AUTHORISED
    assert witness.recorded("credentials")
    assert witness.hub_lives


def test_the_account_of_another_node_is_worth_nothing_without_its_password(
    opened: Opened, n1: Credentials, n2: Credentials, witness: Witness
) -> None:
    assert refused(opened, n1, username="n2", client_id="n2") == NOT_AUTHORISED
    assert n2.password != n1.password
    assert witness.recorded("credentials")


def test_a_second_connection_of_the_same_node_is_recorded(opened: Opened, n2: Credentials, witness: Witness) -> None:
    mqtt = opened.by_tls(opened.node(n2))
    with Device(mqtt) as first, Device(mqtt):
        wait_until(lambda: first.ended is not None, what="the first one is ended")
        assert witness.recorded("takeover")
    assert [denial.client for denial in witness.denials.newest if denial.kind == "takeover"] == ["n2"]


MALFORMED = {
    "wildcard in a topic": b"\x32\x08\x00\x03a/#\x00\x01\x00",
    "invalid UTF-8": b"\x30\x06\x00\x03\xff\xfe\xfd\x00",
    "reserved packet type": b"\xf0\x00",
    "empty second CONNECT": b"\x10\x00",
    "SUBSCRIBE without filter": b"\x82\x03\x00\x01\x00",
    "endless length": b"\x30\x80\x80\x80\x80\x80",
    "PUBACK of nothing": b"\x40\x01\x00",
    "QoS 3": b"\x36\x08\x00\x03a/b\x00\x01\x00",
}


@pytest.mark.parametrize("packet", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_packet_ends_that_connection_and_no_other(
    opened: Opened, n1: Credentials, witness: Witness, packet: bytes
) -> None:
    raw(opened.port, connect_packet("n1", "n1", n1.password), packet)
    assert witness.recorded("protocol")
    assert witness.hub_lives


@pytest.mark.parametrize(
    ("listener", "kind"), [(0, "protocol"), (1, "tls"), (2, "tls")], ids=["loopback", "TLS", "certificate"]
)
def test_what_is_no_mqtt_is_turned_away_on_every_listener(
    opened: Opened, witness: Witness, listener: int, kind: str
) -> None:
    raw((opened.port, *opened.lan)[listener], b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
    assert witness.recorded(kind)
    assert witness.hub_lives


def test_an_oversized_packet_ends_that_connection_and_no_other(
    opened: Opened, n1: Credentials, witness: Witness
) -> None:
    topic = b"iot/v1/n1/log"
    body = len(topic).to_bytes(2, "big") + topic + b"\0" + b"x" * (1 << 17)
    length = bytes([len(body) & 0x7F | 0x80, len(body) >> 7 & 0x7F | 0x80, len(body) >> 14])
    raw(opened.port, connect_packet("n1", "n1", n1.password), b"\x30" + length + body)
    assert witness.recorded("size")
    assert witness.hub_lives


def test_a_node_can_leave_no_command_for_itself_or_others(opened: Opened, n1: Credentials) -> None:
    for topic in ("iot/v1/n1/cmd/reboot", "iot/v1/n2/cmd/reboot"):
        device = Device(opened.by_tls(opened.node(n1)))
        assert device.connect() == SUCCESS
        assert device.publish(topic, retain=True) >= 0x80
        device.disconnect()


def test_a_retained_command_comes_marked_as_such_so_that_a_node_can_refuse_it(opened: Opened, n1: Credentials) -> None:
    with Device(opened.operator()) as operator:
        assert operator.publish("iot/v1/n1/cmd/ping", "{}", retain=True) in {SUCCESS, 0x10}
        with Device(opened.by_tls(opened.node(n1))) as node:
            assert node.subscribe("iot/v1/n1/cmd/+") == GRANTED_QOS_1
            wait_until(lambda: node.messages, what="the command")
            assert node.messages[0].retain
        operator.publish("iot/v1/n1/cmd/ping", "", retain=True)


def test_a_reply_in_the_name_of_another_node_is_refused(opened: Opened, n1: Credentials) -> None:
    with Device(opened.operator()) as operator:
        assert operator.subscribe("iot/v1/n2/reply/+") == GRANTED_QOS_1
        forger = Device(opened.by_tls(opened.node(n1)))
        assert forger.connect() == SUCCESS
        assert forger.publish("iot/v1/n2/reply/42", '{"id":"42","n":0,"state":"done"}') >= 0x80
        forger.disconnect()
        assert operator.messages == []


def test_old_tls_is_not_spoken(opened: Opened) -> None:
    context = trusting(opened)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        raw(opened.lan[0], b"", tls=context)


def trusting(opened: Opened) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=opened.certificates.authority_file)
