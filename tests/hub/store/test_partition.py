from __future__ import annotations

from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.config import RetentionSettings
from hub.store.partition import (
    WIDTH_NS,
    Kind,
    Partition,
    Retention,
    by_partition,
    floor_ns,
    kept_seconds,
    parse_table,
    partition_at,
    spans,
)
from hub.store.values import MAX_NS
from tests.support.stores import DAY_NS, MIDNIGHT, NOON
from wire.point import NS_PER_S

instants = st.integers(0, MAX_NS)


@given(st.sampled_from(Kind), instants)
def test_an_instant_lies_in_its_partition_and_the_name_leads_back(kind: Kind, ts_ns: int) -> None:
    part = partition_at(kind, ts_ns)
    assert part.start_ns <= ts_ns < part.stop_ns
    assert part.overlaps(ts_ns, ts_ns + 1)
    assert not part.overlaps(part.stop_ns, part.stop_ns + 1)
    assert parse_table(part.table) == part


def test_names_say_kind_and_day() -> None:
    assert partition_at(Kind.LATE_NUMBERS, NOON).table == "late_numbers_20251122"
    assert [parse_table(name) for name in ("series", "state_rows", "numbers_", "other_20251122", "20251122")] == [
        None
    ] * 5


@given(st.lists(st.integers(NOON - 5 * DAY_NS, NOON), max_size=30))
def test_rows_are_told_apart_by_partition(times: list[int]) -> None:
    ts = np.array(times, np.int64)
    found = {part: ts[rows].tolist() for part, rows in by_partition(Kind.NUMBERS, ts)}
    assert sorted(chain.from_iterable(found.values())) == sorted(times)
    assert all(part.start_ns <= t < part.stop_ns for part, inside in found.items() for t in inside)
    assert list(found) == sorted(found)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60))
def test_spans_hold_each_row_once_and_are_few(seconds: list[int]) -> None:
    ts = np.array(seconds, np.int64) * NS_PER_S
    cut = spans(ts)
    assert len(cut) <= 9
    assert sorted(np.concatenate(cut).tolist()) == list(range(len(ts)))
    bounds = [(int(ts[rows].min()), int(ts[rows].max())) for rows in cut]
    assert all(one[1] < other[0] for one, other in pairwise(bounds))


def test_one_late_row_does_not_widen_the_span_of_the_others() -> None:
    ts = NOON + np.array([0, 1, 2, -36_000, 3], np.int64) * NS_PER_S
    assert [rows.tolist() for rows in spans(ts)] == [[3], [0, 1, 2, 4]]


@given(
    st.builds(Retention, *[st.floats(0, 1e8)] * 4),
    instants,
)
def test_what_is_finer_never_outlives_what_is_made_of_it(keep: Retention, now_ns: int) -> None:
    floors = [floor_ns(keep, kind, now_ns) for kind in (Kind.HOURS, Kind.MINUTES, Kind.NUMBERS)]
    assert floors == sorted(floors)
    assert floors[2] == floor_ns(keep, Kind.LATE_NUMBERS, now_ns) == floor_ns(keep, Kind.TEXTS, now_ns)


def test_whole_partitions_are_kept() -> None:
    keep = Retention(raw=1.5 * 86_400)
    assert floor_ns(keep, Kind.NUMBERS, MIDNIGHT) == MIDNIGHT - 2 * DAY_NS
    assert floor_ns(keep, Kind.NUMBERS, NOON) == MIDNIGHT - DAY_NS
    assert Partition(Kind.NUMBERS, 0).stop_ns == WIDTH_NS[Kind.NUMBERS]


@pytest.mark.parametrize("kind", list(Kind))
def test_the_settings_are_a_retention(kind: Kind) -> None:
    assert kept_seconds(RetentionSettings(), kind) == kept_seconds(Retention(), kind)
