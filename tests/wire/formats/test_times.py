from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import PayloadError, Reason
from wire.formats.times import MAX_NS, MIN_NS, timestamp_ns


@pytest.mark.parametrize(
    ("ts", "ns"),
    [
        (0, 0),
        (-1, -1_000_000),
        (1_763_750_000_000, 1_763_750_000_000_000_000),
        (1_763_750_000_000.5, 1_763_750_000_000_500_000),
        (-0.5, -500_000),
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:59:59.999Z", -1_000_000),
        ("2025-11-21T18:33:20.123456789Z", 1_763_750_000_123_456_789),
        ("2025-11-21T18:33:20.1234567Z", 1_763_750_000_123_456_700),
        ("2025-11-21 18:33:20+00:00", 1_763_750_000_000_000_000),
    ],
)
def test_a_time_is_read_to_the_nanosecond(ts: object, ns: int) -> None:
    assert timestamp_ns(ts) == ns


@pytest.mark.parametrize(
    "ts",
    [None, True, "", "now", "2025-11-21T18:33:20", "2025-11-21", "1763750000000", [1], {}, 1e300, float("nan"),
     float("inf"), 9_223_372_036_855, -9_223_372_036_855, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"],
)  # fmt: skip
def test_what_is_no_instant_is_refused(ts: object) -> None:
    with pytest.raises(PayloadError) as caught:
        timestamp_ns(ts)
    assert caught.value.reason is Reason.BAD_TIMESTAMP


@given(
    st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001  hypothesis adds the zone below
    st.integers(-14 * 60, 14 * 60),
)
def test_iso_times_of_any_offset_are_the_same_instant(moment: datetime, offset_min: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset_min)))
    assert (
        timestamp_ns(aware.isoformat())
        == (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    )


@given(st.one_of(st.text(max_size=30), st.floats(), st.integers()))
def test_anything_is_a_time_of_64_bits_or_refused(ts: object) -> None:
    with contextlib.suppress(PayloadError):
        assert MIN_NS <= timestamp_ns(ts) <= MAX_NS
