"""Samples twice, in the wrong order, of the future and of long ago, and a node whose clock jumps."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.faults import message, recent_ms

if TYPE_CHECKING:
    from tests.support.faults import Rig

HOUR_MS = 3_600_000


def room(node: str) -> str:
    return f"iot/v1/{node}/telemetry/room"


def test_a_message_sent_three_times_is_stored_once_and_counted_twice_as_duplicate(rig: Rig) -> None:
    ts = recent_ms()
    rig.send([(room("twice"), message(ts, 21.5))] * 3)
    rig.settle()
    rig.send([(room("twice"), message(ts, 21.5))])  # of another batch
    rig.settle()
    assert rig.samples("twice") == [(ts, 21.5)]
    assert (rig.row("twice")["stored"], rig.row("twice")["duplicate"]) == (1, 3)


def test_samples_in_any_order_over_a_day_are_all_stored_once(rig: Rig) -> None:
    start = recent_ms() - 24 * HOUR_MS
    wanted = [(start + i * 86_400, float(i)) for i in range(1000)]
    shuffled = random.Random(1).sample(wanted, len(wanted))
    rig.send((room("shuffled"), message(*sample)) for sample in shuffled + shuffled[:100])
    rig.settle()
    assert rig.samples("shuffled") == wanted
    assert (rig.row("shuffled")["stored"], rig.row("shuffled")["duplicate"]) == (1000, 100)


@pytest.mark.parametrize(
    ("name", "ts", "reason"),
    [
        ("1970", 0, "too-old"),
        ("seconds", recent_ms() // 1000, "too-old"),
        ("last-year", recent_ms() - 365 * 24 * HOUR_MS, "too-old"),
        ("in-an-hour", recent_ms() + HOUR_MS, "in-future"),
        ("microseconds", recent_ms() * 1000, "bad-timestamp"),
        ("nanoseconds", recent_ms() * 1_000_000, "bad-timestamp"),
        ("int64", 2**63 - 1, "bad-timestamp"),
        ("negative", -1, "too-old"),
    ],
    # The times change from run to run, the names of the tests must not.
    ids=lambda value: value if isinstance(value, str) else "ts",
)
def test_a_sample_of_no_possible_time_is_refused_and_its_neighbours_are_stored(
    rig: Rig, name: str, ts: int, reason: str
) -> None:
    good = recent_ms()
    array = b"[%s,%s,%s]" % (message(good, 1.0), message(ts, 2.0), message(good + 1, 3.0))
    rig.send([(room(name), message(ts, 2.0)), (room(name), array)])
    rig.settle()
    assert rig.samples(name) == [(good, 1.0), (good + 1, 3.0)]
    assert rig.row(name)["refused"] == {reason: 1}
    assert rig.reasons(name) == {reason: 2}


def test_a_clock_that_jumps_neither_loses_a_sample_nor_overwrites_one(rig: Rig) -> None:
    now = int(time.time() * 1000)
    steady, back, again = ([now + shift + i * 100 for i in range(50)] for shift in (-60_000, -HOUR_MS, -60_000))
    ahead = [now + HOUR_MS + i * 100 for i in range(50)]
    rig.send([("iot/v1/jumpy/status", b'{"state":"online","session":"s1"}')])
    times = [*steady, *back, *ahead, *again]
    rig.send((room("jumpy"), message(ts, float(seq), seq=seq)) for seq, ts in enumerate(times, 1))
    rig.settle()

    # The same instants again after the jump back are no news to a series: what is stored stays.
    assert rig.samples("jumpy") == sorted([(ts, float(seq)) for seq, ts in enumerate([*steady, *back], 1)])
    row = rig.row("jumpy")
    assert (row["stored"], row["duplicate"], row["refused"], row["missing"]) == (100, 50, {"in-future": 50}, 0)
    assert rig.hub.get("nodes/jumpy")["clock_offset_s"] == pytest.approx(HOUR_MS / 1000, abs=30)
