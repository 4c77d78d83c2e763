from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.api.encoders import as_arrow, as_csv, as_json
from hub.api.schemas import QueryAnswer
from hub.store.base import FieldKind, Fn, Frame, Query, Series, SeriesFilter
from wire.point import SeriesKey

S = 1_000_000_000
T0 = 1_763_750_000 * S
RAW = Query(SeriesFilter(), T0, T0 + 1000 * S)
WINDOWS = Query(SeriesFilter(), T0, T0 + 1000 * S, every_ns=60 * S, fn=Fn.MAX)


def frame(
    values: list[Any], *, kind: FieldKind = FieldKind.NUMBER, node: str = "dev", step_ns: int = S, **tags: str
) -> Frame:
    times = T0 + np.arange(len(values), dtype=np.int64) * step_ns
    series = Series(SeriesKey(node, "room", tuple(sorted(tags.items()))), "t", kind, T0, T0)
    return Frame(series, times, values if kind is FieldKind.TEXT else np.array(values, dtype=np.float64))


def decoded(query: Query, *frames: Frame) -> Any:
    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(b"".join(as_json(query, frames)), parse_constant=no_constant)


def rows(query: Query, *frames: Frame) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(as_csv(query, frames)).decode(), newline="")))


def table(*frames: Frame) -> Any:
    return pa.ipc.open_stream(b"".join(as_arrow(RAW, frames))).read_all()


def test_json_has_two_columns_a_series() -> None:
    answer = decoded(RAW, frame([1.5, 2.5], core="0"))
    assert answer == {
        "start": "2025-11-21T18:33:20.000Z",
        "stop": "2025-11-21T18:50:00.000Z",
        "every_s": None,
        "fn": None,
        "rows": 2,
        "series": [
            {
                "node": "dev",
                "measurement": "room",
                "tags": {"core": "0"},
                "field": "t",
                "kind": "number",
                "times": ["2025-11-21T18:33:20.000Z", "2025-11-21T18:33:21.000Z"],
                "values": [1.5, 2.5],
            }
        ],
    }


def test_json_is_what_the_schema_says() -> None:
    frames = [frame([1.0, math.nan]), frame([1, 0], kind=FieldKind.BOOLEAN), frame(["a"], kind=FieldKind.TEXT)]
    for query in (RAW, WINDOWS):
        parsed = QueryAnswer.model_validate_json(b"".join(as_json(query, frames)))
        assert [len(one.times) for one in parsed.series] == [2, 2, 1]
    assert QueryAnswer.model_validate(decoded(RAW)).series == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_never_has_nan_or_infinity(value: float) -> None:
    assert decoded(RAW, frame([value, 1.0]))["series"][0]["values"] == [None, 1.0]


def test_booleans_are_booleans_as_stored_and_numbers_when_aggregated() -> None:
    stored = frame([1, 0], kind=FieldKind.BOOLEAN)
    assert decoded(RAW, stored)["series"][0]["values"] == [True, False]
    assert decoded(Query(SeriesFilter(), T0, T0 + S, S, Fn.LAST), stored)["series"][0]["values"] == [True, False]
    assert decoded(Query(SeriesFilter(), T0, T0 + S, S, Fn.MEAN), stored)["series"][0]["values"] == [1.0, 0.0]
    assert [row[-1] for row in rows(RAW, stored)[1:]] == ["true", "false"]


def test_a_count_of_text_is_a_number() -> None:
    counted = Frame(frame([], kind=FieldKind.TEXT).series, np.array([T0]), np.array([3.0]))
    assert decoded(Query(SeriesFilter(), T0, T0 + S, S, Fn.COUNT), counted)["series"][0]["values"] == [3.0]
    assert table(counted)["value"].to_pylist() == [3.0]


def test_times_have_nanoseconds_only_where_they_are_stored() -> None:
    assert decoded(RAW, frame([1, 2], step_ns=1))["series"][0]["times"][1] == "2025-11-21T18:33:20.000000001Z"
    assert decoded(RAW, frame([1, 2]))["series"][0]["times"][1] == "2025-11-21T18:33:21.000Z"


def test_long_series_are_cut_into_pieces_and_read_as_one() -> None:
    values = [float(number) for number in range(12_001)]
    assert decoded(RAW, frame(values))["series"][0]["values"] == values
    assert [float(row[-1]) for row in rows(RAW, frame(values))[1:]] == values
    assert table(frame(values))["value"].to_pylist() == values
    for encode in (as_json, as_csv, as_arrow):
        assert max(len(piece) for piece in encode(RAW, [frame(values)])) < 500_000


def test_csv_has_a_column_for_each_tag_of_any_series() -> None:
    got = rows(RAW, frame([1.5], core="0"), frame([2.5], host="h", node="dev2"))
    assert got == [
        ["time", "node", "measurement", "tag.core", "tag.host", "field", "value"],
        ["2025-11-21T18:33:20.000Z", "dev", "room", "0", "", "t", "1.5"],
        ["2025-11-21T18:33:20.000Z", "dev2", "room", "", "h", "t", "2.5"],
    ]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"]
)
def test_csv_gives_no_spreadsheet_a_formula(text: str) -> None:
    hostile = frame([text], kind=FieldKind.TEXT, node="-dev", x=text)
    (row,) = rows(RAW, hostile)[1:]
    assert row[1:] == ["'-dev", "room", "'" + text, "t", "'" + text]


def test_csv_leaves_negative_numbers_alone() -> None:
    assert rows(RAW, frame([-1.5, -math.inf]))[1][-1] == "-1.5"


def test_csv_of_a_value_that_is_not_a_number_is_empty() -> None:
    assert rows(RAW, frame([math.nan]))[1][-1] == ""


def test_arrow_has_exact_times_and_dictionaries() -> None:
    got = table(frame([1.5, 2.5], step_ns=1, core="0"), frame(["a"], kind=FieldKind.TEXT, node="dev2"))
    assert got.schema.field("time").type == pa.timestamp("ns", tz="UTC")
    assert got["time"].cast(pa.int64()).to_pylist() == [T0, T0 + 1, T0]
    assert got["node"].to_pylist() == ["dev", "dev", "dev2"]
    assert got["tag.core"].to_pylist() == ["0", "0", None]
    assert got["value"].to_pylist() == [1.5, 2.5, None]
    assert got["text"].to_pylist() == [None, None, "a"]
    assert got["kind"].to_pylist() == ["number", "number", "text"]
    assert pa.types.is_dictionary(got.schema.field("node").type)


def test_an_empty_answer_is_whole_in_every_form() -> None:
    assert decoded(RAW)["series"] == []
    assert rows(RAW) == [["time", "node", "measurement", "field", "value"]]
    assert table().num_rows == 0


texts = st.text(max_size=20)


@given(st.lists(st.tuples(texts, texts, st.lists(texts, max_size=5)), max_size=5))
def test_any_text_comes_back_from_json_and_arrow(found: list[tuple[str, str, list[str]]]) -> None:
    frames = [frame(values, kind=FieldKind.TEXT, node=node, t=tag) for node, tag, values in found]
    assert [(one["node"], one["tags"]["t"], one["values"]) for one in decoded(RAW, *frames)["series"]] == found
    assert table(*frames)["text"].to_pylist() == [value for _, _, values in found for value in values]


@given(
    st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n"), max_size=20), max_size=5)
)
def test_any_text_comes_back_from_csv_but_for_the_guard(values: list[str]) -> None:
    got = [row[-1] for row in rows(RAW, frame(values, kind=FieldKind.TEXT))[1:]]
    assert [text.removeprefix("'") if text[1:2] in set("=+-@\t") else text for text in got] == [
        text.removeprefix("'") if text[1:2] in set("=+-@\t") else text for text in values
    ]
