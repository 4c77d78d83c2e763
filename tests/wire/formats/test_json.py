"""The grammar of the contract's own telemetry format, DESIGN §4."""

from __future__ import annotations

import json

import pytest

from wire.errors import PayloadError, Reason
from wire.formats.base import Context, Decoded, Limits, context
from wire.formats.json import decode_json
from wire.formats.times import timestamp_ns
from wire.point import Point, SeriesKey, Value

ARRIVAL_NS = 1_763_750_000_123_456_789
TS_MS = 1_763_750_000_000
TS_NS = TS_MS * 1_000_000


def decode(payload: object, limits: Limits | None = None, made: Context | None = None) -> Decoded:
    """Decode bytes, text as it stands, or anything else as its JSON."""
    if isinstance(payload, str):
        payload = payload.encode()
    elif not isinstance(payload, bytes):
        payload = json.dumps(payload).encode()
    return decode_json(payload, made or context("n1", "room", limits or Limits()), ARRIVAL_NS)


def only(payload: object, limits: Limits | None = None) -> Point:
    """The only point of a message of which nothing is refused."""
    decoded = decode(payload, limits)
    assert not decoded.refused
    assert len(decoded.points) == 1
    return decoded.points[0]


def refusal(payload: object, limits: Limits | None = None) -> PayloadError:
    with pytest.raises(PayloadError) as caught:
        decode(payload, limits)
    return caught.value


def exact(fields: dict[str, Value]) -> dict[str, tuple[type, Value]]:
    """1.0 == True in Python, but not in a database."""
    return {name: (type(value), value) for name, value in fields.items()}


# -- the forms of a message -------------------------------------------------------------------------------------------


def test_a_flat_object_holds_values_of_the_moment_it_arrived() -> None:
    point = only({"temperature": 21, "door": True, "state": "open"})
    assert point == Point(SeriesKey("n1", "room"), ARRIVAL_NS, {"temperature": 21.0, "door": True, "state": "open"})
    assert exact(point.fields) == {"temperature": (float, 21.0), "door": (bool, True), "state": (str, "open")}


def test_whole_numbers_are_stored_as_floats() -> None:
    assert exact(only('{"a":3}').fields) == exact(only('{"a":3,"b":{}}').fields) == {"a": (float, 3.0)}


def test_the_wrapped_form_has_its_own_time_tags_and_number() -> None:
    point = only({"ts": TS_MS, "values": {"usage": 12.5}, "tags": {"core": "0", "a": "b"}, "seq": 4711})
    assert point == Point(SeriesKey("n1", "room", (("a", "b"), ("core", "0"))), TS_NS, {"usage": 12.5}, 4711)


def test_the_wrapped_form_without_a_time_is_of_the_moment_it_arrived() -> None:
    assert only({"values": {"a": 1}}).ts_ns == only({"ts": None, "values": {"a": 1}}).ts_ns == ARRIVAL_NS


def test_an_array_holds_messages_of_both_forms() -> None:
    points = decode([{"a": 1}, {"ts": TS_MS, "values": {"a": "x"}}]).points
    assert [(p.ts_ns, p.fields) for p in points] == [(ARRIVAL_NS, {"a": 1.0}), (TS_NS, {"a": "x"})]


def test_white_space_around_a_message_changes_nothing() -> None:
    assert len(decode(b' \r\n[{"a":1}, {"a":2}]\n').points) == 2
    assert only(b'\t{"values" : {"a":1} } ').fields == {"a": 1.0}


@pytest.mark.parametrize("payload", [{"values": 5, "x": 1}, {"x": 1, "values": 5}, {"values": 5, "seq": 1, "x": 1}])
def test_a_flat_message_may_have_a_value_called_values(payload: dict[str, int]) -> None:
    assert only(payload).fields == payload


def test_a_time_beside_values_that_are_no_object_is_a_mistake() -> None:
    error = refusal({"ts": TS_MS, "values": [1, 2]})
    assert error.reason is Reason.WRONG_SHAPE
    assert "values must be an object, not an array" in error.detail


def test_keys_beside_values_are_refused_alone() -> None:
    decoded = decode({"values": {"a": 1}, "temperature": 21, "session": "s"})
    assert decoded.points[0].fields == {"a": 1.0}
    assert [(r.reason, r.detail) for r in decoded.refused] == [(Reason.UNKNOWN_KEY, "'temperature' beside values")]


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        ("21.5", "a number"),
        ("true", "a boolean"),
        ('"on"', "text"),
        ("null", "null"),
        ("[[1]]", "an array"),
        ("NaN", "a number"),
    ],
)
def test_what_is_no_object_is_refused_by_its_name(payload: str, named: str) -> None:
    error = refusal(payload)
    assert error.reason is Reason.WRONG_SHAPE
    assert f"not {named}" in error.detail


@pytest.mark.parametrize("payload", ["{}", "[]", "[{}]", '{"a":null}', '{"a":{"b":[null,{}]}}', '{"values":{}}'])
def test_a_message_without_values_is_refused(payload: str) -> None:
    assert refusal(payload).reason is Reason.NO_VALUES


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b'{"a":1', b'{"a":1}}', b"{'a':1}", b'{"a":01}', b"temperature=21", b"\xef\xbb\xbf{}", b'{"a":1} {}'],
)
def test_what_is_no_json_is_refused_with_its_first_bytes(payload: bytes) -> None:
    error = refusal(payload)
    assert error.reason is Reason.NOT_JSON
    assert error.detail.endswith(f"starts with {repr(payload)[1:]}")


@pytest.mark.parametrize("payload", [b'{"a\xff":1}', b'{"a":"\xc3"}', b'{"values":{"a":"\xed\xa0\x80"}}', b"[\xff]"])
def test_what_is_no_utf8_is_refused(payload: bytes) -> None:
    assert refusal(payload).reason is Reason.NOT_UTF8


# -- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ts", [TS_MS, TS_MS + 0.25, "2025-11-21T19:33:20+01:00", "2025-11-21T18:33:20.123456789Z", -1, 0]
)
def test_times_are_ms_or_iso_8601_with_an_offset(ts: object) -> None:
    assert only({"ts": ts, "values": {"a": 1}}).ts_ns == timestamp_ns(ts)


@pytest.mark.parametrize("ts", ["2025-11-21T18:33:20", "yesterday", "", True, [1], {}, 10**18, float("nan"), "1e12"])
def test_a_time_that_is_none_refuses_the_message(ts: object) -> None:
    error = refusal({"ts": ts, "values": {"a": 1}})
    assert error.reason is Reason.BAD_TIMESTAMP
    assert "starts with '{" in error.detail


def test_elements_of_an_array_without_a_time_never_share_an_instant() -> None:
    payload = [{"values": {"a": 1}}, {"values": {"a": 2}, "ts": TS_MS}, {"values": {"a": 3}}]
    fast = [p.ts_ns for p in decode(payload).points]
    careful = [p.ts_ns for p in decode([*payload, {"values": {"a": "x"}}]).points]
    assert fast == [ARRIVAL_NS, TS_NS, ARRIVAL_NS + 2]
    assert careful == [*fast, ARRIVAL_NS + 3]


def test_instants_of_an_array_are_as_many_as_its_points_so_that_the_next_message_can_follow() -> None:
    points = decode([1, None, {"a": None}, {"a": 1}, 2, {"a": 2}]).points
    assert [p.ts_ns for p in points] == [ARRIVAL_NS, ARRIVAL_NS + 1]


# -- values -----------------------------------------------------------------------------------------------------------


def test_null_is_nothing() -> None:
    assert only({"a": None, "b": 1}).fields == {"b": 1.0}


def test_objects_flatten_with_a_dot_and_arrays_by_index() -> None:
    nested = {"a": {"b": {"c": 1}, "d": [2, {"e": 3}, [4, None]]}, "f": []}
    assert only(nested).fields == {"a.b.c": 1.0, "a.d.0": 2.0, "a.d.1.e": 3.0, "a.d.2.0": 4.0}
    assert only({"values": nested}).fields == only(nested).fields


def test_names_that_flatten_to_the_same_are_refused_after_the_first() -> None:
    decoded = decode({"a.b": 1, "a": {"b": 2, "c": 3}})
    assert decoded.points[0].fields == {"a.b": 1.0, "a.c": 3.0}
    assert [(r.reason, r.detail) for r in decoded.refused] == [(Reason.WRONG_SHAPE, "'a.b' is there twice")]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "-" + "9" * 5000])
def test_numbers_that_are_none_are_refused_alone(number: str) -> None:
    decoded = decode(f'{{"a":{number},"b":[1,{number}],"c":"😀"}}')
    assert decoded.points[0].fields == {"b.0": 1.0, "c": "😀"}
    assert [(r.reason, r.detail.partition(" ")[0]) for r in decoded.refused] == [
        (Reason.NOT_FINITE, "'a'"),
        (Reason.NOT_FINITE, "'b.1'"),
    ]


def test_a_message_of_nothing_but_nan_is_refused_for_that() -> None:
    error = refusal('{"a":NaN}')
    assert error.reason is Reason.NOT_FINITE
    assert error.detail == "'a' = nan; starts with '{\"a\":NaN}'"


@pytest.mark.parametrize(
    "form", ['{{"a":{0},"b":1}}', '{{"values":{{"a":{0},"b":1}}}}', '[{{"values":{{"a":{0},"b":1}}}}]']
)
@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2**63, 10**30])
def test_a_whole_number_that_a_float_cannot_hold_is_parked_exactly(number: int, form: str) -> None:
    assert only(form.format(number)).fields == {"a_text": str(number), "b": 1.0}


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**53 - 1, 0])
def test_a_whole_number_that_a_float_holds_stays_one(number: int) -> None:
    assert exact(only({"a": number}).fields) == {"a": (float, float(number))}


def test_large_numbers_with_a_fraction_or_an_exponent_are_what_a_float_makes_of_them() -> None:
    assert only('{"a":1e300,"b":9007199254740993.0,"c":-0.0}').fields == {"a": 1e300, "b": 2.0**53, "c": 0.0}


@pytest.mark.parametrize("names", [("a", "a_text"), ("a_text", "a")])
def test_a_parked_number_never_overwrites_a_neighbour(names: tuple[str, str]) -> None:
    values = {"a": 2**60, "a_text": "own"}
    decoded = decode({name: values[name] for name in names})
    assert len(decoded.points[0].fields) == 1
    assert [r.reason for r in decoded.refused] == [Reason.WRONG_SHAPE]


@pytest.mark.parametrize(
    "payload",
    [
        r'{"ok":1,"a":"cut \ud83d"}',
        r'{"ok":1,"\ude00":2}',
        r'{"values":{"ok":1,"\ud83d":2}}',
        r'[{"values":{"ok":1,"\ud83d":2}}]',
        r'{"ok":1,"a":"\ud83d","b":NaN}',
    ],
)
def test_half_a_character_is_refused_alone(payload: str) -> None:
    decoded = decode(payload)
    assert [p.fields for p in decoded.points] == [{"ok": 1.0}]
    assert decoded.refused[0].reason is Reason.NOT_UTF8
    assert all(r.detail.isascii() for r in decoded.refused)


# -- tags and sequence numbers ----------------------------------------------------------------------------------------


def test_tags_are_text_numbers_or_booleans_and_sorted() -> None:
    tags = {"z": 1, "y": 2.5, "x": True, "w": False, "v": None, "u": "", "t": "text"}
    key = only({"values": {"a": 1}, "tags": tags}).key
    assert key.tags == (("t", "text"), ("w", "false"), ("x", "true"), ("y", "2.5"), ("z", "1"))


def test_equal_tags_in_any_order_give_the_same_key_object() -> None:
    made = context("n1", "room", Limits())
    payloads = ['{"values":{"a":1},"tags":{"x":"1","y":"2"}}', '{"values":{"a":true},"tags":{"y":2,"x":1}}']
    first, second = (decode(payload, made=made).points[0].key for payload in payloads)
    assert first is second


def test_interned_keys_are_bounded() -> None:
    made = context("n1", "room", Limits())
    for i in range(25_000):
        assert decode(f'{{"values":{{"a":1}},"tags":{{"id":"{i}"}}}}', made=made).points[0].key.tags == (
            ("id", str(i)),
        )
    assert len(made.tagged) <= 10_001


def test_remembered_names_are_bounded() -> None:
    made = context("n1", "room", Limits())
    for i in range(25_000):
        assert decode(f'{{"f{i}":1}}', made=made).points[0].fields == {f"f{i}": 1.0}
    assert len(made.names) <= 10_000


@pytest.mark.parametrize(
    "tags",
    ["x", 5, ["a"], {"a": {}}, {"a": [1]}, {"": "x"}, {"node": "n2"}, {"t" * 129: "x"}, {"t": "x" * 513},
     {"t": "\ud83d"}, {"\ud83d": "t"}, {str(i): "x" for i in range(65)}],
)  # fmt: skip
@pytest.mark.parametrize("value", [1, "x"])
def test_bad_tags_refuse_the_message_they_belong_to_and_no_other(tags: object, value: object) -> None:
    bad = {"values": {"a": value}, "tags": tags}
    assert refusal(bad).reason is Reason.BAD_TAG
    decoded = decode([{"values": {"a": 1}}, bad])
    assert [p.fields for p in decoded.points] == [{"a": 1.0}]
    assert [r.reason for r in decoded.refused] == [Reason.BAD_TAG]


@pytest.mark.parametrize("seq", [0, 1, 2**63 - 1, None])
def test_a_sequence_number_is_whole_and_not_negative(seq: int | None) -> None:
    assert only({"values": {"a": 1}, "seq": seq}).seq == only({"values": {"a": "x"}, "seq": seq}).seq == seq


@pytest.mark.parametrize("seq", [-1, 1.5, "7", True, 2**63, 2**70, [1]])
def test_a_bad_sequence_number_is_refused_and_the_values_are_kept(seq: object) -> None:
    decoded = decode({"values": {"a": 1}, "seq": seq})
    assert (decoded.points[0].fields, decoded.points[0].seq) == ({"a": 1.0}, None)
    assert [r.reason for r in decoded.refused] == [Reason.WRONG_SHAPE]
