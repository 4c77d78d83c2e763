"""Times, units, zones, bytes, statistics, tables and metrics for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.data.hexdump import hexdump
from dashboard.data.metrics import Reading, broker_and_store, figures, spool
from dashboard.data.statistics import AGGREGATES, of_all
from dashboard.data.tables import rows_of
from dashboard.data.times import ago, clock, duration
from dashboard.data.units import unit_of
from dashboard.data.zones import in_zone, zone_or_utc
from tests.support.answers import times, trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.data.traces import Trace

NOW = datetime(2026, 1, 2, tzinfo=UTC)

# -- times and zones ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_900, "1 h 5 min"),
        (3_605, "1 h 5 s"),
        (176_461, "2 d 1 h"),
    ],
)
def test_durations_are_said_in_two_parts_at_most(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_how_long_ago() -> None:
    assert ago("2026-01-01T20:55:00Z", NOW) == "3 h 5 min ago"
    assert ago("2026-01-03T00:00:00Z", NOW) == "0 s ago"  # a clock ahead of ours
    assert ago(None, NOW) == "never"


def test_a_clock_is_that_of_the_zone() -> None:
    assert clock("2026-01-01T00:00:00Z", "Europe/Berlin") == "2026-01-01 01:00:00"
    assert clock("2026-01-01T00:00:00Z", "UTC") == "2026-01-01 00:00:00"
    assert clock(None, "UTC") == ""


@pytest.mark.parametrize(
    "name", [None, "", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "a\0b", "Europe", "x" * 999]
)
def test_what_is_no_zone_is_utc(name: str | None) -> None:
    assert zone_or_utc(name) == "UTC"


def test_zones_keep_their_names() -> None:
    assert zone_or_utc("Europe/Berlin") == "Europe/Berlin"


def test_times_are_moved_to_the_wall_clock() -> None:
    assert in_zone(times(0), "Asia/Kolkata")[0] == np.datetime64("2026-01-01T05:30:00")


# -- units -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "unit"),
    [
        ("used_percent", "%"),
        ("usage", "%"),
        ("rx_bytes_per_s", "bytes/s"),
        ("rx_errors_per_s", "1/s"),
        ("size_bytes", "bytes"),
        ("Temperature", "°C"),
        ("latency_ms", "ms"),
        ("uptime_s", "s"),
        ("load1", ""),
        ("", ""),
    ],
)
def test_units_follow_from_the_longest_ending(field: str, unit: str) -> None:
    assert unit_of(field) == unit


# -- bytes -------------------------------------------------------------------------------------------------------------


def test_bytes_are_shown_with_what_is_printable() -> None:
    assert hexdump(b"A\x00<\xff") == "000000  41 00 3c ff" + " " * 38 + "A.<."


def test_sixteen_bytes_a_line() -> None:
    first, second = hexdump(bytes(range(17))).splitlines()
    assert first.startswith("000000  00 01")
    assert second.startswith("000010  10 ")


def test_no_bytes_are_said() -> None:
    assert hexdump(b"") == "(no bytes)"


def test_what_is_left_out_is_said() -> None:
    lines = hexdump(b"x" * 5_000).splitlines()
    assert len(lines) == 257
    assert lines[-1] == "… and 904 bytes more"
    assert "more" not in hexdump(b"x" * 4_096)


# -- statistics and tables ---------------------------------------------------------------------------------------------


def windows(*parts: list[float]) -> dict[str, list[Trace]]:
    """What the API says of a series of which each part lies in a window of its own; of one sample no deviation."""
    filled = [(number, np.array(part)) for number, part in enumerate(parts) if part]
    calculated: dict[str, Callable[[np.ndarray[Any, Any]], float]] = {
        "count": len,
        "last": lambda part: part[-1],
        "mean": np.mean,
        "min": np.min,
        "max": np.max,
        "stddev": lambda part: np.std(part, ddof=1),
    }
    found = {}
    for fn, of in calculated.items():
        shown = [(number, of(part)) for number, part in filled if fn != "stddev" or len(part) > 1]
        found[fn] = [trace([value for _, value in shown], *(number for number, _ in shown))] if shown else []
    return found


_numbers = st.lists(st.floats(-1e6, 1e6), max_size=20)


@given(_numbers, _numbers)
def test_statistics_are_of_every_sample_wherever_the_windows_part_them(before: list[float], after: list[float]) -> None:
    everything = [*before, *after]
    rows = of_all(windows(before, after))
    if not everything:
        assert rows == []
        return
    (row,) = rows
    assert row == {
        "Series": "dev1 cpu.usage",
        "Samples": len(everything),
        "Least": min(everything),
        "Mean": pytest.approx(np.mean(everything), abs=1e-6),
        "Greatest": max(everything),
        "Deviation": pytest.approx(np.std(everything, ddof=1) if len(everything) > 1 else 0.0, abs=1e-3),
        "Last": everything[-1],
    }


def test_of_nothing_and_of_words_little_can_be_said() -> None:
    nothing: dict[str, list[Trace]] = {fn: [] for fn in AGGREGATES}
    assert of_all(nothing) == []
    words = nothing | {"count": [trace([2.0], 0)], "last": [trace(["open"], 0)]}
    assert of_all(words) == [{"Series": "dev1 cpu.usage", "Samples": 2, "Last": "open"}]


def test_tables_have_a_row_a_time_newest_first_and_a_column_a_trace() -> None:
    frame = rows_of([trace([1.0, 2.0], 0, 10), trace([3.0], 10, node="dev2")])
    assert list(frame.columns) == ["Time", "dev1", "dev2"]
    assert frame["dev1"].tolist() == [2.0, 1.0]
    assert frame["dev2"].iloc[0] == 3.0
    assert np.isnan(frame["dev2"].iloc[1])


def test_two_values_of_one_time_are_one_row_with_the_later() -> None:
    assert rows_of([trace([1.0, 2.0], 5, 5)])["dev1 cpu.usage"].tolist() == [2.0]


def test_words_and_numbers_stand_in_one_table() -> None:
    frame = rows_of([trace([1.0]), trace(["open"], field="state")])
    assert frame.iloc[0].tolist()[1:] == [1.0, "open"]


def test_nothing_is_an_empty_table() -> None:
    assert rows_of([]).empty


# -- metrics -----------------------------------------------------------------------------------------------------------

TEXT = """# HELP received Messages.
# TYPE received counter
received 5.0
by_state{state="online"} 2
nodes_created 1.7e9
infinite +Inf
"""


def test_figures_are_read_by_name_and_labels() -> None:
    assert figures(TEXT) == {
        "received": 5.0,
        'by_state{state="online"}': 2.0,
        "nodes_created": 1.7e9,
        "infinite": float("inf"),
    }


def test_a_rate_is_growth_a_second() -> None:
    assert Reading(12.0, {"n": 30.0}).rate(Reading(10.0, {"n": 10.0}), "n") == 10.0


@pytest.mark.parametrize(
    "before",
    [
        None,
        Reading(10.0, {"n": 99.0}),  # the hub was restarted
        Reading(12.0, {"n": 10.0}),
        Reading(10.0, {}),
    ],
)
def test_no_rate_where_none_can_be_said(before: Reading | None) -> None:
    assert Reading(12.0, {"n": 30.0}).rate(before, "n") is None


def test_no_rate_of_what_is_not_measured() -> None:
    assert Reading(12.0, {}).rate(Reading(10.0, {"n": 1.0}), "n") is None


_FIGURES = """
iothub_link_up 1.0
iothub_link_connects 3.0
iothub_broker_held_messages 1200.0
iothub_store_write_seconds_count 4.0
iothub_store_write_seconds_sum 0.02
iothub_last_stored_timestamp_seconds 990.0
iothub_spooling 1.0
iothub_spool_bytes 5e+06
iothub_spool_max_bytes 1e+07
iothub_spool_oldest_timestamp_seconds 0.0
"""


def test_broker_and_store_are_shown_in_words_and_units() -> None:
    shown = broker_and_store(figures(_FIGURES), now_s=1000)
    assert shown["Connection to the broker"] == "up"
    assert shown["Held by the broker"] == "1,200 messages"
    assert shown["Last stored"] == "10 s ago"
    assert shown["Mean time of a write"] == "5.0 ms"


def test_before_anything_was_stored_broker_and_store_are_shown_too() -> None:
    shown = broker_and_store({}, now_s=1000)
    assert (shown["Connection to the broker"], shown["Last stored"]) == ("down", "–")


def test_a_spool_is_shown_where_there_is_one() -> None:
    shown = spool(figures(_FIGURES), now_s=1000)
    assert shown is not None
    assert shown["State"].startswith("in use")
    assert shown["Waiting"] == "5.0 MB (50% of what may be)"
    assert shown["The oldest came"] == "–"
    assert spool({}, now_s=1000) is None
