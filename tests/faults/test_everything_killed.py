"""Nodes with an outbox, broker and hub killed -9 at random while points flow; ``scripts/bench faults`` at length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.faults import arguments, measure
from bench.verify import Samples, Verdict, compare
from tests.support.faults import SCALE

if TYPE_CHECKING:
    from pathlib import Path


def test_no_point_is_lost_or_stored_twice_when_nodes_broker_and_hub_are_killed(tmp_path: Path) -> None:
    # With this seed all three die together first, then the hub once more.
    kills = 4 * min(SCALE, 5)
    given = f"--kills {kills} --seconds {kills} --rate 400 --processes 2 --seed 12 --folder {tmp_path / 'chaos'}"
    found = measure(arguments(given.split()))
    assert sum(found["kills"].values()) >= kills
    assert set(found["kills"]) == {"node", "broker", "hub"}
    assert found["generated"] > 500
    assert (found["lost"], found["duplicated"], found["extra"], found["changed"]) == (0, 0, 0, 0)
    assert (found["ledger_unaccounted"], found["ledger_missing"], found["ledger_refused"]) == (0, 0, {})


@pytest.mark.parametrize(
    ("ts", "values", "verdict"),
    [
        ([1, 2, 3], [1.0, 2.0, 3.0], Verdict(3, 3, 0, 0, 0, 0)),
        ([1, 3], [1.0, 3.0], Verdict(3, 2, 1, 0, 0, 0)),
        ([1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0], Verdict(3, 4, 0, 1, 0, 0)),
        ([1, 2, 2, 3], [1.0, 2.0, 2.0, 3.0], Verdict(3, 4, 0, 0, 1, 0)),
        ([1, 2, 3], [1.0, 2.5, 3.0], Verdict(3, 3, 0, 0, 0, 1)),
        ([], [], Verdict(3, 0, 3, 0, 0, 0)),
    ],
)
def test_the_comparison_sees_what_is_lost_extra_twice_or_changed(
    ts: list[int], values: list[float], verdict: Verdict
) -> None:
    series = ("dev", "room", "temperature")
    wanted = {series: Samples(np.array([1, 2, 3]), np.array([1.0, 2.0, 3.0]))}
    assert compare(wanted, {series: Samples(np.array(ts, np.int64), np.array(values))} if ts else {}) == verdict
    assert verdict.ok == (ts == [1, 2, 3] and values[1] == 2.0)
