"""The short way for messages of numbers alone gives what the long one gives."""

from __future__ import annotations

import pytest

from wire.formats.base import Limits, context
from wire.formats.json import decode_json, decode_quickly

ARRIVAL_NS = 1_763_750_000_123_456_789


@pytest.mark.parametrize(
    "payload",
    ['{"a":1,"b":2.5}', '{"ts":1763750000000,"values":{"a":1},"tags":{"x":"y"},"seq":4}', '{"values":{"a":1}}'],
)
def test_a_message_of_numbers_is_a_point_without_more_ado(payload: str) -> None:
    found = decode_quickly(payload.encode(), context("n1", "room", Limits()), ARRIVAL_NS)
    assert (found,) == tuple(decode_json(payload.encode(), context("n1", "room", Limits()), ARRIVAL_NS).points)


@pytest.mark.parametrize("payload", ['{"a":true}', '[{"a":1}]', '{"values":{"a":"x"}}', '{"a":9007199254740993}'])
def test_what_is_not_numbers_alone_is_decoded_all_the_same(payload: str) -> None:
    found = decode_quickly(payload.encode(), context("n1", "room", Limits()), ARRIVAL_NS)
    assert found == decode_json(payload.encode(), context("n1", "room", Limits()), ARRIVAL_NS)
