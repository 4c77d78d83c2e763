"""Lines against two readers that know nothing of the writer: ours for devices, and the package line_protocol_parser."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from line_protocol_parser import parse_line

from hub.store.line_protocol import (
    RESERVED,
    LineEncoder,
    is_writable,
    original_name,
    stored_key,
    stored_measurement,
    stored_tag,
)
from wire.formats.base import Context, Limits
from wire.formats.influx import decode_influx
from wire.point import NODE_TAG, NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from wire.point import Value

NOW = 1_763_750_000 * NS_PER_S
LIMITS = Limits(
    payload_bytes=1 << 20, values_per_message=1000, depth=8, key_bytes=1 << 16, text_bytes=1 << 16, tag_bytes=1 << 16
)

#: What breaks writers of line protocol: separators, quotes, escapes, comments, line ends, our own escape.
HOSTILE = ",= \\\"'#\n\r\t\0%25AFaf/x=é𝒳\x7f\u2028{}$"
names = st.text(st.sampled_from(HOSTILE), min_size=1, max_size=6) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6
)
names = names | st.sampled_from(sorted(RESERVED))
tag_keys = names.filter(lambda name: name != NODE_TAG)
texts = st.text(st.sampled_from(HOSTILE), max_size=8) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = numbers | st.booleans() | texts
keys = st.builds(
    lambda node, measurement, tags: SeriesKey(node, measurement, tuple(sorted(tags.items()))),
    names,
    names,
    st.dictionaries(tag_keys, names, max_size=3),
)
points = st.builds(Point, keys, st.integers(0, 2**62), st.dictionaries(names, values, min_size=1, max_size=4))
number_points = st.builds(Point, keys, st.integers(0, 2**62), st.dictionaries(names, numbers, min_size=1, max_size=4))


def as_stored(point: Point) -> Point:
    """The point with its names as the database holds them."""
    key = SeriesKey(
        stored_tag(point.key.node),
        stored_measurement(point.key.measurement),
        tuple(sorted((stored_key(name), stored_tag(text)) for name, text in point.key.tags)),
    )
    return Point(key, point.ts_ns, {stored_key(name): value for name, value in point.fields.items()})


def as_given(point: Point) -> Point:
    """The point with its names as they were given."""
    key = SeriesKey(
        original_name(point.key.node),
        original_name(point.key.measurement),
        tuple(sorted((original_name(name), original_name(text)) for name, text in point.key.tags)),
    )
    return Point(key, point.ts_ns, {original_name(name): value for name, value in point.fields.items()})


def read_by_wire(lines: list[str], node: str) -> list[Point]:
    decoded = decode_influx("\n".join(lines).encode(), Context(node, "", LIMITS, SeriesKey(node, "")), 0)
    assert decoded.refused == []
    return list(decoded.points)


def parsed(line: str) -> list[Point]:
    """One reading of a line, so that ``1e300`` and ``1e+300`` are the same."""
    return read_by_wire([line], "n")


def same(found: Point, expected: Point) -> bool:
    kinds = [type(value) for value in found.fields.values()] == [type(value) for value in expected.fields.values()]
    return found == expected and kinds


@given(st.lists(points, min_size=1, max_size=4) | st.lists(number_points, min_size=1, max_size=4))
@example([Point(SeriesKey("dev1", "#room\\", (("a\n", "C:\\"),)), NOW, {"time": "x\\", "%41": 1.0})])
def test_what_is_written_is_read_back_by_our_own_reader(batch: list[Point]) -> None:
    lines = LineEncoder().encode(batch)
    for line, point in zip(lines, batch, strict=True):
        (found,) = read_by_wire([line], stored_tag(point.key.node))
        assert same(found, as_stored(point))
        assert same(as_given(found), point)


def other_reads(value: Value) -> bool:
    """Whether it reads ``value``: it refuses NUL and numbers below the normal range, InfluxDB does not."""
    if isinstance(value, str):
        return "\0" not in value
    return value == 0 or abs(value) >= sys.float_info.min


@given((number_points | points).filter(lambda point: all(map(other_reads, point.fields.values()))))
def test_what_is_written_is_read_back_by_another_reader(point: Point) -> None:
    (line,) = LineEncoder().encode([point])
    found = parse_line(line)
    stored = as_stored(point)
    assert found["measurement"] == stored.key.measurement
    assert found["tags"] == {**dict(stored.key.tags), NODE_TAG: stored.key.node}
    assert found["fields"] == stored.fields
    assert found["time"] == point.ts_ns


@given(st.lists(points, min_size=2, max_size=5))
def test_a_batch_has_as_many_lines_as_points_whatever_is_in_them(batch: list[Point]) -> None:
    same_node = [Point(SeriesKey("n", p.key.measurement, p.key.tags), p.ts_ns, p.fields) for p in batch]
    found = read_by_wire(LineEncoder().encode(same_node), "n")
    assert [as_given(point) for point in found] == same_node


@given(names | st.sampled_from([NODE_TAG]), names)
def test_no_two_names_become_one(one: str, other: str) -> None:
    for stored in (stored_key, stored_measurement, stored_tag):
        assert original_name(stored(one)) == one
        assert (stored(one) == stored(other)) == (one == other)


def test_plain_names_stay_as_they_are() -> None:
    key = SeriesKey("dev-1.x", "Raum 1", (("disk", "C:\\Temp"), ("load%", "90%")))
    (line,) = LineEncoder().encode([Point(key, 7, {"a b": 1.0})])
    assert line == "Raum\\ 1,disk=C:\\Temp,load%=90%,node=dev-1.x a\\ b=1.0 7"


def test_numbers_are_floats_booleans_words_and_texts_quoted() -> None:
    fields: dict[str, Value] = {"i": 3, "f": 0.1, "tiny": 5e-324, "big": 1e300, "yes": True, "no": False, "s": 'a"b\\'}
    (line,) = LineEncoder().encode([Point(SeriesKey("n", "m"), 7, fields)])
    assert line == 'm,node=n i=3.0,f=0.1,tiny=5e-324,big=1e+300,yes=true,no=false,s="a\\"b\\\\" 7'


@given(st.lists(number_points | points, min_size=1, max_size=5), st.integers(0, 3))
def test_a_point_has_the_same_line_whatever_stands_beside_it(batch: list[Point], known: int) -> None:
    """Points of plain names and numbers are written together; those with texts among them must not change that."""
    encoder = LineEncoder()
    encoder.encode(batch[:known])
    lines = encoder.encode(batch)
    assert [parsed(line) for line in lines] == [parsed(LineEncoder().encode([point])[0]) for point in batch]


@pytest.mark.parametrize("text", [":x,", ":", '":"', "},{", '","b":1', "null", ""])
def test_a_text_that_looks_like_json_is_a_text(text: str) -> None:
    numbers_alone = Point(SeriesKey("n", "m"), 7, {"a": 1.0, "b": True})
    with_text = Point(SeriesKey("n", "m"), 8, {"a": text, "b": 2.0})
    lines = LineEncoder().encode([numbers_alone, with_text, numbers_alone])
    assert [parse_line(line)["fields"] for line in lines] == [
        numbers_alone.fields,
        with_text.fields,
        numbers_alone.fields,
    ]


def test_numbers_of_other_classes_are_numbers() -> None:
    fields: dict[str, Any] = {"huge": 10**30, "one": np.float64(1.5), "whole": 7}
    (line,) = LineEncoder().encode([Point(SeriesKey("n", "m"), 7, fields)])
    assert parse_line(line)["fields"] == {"huge": 1e30, "one": 1.5, "whole": 7.0}


def test_an_empty_tag_value_is_left_out() -> None:
    (line,) = LineEncoder().encode([Point(SeriesKey("n", "m", (("a", ""), ("b", "x"))), 7, {"v": 1.0})])
    assert line == "m,b=x,node=n v=1.0 7"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "\ud800"])
@pytest.mark.parametrize("other", [{}, {"b": True}])
def test_what_line_protocol_cannot_hold_is_an_error_not_a_line(value: float | str, other: dict[str, bool]) -> None:
    with pytest.raises(ValueError, match=r"not finite|surrogates not allowed"):
        LineEncoder().encode([Point(SeriesKey("n", "m"), 7, {"a": value, **other})])


@pytest.mark.parametrize(
    "bad", [SeriesKey("\ud800", "m"), SeriesKey("n", "\ud800"), SeriesKey("n", "m", (("a", "\ud800"),))]
)
def test_a_name_that_is_no_utf8_is_an_error(bad: SeriesKey) -> None:
    with pytest.raises(UnicodeEncodeError):
        LineEncoder().encode([Point(bad, 7, {"a": 1.0})])


def test_sums_that_overflow_are_no_reason_to_refuse() -> None:
    (line,) = LineEncoder().encode([Point(SeriesKey("n", "m"), 7, {"a": 1.7e308, "b": 1.7e308})])
    assert line == "m,node=n a=1.7e308,b=1.7e308 7"


def test_empty_names_cannot_be_written() -> None:
    good = SeriesKey("n", "m", (("a", ""),))
    assert is_writable(good, ["a"])
    assert not is_writable(good, ["a", ""])
    assert not is_writable(SeriesKey("", "m"), ["a"])
    assert not is_writable(SeriesKey("n", ""), ["a"])
    assert not is_writable(SeriesKey("n", "m", (("", "x"),)), ["a"])


@pytest.mark.parametrize(
    ("name", "stored"),
    [("a\\ b", "a%5C b"), ("a\\,b", "a%5C,b"), ("a\\", "a%5C"), ("a\\\\b", "a%5C\\b"), ("C:\\Temp", "C:\\Temp")],
)
def test_a_backslash_that_readers_disagree_on_is_coded(name: str, stored: str) -> None:
    assert {stored_key(name), stored_measurement(name), stored_tag(name)} == {stored}
    (line,) = LineEncoder().encode([Point(SeriesKey(name, name, ((name, name),)), NOW, {name: 1.0})])
    assert parse_line(line)["fields"] == {stored: 1.0}
