from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import PayloadError, Reason
from wire.messages import Command, NodeState, Receipt, Reply, ReplyState, Status, decode, encode, first_bytes

if TYPE_CHECKING:
    import msgspec

_texts = st.text(st.characters(codec="utf-8"), max_size=8)
_counts = st.integers(0, 2**63 - 1)
_objects = st.dictionaries(
    _texts, st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), _texts), max_size=3
)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


_messages = st.one_of(
    st.builds(
        Status,
        state=st.sampled_from(NodeState),
        ts=_maybe(_counts),
        session=_maybe(_texts),
        version=_maybe(_texts),
        reason=_maybe(_texts),
        outbox=st.booleans(),
        info=_objects,
    ),
    st.builds(
        Command,
        id=_maybe(_texts),
        args=_objects,
        timeout=_maybe(st.floats(0, 1e9)),
        expires=_maybe(_counts),
    ),
    st.builds(
        Reply,
        id=_texts,
        n=_counts,
        state=st.sampled_from(ReplyState),
        stream=_maybe(_texts),
        data=_maybe(_texts),
        code=_maybe(st.integers(-255, 255)),
        result=_maybe(_objects),
    ),
    st.builds(Receipt, seq=_counts, session=_texts),
)


@given(_messages)
def test_a_message_decodes_to_what_was_encoded(message: msgspec.Struct) -> None:
    assert decode(encode(message), type(message)) == message


@given(_messages)
def test_a_message_is_json_that_leaves_out_what_was_not_said(message: msgspec.Struct) -> None:
    assert None not in json.loads(encode(message)).values()


def test_the_birth_of_the_contract_is_read() -> None:
    payload = b'{"state":"online","ts":1763750000000,"session":"a1","version":"1","info":{"os":"x"},"later":1}'
    assert decode(payload, Status) == Status(NodeState.ONLINE, 1_763_750_000_000, "a1", "1", info={"os": "x"})


def test_a_command_may_be_empty() -> None:
    assert decode(b"", Command) == decode(b"{}", Command) == Command()


def test_messages_without_info_do_not_share_one() -> None:
    assert Status(NodeState.ONLINE).info is not Status(NodeState.ONLINE).info


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Reason.WRONG_SHAPE),
        (b"[]", Reason.WRONG_SHAPE),
        (b"null", Reason.WRONG_SHAPE),
        (b'{"state":"asleep"}', Reason.WRONG_SHAPE),
        (b'{"state":"online","ts":"now"}', Reason.WRONG_SHAPE),
        (b'{"state":"online","ts":-1}', Reason.WRONG_SHAPE),
        (b'{"state":"online","ts":9223372036854775808}', Reason.WRONG_SHAPE),
        (b'{"state":"online"', Reason.NOT_JSON),
        (b"online", Reason.NOT_JSON),
        (b'{"state":"online","info":{"a":NaN}}', Reason.NOT_JSON),
        (b'{"state":"online","info":{"a":"\xff"}}', Reason.NOT_UTF8),
        (b'{"state":"online","info":' + b'{"a":' * 100_000, Reason.TOO_DEEP),
    ],
)
def test_what_is_no_status_is_refused_with_its_reason_and_first_bytes(payload: bytes, reason: Reason) -> None:
    with pytest.raises(PayloadError) as caught:
        decode(payload, Status)
    assert caught.value.reason is reason
    assert first_bytes(payload) in caught.value.detail


@pytest.mark.parametrize(
    "payload", [b'{"timeout":-1}', b'{"args":[]}', b'{"expires":1.5}', b'{"id":7}', b'{"timeout":"soon"}']
)
def test_a_command_of_wrong_types_is_refused(payload: bytes) -> None:
    with pytest.raises(PayloadError, match="wrong-shape"):
        decode(payload, Command)


def test_half_a_character_is_replaced_so_that_every_text_can_be_kept() -> None:
    payload = rb'{"state":"online","session":"\ud83d","info":{"\ude00":["\ud83d\ude00","\\ud83d"]}}'
    birth = decode(payload, Status)
    assert birth == Status(NodeState.ONLINE, session="\ufffd", info={"\ufffd": ["😀", "\\ud83d"]})
    encode(birth)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_payload_error(payload: bytes) -> None:
    for kind in (Status, Command, Reply, Receipt):
        with contextlib.suppress(PayloadError):
            assert isinstance(decode(payload, kind), kind)


def test_only_accepted_and_output_are_followed_by_more() -> None:
    assert {state for state in ReplyState if not state.final} == {ReplyState.ACCEPTED, ReplyState.OUTPUT}


def test_first_bytes_are_printable_and_few() -> None:
    assert first_bytes(b"\x00\xff" * 1000).isprintable()
    assert len(first_bytes(b"x" * 1000)) == 80 + len("''…")
    assert first_bytes(b"ok") == "'ok'"
