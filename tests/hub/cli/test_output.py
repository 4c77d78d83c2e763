from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.cli.output import ago, duration, table, value_text
from hub.cli.units import bar, bit_rate, byte_rate, level, percent, size
from hub.text import printable, shortened

if TYPE_CHECKING:
    from hub.api.schemas import Scalar

NOW = datetime(2026, 11, 21, 22, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [(21.0, "21"), (21.5, "21.5"), (1 / 3, "0.3333"), (True, "true"), (None, "-"), ("a", "a"), (1e20, "1e+20"),
     (0.00001234, "1.234e-05"), (16777216000.0, "16777216000"), (-0.5, "-0.5")],
)  # fmt: skip
def test_values_are_shown_without_noise(value: Scalar | None, text: str) -> None:
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (3_700, "1 h 1 min"), (90_000, "1 d 1 h")]
)
def test_durations_have_their_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_ages_are_relative_to_now() -> None:
    assert ago(None, NOW) == "never"
    assert ago("2026-11-21T21:59:59.500Z", NOW) == "now"
    assert ago("2026-11-21T21:58:00.000000001Z", NOW) == "2 min 0 s ago"
    assert ago("2026-11-21T22:01:00Z", NOW) == "in 1 min 0 s"


def test_rates_and_sizes_have_units_that_fit() -> None:
    assert bit_rate(125_000) == "1.0 Mbit/s"
    assert bit_rate(0) == "0 bit/s"
    assert byte_rate(999_000) == "999 kB/s"
    assert size(8 * 1024**3) == "8.0 GiB"
    assert percent(None).strip() == "-"


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 60))
def test_bars_are_always_as_wide_as_asked(value: float, width: int) -> None:
    assert len(bar(value, width)) == width
    assert len(level(value)) == 1


@given(st.text())
def test_printable_text_holds_no_control_character(text: str) -> None:
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in printable(text))


@given(st.text(), st.integers(1, 20))
def test_shortened_text_is_never_longer_than_asked(text: str, width: int) -> None:
    assert len(shortened(text, width)) <= width


def test_tables_align_and_are_not_cut_when_no_terminal_reads_them(capsys: pytest.CaptureFixture[str]) -> None:
    table(("A", "LONG HEAD"), [("x", "1"), ("longer", "2" * 300)], right=frozenset({1}))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("A       ")
    assert lines[1].endswith(" 1")
    assert lines[2].endswith("2" * 300)


def test_a_table_shows_control_characters_of_devices_as_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    table(("A",), [("\x1b[2J",)])
    assert "\\x1b[2J" in capsys.readouterr().out
