from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.api.times import iso, iso_column, parse_time

S = 1_000_000_000
NOW = 1_763_750_000 * S

any_time = st.integers(-(2**63) + 1, 2**63 - 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("-5m", NOW - 300 * S),
        ("- 1h30m", NOW - 5400 * S),
        ("now-500ms", NOW - S // 2),
        ("now + 2d", NOW + 2 * 86_400 * S),
        ("1763750000000", NOW),
        ("1763750000000.25", NOW + 250_000),
        ("2025-11-21T18:33:20Z", NOW),
        (" 2025-11-21T18:33:20.000Z ", NOW),
        ("2025-11-21T20:33:20+02:00", NOW),
        ("2025-11-21T20:33:20 02:00", NOW),  # a plus that was not encoded
        ("2025-11-21T18:33:20.123456789Z", NOW + 123_456_789),
    ],
)
def test_a_time_may_be_iso_or_milliseconds_or_relative(text: str, expected: int) -> None:
    assert parse_time(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "-5",
        "-5x",
        "5m",
        "2025-11-21",
        "2025-11-21T18:33:20",
        "9" * 15,
        "-9999999y",
        "NaN",
        "1e3",
        "-",
        "²",
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"ISO 8601|duration|1677"):
        parse_time(text, NOW)


@given(any_time)
def test_what_is_given_out_is_understood_again(ns: int) -> None:
    assert parse_time(iso(ns), NOW) == ns


@given(st.integers(-9_000_000_000_000, 9_000_000_000_000))
def test_whole_milliseconds_have_three_digits(ms: int) -> None:
    text = iso(ms * 1_000_000)
    assert text.endswith("Z")
    assert len(text.rpartition(".")[2]) == 4


@given(st.lists(any_time, max_size=20))
def test_a_column_says_the_same_as_each_of_its_times(times: list[int]) -> None:
    column = iso_column(np.array(times, dtype=np.int64))
    assert [parse_time(text, NOW) for text in column] == times
    assert len({len(text) for text in column}) <= 1


def test_it_agrees_with_the_standard_library() -> None:
    assert iso(NOW) == datetime.fromtimestamp(NOW // S, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@given(st.text(max_size=64))
def test_no_text_fails_in_another_way(text: str) -> None:
    try:
        parse_time(text, NOW)
    except ValueError:
        return
