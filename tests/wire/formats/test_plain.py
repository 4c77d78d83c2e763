from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import vectors
from wire.errors import PayloadError, Reason
from wire.formats.base import Limits, context
from wire.formats.plain import decode_plain
from wire.point import Point, Value

ARRIVAL_NS = 1_763_750_000_123_456_789


def fields(payload: bytes, limits: Limits | None = None) -> dict[str, Value]:
    made = context("n1", "room", limits or Limits())
    decoded = decode_plain(payload, made, ARRIVAL_NS)
    assert decoded.refused == ()
    assert decoded.points == (Point(made.key, ARRIVAL_NS, decoded.points[0].fields),)
    return decoded.points[0].fields


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"21.5", 21.5),
        (b" -3\r\n", -3.0),
        (b"+1e3", 1000.0),
        (b".5", 0.5),
        (b"0" * 400, "0" * 400),
        (b"ON", True),
        (b"off", False),
        (b"True", True),
        (b"FALSE", False),
        (b"idle", "idle"),
        (b"21,5", "21,5"),
        (b"0x10", "0x10"),
        (b"1_000", "1_000"),
        ("٣".encode(), "٣"),
        (b"nano", "nano"),
        (b'{"a":1}', '{"a":1}'),
    ],
)
def test_a_bare_value_is_a_number_a_boolean_or_text(payload: bytes, value: Value) -> None:
    got = fields(payload)["value"]
    assert (got, type(got)) == (value, type(value))


def test_a_whole_number_that_a_float_would_round_is_kept_as_text() -> None:
    assert fields(b"9007199254740993") == {"value_text": "9007199254740993"}
    assert fields(b"9007199254740992") == {"value": 2.0**53}


@pytest.mark.parametrize(
    ("payload", "limits", "reason"),
    [
        (b"", Limits(), Reason.NO_VALUES),
        (b" \n", Limits(), Reason.NO_VALUES),
        (b"\xff", Limits(), Reason.NOT_UTF8),
        (b"NaN", Limits(), Reason.NOT_FINITE),
        (b"-Infinity", Limits(), Reason.NOT_FINITE),
        (b"1e999", Limits(), Reason.NOT_FINITE),
        (b"abcd", Limits(text_bytes=3), Reason.TEXT_TOO_LONG),
        (b"abcd", Limits(payload_bytes=3), Reason.TOO_LARGE),
    ],
)
def test_what_is_no_value_is_refused_with_its_reason(payload: bytes, limits: Limits, reason: Reason) -> None:
    with pytest.raises(PayloadError) as caught:
        fields(payload, limits)
    assert caught.value.reason is reason


def test_the_vector_of_telegrafs_field_layout_is_a_number() -> None:
    payload, expected = vectors.vector("influx_lp-12")
    assert fields(payload) == {"value": expected["value"]}


@given(st.binary(max_size=40))
def test_any_bytes_are_one_value_or_a_payload_error(payload: bytes) -> None:
    with contextlib.suppress(PayloadError):
        assert len(fields(payload)) == 1


@given(st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: "." in repr(number)))
def test_every_float_comes_back_exactly(number: float) -> None:
    assert fields(repr(number).encode()) == {"value": number}
