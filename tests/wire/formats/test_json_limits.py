"""What one JSON message may hold, and that the fast way and the careful way of decoding it agree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wire.errors import PayloadError, Reason
from wire.formats.base import Decoded, Limits, context
from wire.formats.json import _carefully, decode_json

ARRIVAL_NS = 1_763_750_000_123_456_789
TS_MS = 1_763_750_000_000


def decode(payload: object, limits: Limits | None = None) -> Decoded:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return decode_json(raw, context("n1", "room", limits or Limits()), ARRIVAL_NS)


def reason(payload: object, limits: Limits | None = None) -> Reason:
    with pytest.raises(PayloadError) as caught:
        decode(payload, limits)
    return caught.value.reason


def test_a_payload_may_be_as_large_as_the_limit_and_no_larger() -> None:
    payload = b'{"a":1}'
    assert decode(payload, Limits(payload_bytes=7)).points
    with pytest.raises(PayloadError, match=r"7 bytes, 6 are allowed \(limits.payload_bytes\); starts with '{\"a\":1}'"):
        decode(payload, Limits(payload_bytes=6))


@pytest.mark.parametrize("value", [1, "x"])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: {"values": v}, lambda v: [{"values": v}]])
def test_a_message_may_have_as_many_values_as_the_limit_and_no_more(wrap: Any, value: object) -> None:
    limits = Limits(values_per_message=3)
    assert decode(wrap(dict.fromkeys("abc", value)), limits).points
    assert reason(wrap(dict.fromkeys("abcd", value)), limits) is Reason.TOO_MANY_VALUES


@pytest.mark.parametrize("value", [1, "x"])
def test_values_of_an_array_count_together(value: object) -> None:
    element = {"values": {"a": value, "b": 1}}
    assert len(decode([element] * 2, Limits(values_per_message=4)).points) == 2
    assert reason([element] * 2, Limits(values_per_message=3)) is Reason.TOO_MANY_VALUES


def test_a_known_topic_still_counts_values() -> None:
    made = context("n1", "room", Limits(values_per_message=2))
    for name in "abc":
        decode_json(f'{{"{name}":1}}'.encode(), made, ARRIVAL_NS)
    with pytest.raises(PayloadError, match="too-many-values"):
        decode_json(b'{"a":1,"b":2,"c":3}', made, ARRIVAL_NS)


def test_one_value_of_too_many_elements_is_refused_alone() -> None:
    decoded = decode({"a": 1, "b": [None] * 1001, "c": {"d": 2}})
    assert decoded.points[0].fields == {"a": 1.0, "c.d": 2.0}
    assert [(r.reason, r.detail[:16]) for r in decoded.refused] == [(Reason.TOO_MANY_VALUES, "'b': 1001 values")]


@pytest.mark.parametrize(
    "payload",
    [
        b"[" + b"0," * 1001 + b"0]",
        b"[" + b"{}," * 1001 + b"{}]",
        b'{"a":[' + b"NaN," * 900 + b'NaN],"b":[' + b"NaN," * 900 + b"NaN]}",
        b'{"values":{"a":1},' + b",".join(b'"%d":0' % i for i in range(1001)) + b"}",
    ],
)
def test_refusals_count_as_values_so_that_junk_costs_no_more_than_data(payload: bytes) -> None:
    assert reason(payload) is Reason.TOO_MANY_VALUES


def test_what_is_nested_deeper_than_the_limit_is_refused_alone() -> None:
    limits = Limits(depth=3)
    decoded = decode({"a": {"b": {"c": 1}}, "x": {"y": {"z": {"deep": 1}}}, "l": [[[1]]]}, limits)
    assert decoded.points[0].fields == {"a.b.c": 1.0}
    assert [(r.reason, r.detail) for r in decoded.refused] == [
        (Reason.TOO_DEEP, "'x.y.z': deeper than 3 levels"),
        (Reason.TOO_DEEP, "'l.0.0': deeper than 3 levels"),
    ]


def test_what_is_empty_is_not_too_deep() -> None:
    assert decode({"a": {"b": {"c": {}}}, "d": 1}, Limits(depth=3)).refused == []


@pytest.mark.parametrize("payload", [b"[" * 100_000, b'{"a":' * 100_000, b'{"a":NaN,"b":' + b"[" * 100_000])
def test_nesting_without_end_is_refused(payload: bytes) -> None:
    assert reason(payload) in (Reason.TOO_DEEP, Reason.NOT_JSON)


@pytest.mark.parametrize("name", ["k" * 129, "ü" * 65, ""])
@pytest.mark.parametrize("value", [1, "x"])
def test_names_are_limited_in_bytes_and_never_empty(name: str, value: object) -> None:
    decoded = decode({name: value, "k" * 128: 1, "ü" * 64: 2})
    assert set(decoded.points[0].fields) == {"k" * 128, "ü" * 64}
    assert [r.reason for r in decoded.refused] == [Reason.KEY_TOO_LONG if name else Reason.WRONG_SHAPE]
    assert len(decoded.refused[0].detail) < 200


def test_the_limit_of_a_name_holds_for_the_whole_flattened_name() -> None:
    decoded = decode({"k" * 100: {"l" * 100: 1}, "a": 1})
    assert [r.reason for r in decoded.refused] == [Reason.KEY_TOO_LONG]


def test_text_is_limited_in_bytes() -> None:
    decoded = decode({"a": "x" * 11, "b": "ü" * 5, "c": "ü" * 6}, Limits(text_bytes=10))
    assert decoded.points[0].fields == {"b": "ü" * 5}
    assert [(r.reason, r.detail) for r in decoded.refused] == [
        (Reason.TEXT_TOO_LONG, "'a': text of 11 bytes (limits.text_bytes)"),
        (Reason.TEXT_TOO_LONG, "'c': text of 12 bytes (limits.text_bytes)"),
    ]


def test_tags_are_limited_in_bytes() -> None:
    limits = Limits(key_bytes=4, tag_bytes=4)
    assert decode({"values": {"a": 1}, "tags": {"abcd": "üü"}}, limits).points[0].key.tags == (("abcd", "üü"),)
    for tags in ({"abcde": "x"}, {"a": "üüx"}):
        assert reason({"values": {"a": 1}, "tags": tags}, limits) is Reason.BAD_TAG


# -- two ways, one result ---------------------------------------------------------------------------------------------

_names = st.text(st.sampled_from('ab.é😀\ud83d"\\'), max_size=4)
_numbers = st.one_of(
    st.integers(-(2**54), 2**54), st.integers(), st.floats(), st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 1e999])
)
_values = st.recursive(
    st.one_of(_numbers, _numbers, _numbers, st.none(), st.booleans(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=4,
)
_fields = st.dictionaries(_names, _numbers | _values, max_size=4)
_wrapped = st.fixed_dictionaries(
    {"values": _fields},
    optional={
        "ts": st.one_of(
            st.integers(TS_MS - 9, TS_MS), st.integers(), st.none(), st.floats(), st.just("2025-11-21T18:33Z")
        ),
        "tags": st.none() | st.dictionaries(_names, st.one_of(st.text(max_size=3), _numbers, st.none()), max_size=3),
        "seq": st.one_of(st.integers(-1, 9), st.just(2**63), st.none(), st.floats()),
        "session": st.text(max_size=2) | st.none() | st.integers(),
        "other": st.integers(),
    },
)
_messages = st.one_of(_fields, _wrapped, st.lists(_wrapped | _fields, max_size=3))
_limits = st.builds(
    Limits,
    payload_bytes=st.sampled_from([20, 1 << 20]),
    values_per_message=st.sampled_from([2, 1000]),
    depth=st.sampled_from([1, 8]),
    key_bytes=st.sampled_from([3, 128]),
    text_bytes=st.sampled_from([3, 1000]),
    tag_bytes=st.sampled_from([2, 512]),
)


def _said(decoded: Decoded | PayloadError) -> Any:
    if isinstance(decoded, PayloadError):
        return decoded.reason, decoded.detail
    points = [
        (p.key, p.ts_ns, p.seq, sorted((name, type(v).__name__, v) for name, v in p.fields.items()))
        for p in decoded.points
    ]
    return points, sorted(decoded.refused, key=str)


def _try(way: Any, payload: bytes, limits: Limits) -> Decoded | PayloadError:
    try:
        decoded: Decoded = way(payload, context("n1", "room", limits), ARRIVAL_NS)
    except PayloadError as error:
        return error
    return decoded


@given(_messages, _limits)
@example({"a": 2**53 + 1}, Limits())
@example({"values": {"a": 1}, "seq": 2**64}, Limits())
@example({"values": {"a": 1}, "tags": {"node": "n2"}}, Limits())
@example([{"values": {"a": 1}}, {"values": {"a": 1}, "tags": {"": "x"}}], Limits())
@example({"\ud83d": 1}, Limits())
@example({"values": {"a": 1}, "ts": -9_223_372_036_855}, Limits())
def test_the_fast_way_and_the_careful_way_say_the_same(message: object, limits: Limits) -> None:
    payload = json.dumps(message).encode()
    assert _said(_try(decode_json, payload, limits)) == _said(_try(_carefully, payload, limits))


@given(st.dictionaries(_names, st.one_of(_numbers, st.none(), st.booleans(), st.text(max_size=5))))
def test_each_value_is_kept_as_it_came_parked_exactly_or_refused(values: dict[str, Any]) -> None:
    decoded = _try(decode_json, json.dumps(values).encode(), Limits())
    if isinstance(decoded, PayloadError):
        return
    fields = decoded.points[0].fields
    for name, value in fields.items():
        if name in values:
            assert values[name] == value
            assert type(value) is (float if type(values[name]) is int else type(values[name]))
        else:
            assert str(values[name.removesuffix("_text")]) == value
    nothing = sum(value is None for value in values.values())
    assert len(fields) + len(decoded.refused) + nothing == len(values)


@given(_messages)
def test_what_is_kept_can_be_stored_and_never_shares_an_instant(message: object) -> None:
    decoded = _try(decode_json, json.dumps(message).encode(), Limits())
    if isinstance(decoded, PayloadError):
        return
    for point in decoded.points:
        assert point.fields
        for text in (*point.fields, *map(str, point.fields.values()), *sum(point.key.tags, ())):
            text.encode()
        assert point.key.tags == tuple(sorted(point.key.tags))
    untimed = [p.ts_ns for p in decoded.points if p.ts_ns >= ARRIVAL_NS]
    assert len(set(untimed)) == len(untimed)


@given(
    st.one_of(
        st.binary(max_size=60),
        st.text('{}[]":,0123456789.eE-+ \\ud8aNtsvlueInfy', max_size=60).map(str.encode),
        _messages.map(lambda message: json.dumps(message).encode()).flatmap(
            lambda whole: st.tuples(st.integers(0, len(whole)), st.binary(max_size=2)).map(
                lambda cut: whole[: cut[0]] + cut[1] + whole[cut[0] + 1 :]
            )
        ),
    )
)
@example(b'{"a":"\\ud800"}')
@example(b'{"values":{"a":1},"tags":{"b":"\\ud800"}}')
@example(b'{"values":{"a":1},"ts":"\\ud800"}')
@example(b'{"values":{"a":1},"seq":' + b"1" * 5000 + b"}")
@example(b'{"values":{"a":1},"ts":' + b"1" * 5000 + b"}")
@example(b'{"values":{"a":NaN},"tags":{"b":' + b"1" * 5000 + b"}}")
def test_any_bytes_are_points_or_a_payload_error(payload: bytes) -> None:
    decoded = _try(decode_json, payload, Limits())
    if isinstance(decoded, PayloadError):
        decoded.detail.encode()
    else:
        assert decoded.points
