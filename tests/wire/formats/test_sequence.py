from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.formats.sequence import sequence_numbers


@pytest.mark.parametrize(
    ("payload", "numbers"),
    [
        (b'{"ts":1,"values":{"t":null},"seq":7}', [7]),
        (b'{"ts":"yesterday","values":{"t":NaN},"tags":[1],"seq":7}', [7]),
        (b'[{"values":{"t":1},"seq":7},{"values":{},"seq":8},3,{"values":{"t":"x"},"seq":9}]', [7, 8, 9]),
        (b'{"message":3,"level":[],"seq":7}', [7]),
        (b'{"values":{"t":"\xff\xfe"},"seq":7}', [7]),
        (b'{"values":{"t":1},"seq":7', [7]),
        (b'{"values":{"a":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b'},"seq":7}', [7]),
        (b'{"values":{"seq":5},"seq":7', []),
        (b'{"values":{"seq":5}}', []),
        (b'{"temperature":1,"seq":5}', []),
        (b'{"values":{},"seq":true}', []),
        (b'{"values":{},"seq":-1}', []),
        (b'{"values":{},"seq":1.5}', []),
        (b'{"values":{},"seq":9223372036854775808}', []),
        (b"no JSON", []),
        (b"", []),
        (b'{"values":{},"seq":7}' + b" " * (8 << 20), []),
    ],
)
def test_the_numbers_of_a_refused_message_are_found(payload: bytes, numbers: list[int]) -> None:
    assert sequence_numbers(payload) == numbers


@given(st.binary(max_size=200))
def test_no_payload_is_too_strange(payload: bytes) -> None:
    assert sequence_numbers(payload + b'"seq":1') in ([], [1])


@given(st.lists(st.integers(0, 2**53)))
def test_all_numbers_of_an_array_are_found_in_order(numbers: list[int]) -> None:
    payload = json.dumps([{"values": {"t": None}, "seq": seq} for seq in numbers]).encode()
    assert sequence_numbers(payload) == numbers
