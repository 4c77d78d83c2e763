"""Series of the API as traces."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from dashboard.data.traces import labels, shifted, traces_of, with_gaps
from tests.support.answers import T0, table, times, trace


def test_no_rows_are_no_traces() -> None:
    assert traces_of(table([])) == []


def test_each_series_is_a_trace_in_order_of_its_name() -> None:
    found = traces_of(
        table(
            [
                ("dev2", "usage", "0", 1.0, None),
                ("dev1", "usage", "1", 2.0, None),
                ("dev1", "usage", "1", 3.0, None),
                ("dev1", "usage", None, 4.0, None),
                ("dev1", "load1", None, 5.0, None),
            ]
        )
    )
    assert [(one.node, one.field, one.tags, list(one.values)) for one in found] == [
        ("dev1", "load1", (), [5.0]),
        ("dev1", "usage", (), [4.0]),
        ("dev1", "usage", (("core", "1"),), [2.0, 3.0]),
        ("dev2", "usage", (("core", "0"),), [1.0]),
    ]
    assert found[2].times.tolist() == times(1, 2).tolist()


def test_two_series_of_one_node_that_follow_each_other_are_not_one() -> None:
    found = traces_of(table([("a", "x", "0", 1.0, None), ("a", "x", "1", 1.0, None), ("a", "y", "1", 1.0, None)]))
    assert [(one.field, one.tags) for one in found] == [
        ("x", (("core", "0"),)),
        ("x", (("core", "1"),)),
        ("y", (("core", "1"),)),
    ]


def test_words_stay_words() -> None:
    (found,) = traces_of(table([("dev1", "state", None, None, "open"), ("dev1", "state", None, None, "shut")]))
    assert found.is_text
    assert found.values == ["open", "shut"]


def test_a_missing_number_stays_missing() -> None:
    (found,) = traces_of(table([("dev1", "usage", None, 1.0, None), ("dev1", "usage", None, None, None)]))
    assert np.isnan(found.values[1])


def test_a_long_pause_is_a_gap() -> None:
    seconds = [*range(10), *range(100, 110)]
    whole = with_gaps(trace([1.0] * 20, *seconds))
    assert np.flatnonzero(np.isnan(np.asarray(whole.values))).tolist() == [10]
    assert whole.times[10] == T0 + np.timedelta64(54_500, "ms")
    assert np.all(np.diff(whole.times) > np.timedelta64(0))
    assert len(whole.values) == len(whole.times) == 21


@pytest.mark.parametrize(
    ("seconds", "after"),
    [((0, 10, 1000), 2), ((0, 990, 1000), 1), ((0, 10, 20, 1000), 3), ((0, 500, 510, 520), 1)],
)
def test_a_pause_is_a_gap_also_between_few_samples(seconds: tuple[float, ...], after: int) -> None:
    whole = with_gaps(trace([1.0] * len(seconds), *seconds))
    assert np.flatnonzero(np.isnan(np.asarray(whole.values))).tolist() == [after]


def test_a_steady_series_has_no_gap_and_is_the_same_object() -> None:
    steady = trace([1, 2, 3, 4], 0, 1, 2.5, 4)
    assert with_gaps(steady) is steady


def test_pairs_of_least_and_greatest_are_no_gaps() -> None:
    # Reduced: two points close to each other in each window.
    seconds = [second for window in range(20) for second in (window * 60.0, window * 60.0 + 1)]
    pairs = trace([0.0] * len(seconds), *seconds)
    assert with_gaps(pairs) is pairs


def test_two_samples_say_nothing_of_a_cadence() -> None:
    assert not np.isnan(np.asarray(with_gaps(trace([1, 2], 0, 9999)).values)).any()


def test_words_get_no_gaps() -> None:
    words = trace(["a", "b", "c"], 0, 1, 9999)
    assert with_gaps(words) is words


def test_an_earlier_period_is_laid_over_and_named_apart() -> None:
    now = trace([1, 2], 3600, 3601, core="0")
    before = shifted(trace([1, 2], 0, 1, core="0"), timedelta(hours=1), "before")
    assert before.times.tolist() == now.times.tolist()
    assert labels([now, before]) == ["usage", "period=before"]


def test_one_trace_alone_is_named_in_full() -> None:
    assert labels([trace([1], core="0")]) == ["dev1 cpu.usage core=0"]


def test_names_hold_only_what_differs() -> None:
    assert labels([trace([1], core="0", host="h"), trace([1], core="1", host="h")]) == ["core=0", "core=1"]
    assert labels([trace([1]), trace([1], node="dev2")]) == ["dev1", "dev2"]
    assert labels([trace([1]), trace([1], field="load1")]) == ["usage", "load1"]
    both = labels([trace([1]), trace([1], measurement="disk")])
    assert both == ["cpu.usage", "disk.usage"]


def test_no_two_traces_that_differ_have_the_same_name() -> None:
    many = [
        trace([1], node=node, field=field, core=core)
        for node in ("a", "b")
        for field in ("x", "y")
        for core in ("0", "1")
    ]
    assert len(set(labels(many))) == len(many)
