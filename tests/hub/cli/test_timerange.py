from __future__ import annotations

import pytest

from hub.cli.base import CliError
from hub.cli.timerange import assignments, moment_ms, range_ms, seconds, typed

NOW_S = 1_763_750_000.5


def test_last_ends_now() -> None:
    assert range_ms("5m", None, None, "15m", NOW_S) == (1_763_749_700_500, 1_763_750_000_501)


def test_the_default_applies_when_nothing_is_given() -> None:
    assert range_ms(None, None, None, "1h", NOW_S)[0] == 1_763_746_400_500


def test_start_and_stop_are_taken_as_given() -> None:
    assert range_ms(None, "2026-11-21T22:00:00Z", "2026-11-21T23:00:00Z", "15m", NOW_S) == (
        1795298400000,
        1795302000000,
    )


def test_a_stop_alone_has_the_default_before_it() -> None:
    assert range_ms(None, None, "1000000", "15m", NOW_S) == (100_000, 1_000_000)


@pytest.mark.parametrize(
    ("last", "start", "stop"),
    [
        ("5m", "2026-11-21", None),
        ("5 apples", None, None),
        ("0s", None, None),
        (None, "yesterday", None),
        (None, "2000", "1000"),
    ],
)
def test_ranges_that_make_no_sense_are_usage_errors(last: str | None, start: str | None, stop: str | None) -> None:
    with pytest.raises(CliError) as wrong:
        range_ms(last, start, stop, "15m", NOW_S)
    assert wrong.value.code == 2


def test_a_plain_number_is_seconds() -> None:
    assert seconds("--last", "90") == 90
    assert seconds("--last", "1h30m") == 5400


def test_a_time_without_offset_is_local() -> None:
    assert moment_ms("--ts", "2026-11-21T22:00:00+01:00") == 1795294800000


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("21.5", 21.5),
        ("-3", -3.0),
        ("1e3", 1000.0),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ('"21"', "21"),
        ("open", "open"),
        ('""', ""),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
    ],
)
def test_values_are_typed_as_people_write_them(text: str, value: object) -> None:
    assert typed(text) == value
    assert type(typed(text)) is type(value)


@pytest.mark.parametrize("text", ["", "null", "nan", "NaN", "inf", "-Infinity", "1e999"])
def test_what_is_no_value_is_a_usage_error(text: str) -> None:
    with pytest.raises(CliError) as wrong:
        typed(text)
    assert wrong.value.code == 2


def test_an_assignment_may_contain_further_equals_signs() -> None:
    assert assignments("value", ["a=b=c", "d="]) == {"a": "b=c", "d": ""}


@pytest.mark.parametrize("word", ["a", "=b", ""])
def test_words_that_assign_nothing_are_usage_errors(word: str) -> None:
    with pytest.raises(CliError, match="is not of the form name=value"):
        assignments("value", [word])
