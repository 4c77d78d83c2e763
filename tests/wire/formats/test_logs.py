from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import PayloadError, Reason
from wire.formats.base import Decoded, Limits, context
from wire.formats.logs import LEVELS, decode_logs, level_of
from wire.point import NS_PER_MS, Point

TS_MS = 1_763_750_000_123
ARRIVAL_NS = 1_763_750_000_555_456_789


def decode(payload: object, limits: Limits | None = None) -> Decoded:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return decode_logs(raw, context("n1", "log", limits or Limits()), ARRIVAL_NS)


def only_point(payload: object) -> Point:
    (point,) = decode(payload).points
    return point


def test_a_record_becomes_a_point_of_measurement_log_tagged_by_level_and_source() -> None:
    point = only_point(
        {
            "ts": TS_MS,
            "level": "warning",
            "source": "nginx",
            "message": "slow",
            "fields": {"ms": 502, "up": {"a": True}},
        }
    )
    assert point.key.measurement == "log"
    assert point.key.node == "n1"
    assert point.key.tags == (("level", "warning"), ("source", "nginx"))
    assert point.fields == {"message": "slow", "ms": 502.0, "up.a": True}
    assert point.ts_ns // NS_PER_MS == TS_MS


def test_a_record_that_says_only_its_message_is_info_of_no_source_at_arrival() -> None:
    point = only_point({"message": "hello"})
    assert point.key.tags == (("level", "info"), ("source", ""))
    assert point.ts_ns // NS_PER_MS == ARRIVAL_NS // NS_PER_MS


@pytest.mark.parametrize(
    "payload", [b"disk full\n", b"[error] disk full", b"{not json", b"[1, 2]", b"21.5", b"[]", b'["a", 1]', b'"quoted"']
)
def test_what_is_no_record_is_a_message_itself(payload: bytes) -> None:
    assert only_point(payload).fields == {"message": payload.decode().rstrip("\n")}


def test_an_array_holds_records_and_plain_messages() -> None:
    points = decode([{"message": "a", "level": "error"}, "b"]).points
    assert [p.fields["message"] for p in points] == ["a", "b"]


def test_lines_of_a_stack_trace_stay_together() -> None:
    assert only_point(b"Error\n  at a\n  at b\n").fields == {"message": "Error\n  at a\n  at b"}


def test_keys_of_no_meaning_here_are_kept_as_fields() -> None:
    assert only_point({"message": "m", "pid": 7, "host": {"name": "x"}}).fields == {
        "message": "m", "pid": 7.0, "host.name": "x",
    }  # fmt: skip


def test_a_field_that_would_hide_the_message_or_a_tag_is_renamed() -> None:
    fields = only_point({"message": "real", "fields": {"message": "other", "level": 3, "node": "x"}}).fields
    assert fields == {"message": "real", "fields.message": "other", "fields.level": 3.0, "fields.node": "x"}


def test_a_message_that_is_no_text_is_kept_as_json() -> None:
    assert only_point({"message": {"a": 1}}).fields == {"message": '{"a":1}'}


# -- levels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "level"),
    [
        *((level, level) for level in LEVELS),
        ("WARN", "warning"), (" Err ", "error"), ("crit", "critical"), ("FATAL", "critical"), ("emerg", "emergency"),
        ("panic", "emergency"), ("informational", "info"),
        (0, "emergency"), (1, "alert"), (2, "critical"), (3, "error"), (4, "warning"), (5, "notice"), (6, "info"),
        (7, "debug"), ("3", "error"),
    ],
)  # fmt: skip
def test_a_level_has_one_name_however_it_is_written(written: object, level: str) -> None:
    assert level_of(written) == level


@pytest.mark.parametrize("written", ["loud", 8, -1, True, 3.5, None, ["error"], ""])
def test_what_is_no_level_is_none(written: object) -> None:
    assert level_of(written) is None


def test_an_unknown_level_counts_as_info_and_is_kept() -> None:
    point = only_point({"message": "m", "level": "loud"})
    assert dict(point.key.tags)["level"] == "info"
    assert point.fields == {"message": "m", "level_text": "loud"}


# -- times ------------------------------------------------------------------------------------------------------------


def test_records_of_one_millisecond_and_message_never_share_a_nanosecond() -> None:
    points = decode([{"ts": TS_MS, "message": "same"}] * 500).points
    assert len({p.ts_ns for p in points}) == 500
    assert {p.ts_ns // NS_PER_MS for p in points} == {TS_MS}


def test_the_same_message_again_gets_the_same_times() -> None:
    records = [{"ts": TS_MS, "message": "a"}, {"ts": TS_MS, "message": "b"}]
    assert decode(records).points == decode(records).points


def test_different_messages_of_one_millisecond_get_times_of_their_own() -> None:
    stamps = [only_point({"ts": TS_MS, "message": f"line {i}"}).ts_ns for i in range(50)]
    assert len(set(stamps)) == 50


def test_the_sequence_number_is_the_place_within_the_millisecond() -> None:
    point = only_point({"ts": TS_MS, "message": "m", "seq": 3_000_042})
    assert point.ts_ns == TS_MS * NS_PER_MS + 42
    assert point.seq == 3_000_042


@pytest.mark.parametrize("seq", [-1, True, "7", 1.5, 2**63])
def test_what_is_no_sequence_number_is_passed_over(seq: object) -> None:
    assert only_point({"ts": TS_MS, "message": "m", "seq": seq}).seq is None


def test_digits_that_the_time_gives_are_kept() -> None:
    micro = only_point({"ts": "2025-11-21T18:33:20.123456Z", "message": "m", "seq": 7}).ts_ns
    nano = only_point({"ts": "2025-11-21T18:33:20.123456789Z", "message": "m", "seq": 7}).ts_ns
    assert (micro % 10**9, nano % 10**9) == (123_456_007, 123_456_789)


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"level": "info"}, Reason.WRONG_SHAPE),
        ({"message": None}, Reason.WRONG_SHAPE),
        ({"message": "m", "ts": "yesterday"}, Reason.BAD_TIMESTAMP),
        ({"message": "m", "ts": "2025-11-21T18:33:20"}, Reason.BAD_TIMESTAMP),
        ({"message": "m", "ts": 10**18}, Reason.BAD_TIMESTAMP),
        ({"message": "m" * 65_537}, Reason.TEXT_TOO_LONG),
        ({"message": "m", "source": "s" * 513}, Reason.BAD_TAG),
    ],
)
def test_a_bad_record_is_refused_alone(record: dict[str, Any], reason: Reason) -> None:
    decoded = decode([{"message": "good"}, record, "good too"])
    assert [p.fields["message"] for p in decoded.points] == ["good", "good too"]
    assert [(r.reason, r.detail[:9]) for r in decoded.refused] == [(reason, "record 1:")]
    with pytest.raises(PayloadError) as caught:
        decode(record)
    assert caught.value.reason is reason


def test_a_field_that_cannot_be_kept_is_refused_and_the_record_kept() -> None:
    deep: dict[str, Any] = {"x": 1}
    for _ in range(9):
        deep = {"x": deep}
    decoded = decode({"message": "m", "fields": {"ok": 1, "k" * 129: 1, "deep": deep}})
    assert decoded.points[0].fields == {"message": "m", "ok": 1.0}
    assert {r.reason for r in decoded.refused} == {Reason.KEY_TOO_LONG, Reason.TOO_DEEP}


@pytest.mark.parametrize(
    ("payload", "limits", "reason"),
    [
        (b"", Limits(), Reason.NO_VALUES),
        (b" \n", Limits(), Reason.NO_VALUES),
        (b"\xff", Limits(), Reason.NOT_UTF8),
        (b"long", Limits(payload_bytes=3), Reason.TOO_LARGE),
        (b'["a", "b", "c"]', Limits(values_per_message=2), Reason.TOO_MANY_VALUES),
    ],
)
def test_a_message_past_the_limits_is_refused_whole(payload: bytes, limits: Limits, reason: Reason) -> None:
    with pytest.raises(PayloadError) as caught:
        decode(payload, limits)
    assert caught.value.reason is reason


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
_records = st.dictionaries(
    st.sampled_from(["ts", "level", "source", "message", "fields", "seq", "extra"]), _json, max_size=7
)


@given(st.one_of(st.binary(max_size=60), st.one_of(_records, st.lists(_records)).map(lambda r: json.dumps(r).encode())))
def test_any_bytes_are_points_or_a_payload_error(payload: bytes) -> None:
    try:
        decoded = decode(payload)
    except PayloadError:
        return
    assert all(isinstance(p.fields["message"], str) for p in decoded.points)


def test_a_message_cut_in_the_middle_of_a_character_is_kept() -> None:
    point = only_point(rb'{"message":"cut \ud83d","source":"\ude00","fields":{"whole":"\ud83d\ude00"}}')
    assert point.fields == {"message": "cut \ufffd", "whole": "😀"}
    assert point.key.tags == (("level", "info"), ("source", "\ufffd"))
