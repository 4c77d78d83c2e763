from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from line_protocol_parser import LineFormatError, parse_line

from tests.support import vectors
from wire.errors import PayloadError, Reason
from wire.formats import FORMATS
from wire.formats.base import Decoded, Limits, context
from wire.formats.influx import decode_influx
from wire.point import Point, SeriesKey, Value

ARRIVAL_NS = 1_763_750_000_123_456_789


def decode(text: str, *, limits: Limits | None = None, name: str = "influx") -> Decoded:
    return FORMATS[name](text.encode(), context("n1", "unused", limits or Limits()), ARRIVAL_NS)


def only_point(text: str) -> Point:
    decoded = decode(text)
    assert decoded.refused == []
    (point,) = decoded.points
    return point


# -- values and times -------------------------------------------------------------------------------------------------


def test_a_line_becomes_a_point_of_the_topics_node() -> None:
    point = only_point('cpu,host=a,core=0 usage=12.5,busy=t,note="x" 1763750000000000001')
    assert point == Point(
        SeriesKey("n1", "cpu", (("core", "0"), ("host", "a"))),
        1_763_750_000_000_000_001,
        {"usage": 12.5, "busy": True, "note": "x"},
    )


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1.0), ("-1", -1.0), ("+1", 1.0), ("1.", 1.0), (".5", 0.5), ("-1.25e+3", -1250.0), ("1E-2", 0.01),
        ("42i", 42.0), ("-42i", -42.0), ("42u", 42.0), ("9007199254740992i", 2.0**53),
        ("t", True), ("T", True), ("true", True), ("True", True), ("TRUE", True),
        ("f", False), ("F", False), ("false", False), ("False", False), ("FALSE", False),
        ('""', ""), ('"t"', "t"), ('"a,b =c"', "a,b =c"), ('"42i"', "42i"),
    ],
)  # fmt: skip
def test_a_value_has_the_type_that_it_is_written_as(written: str, value: Value) -> None:
    got = only_point(f"m v={written}").fields["v"]
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize("digits", ["9007199254740993i", "-9007199254740993i", "18446744073709551615u"])
def test_an_integer_that_a_float_would_round_is_kept_as_text(digits: str) -> None:
    assert only_point(f"m v={digits}").fields == {"v_text": digits[:-1]}


@pytest.mark.parametrize(
    ("name", "unit_ns"), [("influx", 1), ("influx_us", 10**3), ("influx_ms", 10**6), ("influx_s", 10**9)]
)
def test_the_name_of_the_format_is_the_unit_of_its_times(name: str, unit_ns: int) -> None:
    assert decode("m v=1 1763", name=name).points[0].ts_ns == 1763 * unit_ns


def test_lines_without_a_time_arrive_one_nanosecond_apart_so_that_none_hides_another() -> None:
    assert [p.ts_ns for p in decode("m v=1\nm v=2\nm v=3").points] == [ARRIVAL_NS, ARRIVAL_NS + 1, ARRIVAL_NS + 2]


def test_a_time_before_1970_is_taken() -> None:
    assert only_point("m v=1 -1").ts_ns == -1


# -- escapes and layout -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "measurement", "tags", "field"),
    [
        (r"a\,b v=1", "a,b", (), "v"),
        (r"a\ b v=1", "a b", (), "v"),
        ("a=b v=1", "a=b", (), "v"),
        (r"a\=b v=1", r"a\=b", (), "v"),
        (r"m,t\,\=\ g=v\,\=\ al v=1", "m", (("t,= g", "v,= al"),), "v"),
        (r"m f\,\=\ d=1", "m", (), "f,= d"),
        (r"m,path=C:\dir v=1", "m", (("path", r"C:\dir"),), "v"),
        (r"m,t=a\\ v b=2", "m", (("t", "a\\ v"),), "b"),
        ('"m",t="x" "f"=1', '"m"', (("t", '"x"'),), '"f"'),
        ("m,t=ünïcödé v=1", "m", (("t", "ünïcödé"),), "v"),
    ],
)
def test_escapes_are_undone_where_they_are_documented_and_nowhere_else(
    line: str, measurement: str, tags: tuple[tuple[str, str], ...], field: str
) -> None:
    point = only_point(line)
    assert (point.key.measurement, point.key.tags, list(point.fields)) == (measurement, tags, [field])


@pytest.mark.parametrize(
    ("quoted", "text"),
    [(r'"a\"b"', 'a"b'), (r'"a\\b"', r"a\b"), (r'"a\nb"', r"a\nb"), ('"two\nlines"', "two\nlines"), (r'"\\"', "\\")],
)
def test_a_quoted_string_keeps_all_but_its_two_escapes(quoted: str, text: str) -> None:
    assert only_point(f"m v={quoted} 1").fields == {"v": text}


def test_blank_lines_comments_and_carriage_returns_are_passed_over() -> None:
    decoded = decode("# made by x\r\n\r\n  m v=1 1\r\n\t# more\nm v=2 2  \n\n")
    assert [(p.ts_ns, p.fields) for p in decoded.points] == [(1, {"v": 1.0}), (2, {"v": 2.0})]


def test_a_tag_named_node_gives_way_to_the_topics_node_and_is_kept_beside_it() -> None:
    assert only_point("m,node=other,host=h v=1").key == SeriesKey("n1", "m", (("host", "h"), ("node_tag", "other")))
    assert only_point("m,node=n1 v=1").key == SeriesKey("n1", "m")


def test_equal_keys_are_the_same_object() -> None:
    first, second = decode("m,a=1,b=2 v=1 1\nm,a=1,b=2 v=2 2").points
    assert first.key is second.key


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("m", Reason.BAD_LINE),
        ("m ", Reason.BAD_LINE),
        ("m v", Reason.BAD_LINE),
        ("m v=", Reason.BAD_LINE),
        ("m =1", Reason.BAD_LINE),
        ("m v=1,", Reason.BAD_LINE),
        ("m v=1 ,w=2", Reason.BAD_LINE),
        ("m v=abc", Reason.BAD_LINE),
        ("m v=1_000", Reason.BAD_LINE),
        ("m v=0x10", Reason.BAD_LINE),
        ("m v=1.5i", Reason.BAD_LINE),
        ("m v=-1u", Reason.BAD_LINE),
        ("m v=9223372036854775808i", Reason.BAD_LINE),
        ("m v=18446744073709551616u", Reason.BAD_LINE),
        ('m v="open', Reason.BAD_LINE),
        ('m v="a"b', Reason.BAD_LINE),
        ('m v=a"b', Reason.BAD_LINE),
        ("m v=1 12a", Reason.BAD_LINE),
        ("m v=1 1.5", Reason.BAD_LINE),
        ("m v=1 1 1", Reason.BAD_LINE),
        ("m,t v=1", Reason.BAD_LINE),
        ("m,t= v=1", Reason.BAD_LINE),
        ("m,=t v=1", Reason.BAD_LINE),
        (",t=1 v=1", Reason.BAD_LINE),
        ("m,t=1,t=2 v=1", Reason.BAD_TAG),
        ("m,t=" + "x" * 513 + " v=1", Reason.BAD_TAG),
        ("m" * 129 + " v=1", Reason.KEY_TOO_LONG),
        ("m v=1 9223372036854775808", Reason.BAD_TIMESTAMP),
        ("m v=1 " + "9" * 5000, Reason.BAD_TIMESTAMP),
    ],
)  # fmt: skip
def test_a_bad_line_is_refused_alone_with_its_number_and_first_bytes(line: str, reason: Reason) -> None:
    decoded = decode(f"good v=1 1\n{line}\ngood v=2 2")
    assert [p.fields["v"] for p in decoded.points] == [1.0, 2.0]
    (refused,) = decoded.refused
    assert refused.reason is reason
    assert refused.detail.startswith("line 2: ")
    assert line[:20] in refused.detail.replace("\\\\", "\\")


@pytest.mark.parametrize("value", ["NaN", "nan", "Inf", "-inf", "Infinity", "1e400"])
def test_a_field_that_is_not_finite_is_refused_and_its_neighbours_kept(value: str) -> None:
    decoded = decode(f"m a=1,b={value},c=2")
    assert [p.fields for p in decoded.points] == [{"a": 1.0, "c": 2.0}]
    assert [(r.reason, r.detail) for r in decoded.refused] == [(Reason.NOT_FINITE, f"b = {value}")]


def test_a_field_that_is_too_long_is_refused_and_its_neighbours_kept() -> None:
    decoded = decode(f'm a=1,{"k" * 129}=1,t="{"x" * 11}",é="ok"', limits=Limits(text_bytes=10))
    assert [p.fields for p in decoded.points] == [{"a": 1.0, "é": "ok"}]
    assert [r.reason for r in decoded.refused] == [Reason.KEY_TOO_LONG, Reason.TEXT_TOO_LONG]


@pytest.mark.parametrize(
    ("payload", "limits", "reason"),
    [
        (b"", Limits(), Reason.NO_VALUES),
        (b"# only a comment\n", Limits(), Reason.NO_VALUES),
        (b"m v=NaN", Limits(), Reason.NOT_FINITE),
        (b"nonsense", Limits(), Reason.BAD_LINE),
        (b"m v=\xff", Limits(), Reason.NOT_UTF8),
        (b"m v=1", Limits(payload_bytes=4), Reason.TOO_LARGE),
        (b"m a=1,b=2,c=3", Limits(values_per_message=2), Reason.TOO_MANY_VALUES),
        (b"bad\n" * 3, Limits(values_per_message=2), Reason.TOO_MANY_VALUES),
    ],
)
def test_a_message_without_any_point_is_refused_whole(payload: bytes, limits: Limits, reason: Reason) -> None:
    with pytest.raises(PayloadError) as caught:
        decode_influx(payload, context("n1", "unused", limits), ARRIVAL_NS)
    assert caught.value.reason is reason


# -- against other people's -------------------------------------------------------------------------------------------


def test_the_vectors_of_telegraf_decode_to_what_they_mean() -> None:
    tried = vectors.ids("influx_lp") - {"influx_lp-12"}  # one bare value a topic: format plain
    assert len(tried) == 5
    for vector_id in tried:
        payload, expected = vectors.vector(vector_id)
        (point,) = decode_influx(payload, context("n1", "unused", Limits()), ARRIVAL_NS).points
        _assert_means(point, expected)


def _assert_means(point: Point, expected: dict[str, Any]) -> None:
    assert point.key.measurement == expected.get("measurement", "cpu")
    assert point.ts_ns == expected.get("ts_ns", 42)
    assert dict(point.key.tags) == expected.get("tags", {})
    for name, value in expected.get("fields", {}).items():
        if isinstance(value, int) and value > 2**53:
            assert point.fields[f"{name}_text"] == str(value)
        else:
            assert point.fields[name] == value


# The encoder below is the tests' own: escapes exactly what the reference says must be escaped.
_any_text = st.text(st.characters(codec="utf-8", exclude_characters="\n\\"), min_size=1, max_size=12)
_keys = _any_text.filter(lambda text: text != "node" and text[0] != "\t")
_values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(st.characters(codec="utf-8"), max_size=12),
)
_points = st.builds(
    Point,
    st.builds(
        SeriesKey,
        st.just("n1"),
        _any_text.filter(lambda text: text[0] not in "#\t\r "),
        st.dictionaries(_keys, _any_text, max_size=3).map(lambda tags: tuple(sorted(tags.items()))),
    ),
    st.integers(-(2**63), 2**63 - 1),
    st.dictionaries(_keys, _values, min_size=1, max_size=4),
)


def _encode(point: Point) -> str:
    def escape(text: str, marks: str) -> str:
        return "".join(f"\\{c}" if c in marks else c for c in text)

    def value(v: Value) -> str:
        if isinstance(v, bool):
            return "t" if v else "f"
        return f'"{escape(v, chr(34) + chr(92))}"' if isinstance(v, str) else repr(v)

    tags = "".join(f",{escape(k, ',= ')}={escape(v, ',= ')}" for k, v in point.key.tags)
    fields = ",".join(f"{escape(k, ',= ')}={value(v)}" for k, v in point.fields.items())
    return f"{escape(point.key.measurement, ', ')}{tags} {fields} {point.ts_ns}"


@given(st.lists(_points, min_size=1, max_size=4))
def test_what_is_encoded_decodes_to_the_same_points(points: list[Point]) -> None:
    decoded = decode("\n".join(map(_encode, points)))
    assert decoded.refused == []
    assert decoded.points == points


@given(st.one_of(_points.map(_encode), st.text('m,=t 1i"\\\t#v.e-', max_size=20)))
@example(r"m,t\=a=b v=1")
@example(r'm v="\\\"" 1')
def test_lines_that_another_parser_takes_too_mean_the_same_to_both(line: str) -> None:
    try:
        theirs = parse_line(line)
        ours = decode(line).points[0]
    except (LineFormatError, PayloadError):
        return
    assert ours.key.measurement == theirs["measurement"]
    assert dict(ours.key.tags) == theirs["tags"]
    assert ours.fields == theirs["fields"]


@given(st.one_of(st.binary(max_size=60), st.text('m,=t 1i"\\\n\r\t#v.e-NaN', max_size=60).map(str.encode)))
@example(b'm v="' * 20)
@example(b"m,a=" + b"\\" * 50)
def test_any_bytes_are_points_or_a_payload_error(payload: bytes) -> None:
    try:
        decoded = decode_influx(payload, context("n1", "unused", Limits()), ARRIVAL_NS)
    except PayloadError:
        return
    assert decoded.points
    assert all(p.fields and p.key.measurement for p in decoded.points)
