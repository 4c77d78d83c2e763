from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.messages import Command, decode, encode
from wire.signing import (
    KeyUnusable,
    SignatureRefused,
    new_key,
    private_pem,
    public_text,
    read_private,
    read_public,
    sign,
    signed_bytes,
    verify,
)

KEY = new_key()
KEYS = {"alice": KEY.public_key(), "bob": new_key().public_key()}
COMMAND = Command(id="c1", args={"service": "nginx"}, expires=1_763_750_000_000, timeout=30)

_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def signed(**changes: Any) -> Command:
    return msgspec.structs.replace(sign(COMMAND, "pi4", "service-restart", KEY, "alice"), **changes)


def test_what_an_operator_signs_a_node_that_has_the_key_accepts() -> None:
    assert verify(decode(encode(signed()), Command), "pi4", "service-restart", KEYS) == "alice"


@given(st.dictionaries(st.text(max_size=8), _values, max_size=4))
def test_any_arguments_that_can_travel_verify_after_the_journey(args: dict[str, Any]) -> None:
    command = sign(Command(id="c1", args=args, expires=5), "n1", "shell", KEY, "alice")
    assert verify(decode(encode(command), Command), "n1", "shell", KEYS) == "alice"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "c2"},
        {"args": {"service": "ssh"}},
        {"args": {}},
        {"expires": COMMAND.expires + 1 if COMMAND.expires else 0},
        {"timeout": 31},
        {"timeout": None},
        {"nonce": "0" * 32},
        {"operator": "bob"},
        {"signature": "AAAA"},
        {"signature": "not base64!"},
    ],
)
def test_nothing_may_be_changed_after_signing(changes: dict[str, Any]) -> None:
    with pytest.raises(SignatureRefused, match="not one of operator"):
        verify(signed(**changes), "pi4", "service-restart", KEYS)


def test_it_fits_no_other_node_and_no_other_command() -> None:
    for node, name in (("pi5", "service-restart"), ("pi4", "shell")):
        with pytest.raises(SignatureRefused):
            verify(signed(), node, name, KEYS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"signature": None}, "not signed"),
        ({"nonce": None, "expires": None}, "without expires, nonce"),
        ({"nonce": "short"}, "16 to 64 characters"),
        ({"operator": "mallory"}, "no key of operator 'mallory'"),
    ],
)
def test_what_is_missing_is_said(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SignatureRefused, match=words):
        verify(signed(**changes), "pi4", "service-restart", KEYS)


def test_each_signature_has_a_nonce_of_its_own() -> None:
    assert signed().nonce != signed().nonce


def test_what_no_node_would_take_is_not_signed() -> None:
    with pytest.raises(ValueError, match="id and expires"):
        sign(Command(id="c1"), "pi4", "ping", KEY, "alice")


def test_the_signed_text_is_as_documented() -> None:
    command = Command(id="c1", args={"b": 1, "a": {"d": 1.5, "c": "ü"}}, expires=5, operator="alice", nonce="n")
    assert (
        signed_bytes(command, "pi4", "shell")
        == (
            'iothub-command-v1\n{"args":{"a":{"c":"ü","d":1.5},"b":1},"command":"shell","expires":5,"id":"c1",'
            '"node":"pi4","nonce":"n","operator":"alice","timeout":null}'
        ).encode()
    )


def test_keys_survive_their_files() -> None:
    assert public_text(read_private(private_pem(KEY))) == public_text(KEY)
    assert public_text(read_public(public_text(KEY) + "\n")) == public_text(KEY.public_key())


@pytest.mark.parametrize("text", ["", "ed25519:", "ed25519:AAAA", "ed25519:äöü", "rsa:AAAA", "ed25519:" + "A" * 44])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(KeyUnusable, match="32 bytes in base64"):
        read_public(text)


def test_what_is_no_private_key_is_refused() -> None:
    with pytest.raises(KeyUnusable):
        read_private(b"secret")
