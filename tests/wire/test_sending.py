"""The plan of what to send next, alone and against a made-up broker and hub."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from wire.sending import SendPlan


def after_outage(covered: int = 0, last: int = 10_000, window: int = 1000, per_s: float = 1e9) -> SendPlan:
    plan = SendPlan(covered, last, window=window, backlog_per_s=per_s)
    plan.holds(covered + 1, last)
    plan.rewind()
    return plan


def test_what_is_new_is_live_and_sent_at_once() -> None:
    plan = SendPlan(0, 0)
    plan.holds(1, 3)
    assert plan.live() == (0, 3)
    assert plan.backlog(0.0) == (0, 0)
    plan.sent([3], 0.0)
    assert plan.live() == (3, 3)


def test_after_an_outage_what_waited_is_backlog_and_what_comes_is_live() -> None:
    plan = after_outage(last=100)
    plan.holds(1, 105)
    assert plan.live() == (100, 105)
    assert plan.backlog(0.0)[0] == 0


def test_backlog_begins_with_a_probe_and_grows_with_each_confirmation() -> None:
    plan = after_outage(window=1000)
    widths = []
    for second in range(8):
        start, end = plan.backlog(float(second))
        widths.append(end - start)
        plan.sent([end], float(second))
        plan.cover(end, float(second))
    assert widths == [16, 32, 64, 128, 256, 512, 1000, 1000]


def test_no_more_than_the_window_is_sent_ahead_of_the_last_confirmation() -> None:
    plan = after_outage()
    _, end = plan.backlog(0.0)
    plan.sent([end], 0.0)
    assert plan.backlog(1.0) == (end, end)


def test_backlog_keeps_its_pace() -> None:
    plan = after_outage(window=1000, per_s=5.0)
    _, end = plan.backlog(0.0)
    assert end == 5
    plan.sent([5], 0.0)
    assert plan.backlog(0.1) == (5, 5)
    assert plan.backlog(1.0) == (5, 10)
    assert plan.next_s(1.0) == 0.05


def test_a_new_connection_makes_everything_unconfirmed_backlog() -> None:
    plan = SendPlan(0, 0)
    plan.holds(1, 50)
    plan.sent([50], 0.0)
    plan.cover(20, 1.0)
    plan.rewind()
    assert plan.live() == (50, 50)
    assert plan.backlog(2.0) == (20, 36)


def test_confirmations_that_stay_away_are_waited_for_twice_as_long_each_time() -> None:
    plan = SendPlan(0, 0)
    plan.holds(1, 5)
    now, waits = 0.0, []
    plan.sent([5], now)
    for _ in range(12):
        due = plan.due_s()
        assert due is not None
        waits.append(due - now)
        assert not plan.check(due - 0.01)
        assert plan.check(due)
        now = due
        plan.sent([plan.backlog(now)[1]], now)
    assert waits[:4] == [5, 10, 20, 40]
    assert waits[-1] == 3600


def test_a_slow_hub_is_given_time_according_to_how_long_it_usually_takes() -> None:
    plan = SendPlan(0, 0)
    for number in range(1, 30):
        plan.holds(1, number)
        plan.sent([number], number * 100.0)
        plan.cover(number, number * 100.0 + 20)
    plan.holds(30, 30)
    plan.sent([30], 5000.0)
    due = plan.due_s()
    assert due is not None
    assert 75 < due - 5000 <= 80


def test_nothing_unconfirmed_means_nothing_to_wait_for() -> None:
    plan = SendPlan(0, 0)
    plan.holds(1, 5)
    plan.sent([5], 0.0)
    plan.cover(5, 1.0)
    assert plan.due_s() is None
    assert plan.next_s(1.0) is None


def test_numbers_that_are_gone_do_not_hold_up_the_window() -> None:
    plan = after_outage(last=100_000, window=1000)
    plan.holds(90_001, 100_000)  # the oldest were given up
    assert plan.backlog(0.0) == (90_000, 90_016)


@given(st.integers(0, 2**32), st.floats(0, 0.5), st.integers(1, 200))
def test_everything_is_confirmed_in_the_end_whatever_gets_lost(seed: int, loss: float, produced: int) -> None:
    """Messages and confirmations get lost, connections break; each second something is sent and something confirmed."""
    chance = random.Random(seed)
    plan = SendPlan(0, 0, window=50, backlog_per_s=100)
    stored: set[int] = set()
    now, last, sends = 0.0, 0, 0
    while plan.covered < produced:
        now += 1.0
        assert now < 500_000, "not within a week"
        if last < produced:
            last += 1
        plan.holds(plan.covered + 1 if plan.covered < last else None, last)
        plan.check(now)
        batch = [*range(plan.live()[0] + 1, plan.live()[1] + 1)]
        after, up_to = plan.backlog(now)
        batch += range(after + 1, up_to + 1)
        sends += len(batch)
        stored.update(number for number in batch if chance.random() >= loss)
        if batch:
            plan.sent(batch, now)
        if chance.random() < 0.02:
            plan.rewind()
        watermark = next(number for number in range(plan.covered, produced + 1) if number + 1 not in stored)
        if chance.random() >= loss:
            plan.cover(watermark, now)
        if not plan.next_s(now) and plan.due_s() is None and last == produced and plan.covered < produced:
            plan.rewind()  # nothing was ever sent: as at the next connection
    assert plan.covered == produced


def test_a_hub_that_is_away_for_a_day_is_not_buried() -> None:
    plan = SendPlan(0, 0, window=5000, backlog_per_s=2000)
    sends = last = 0
    for second in range(86_400):
        now = float(second)
        if second % 10 == 0:
            last += 8
            plan.holds(1, last)
        plan.check(now)
        (live_after, live_to), (after, up_to) = plan.live(), plan.backlog(now)
        count = (live_to - live_after) + (up_to - after)
        if count:
            sends += count
            plan.sent([number for number in (live_to, up_to) if number], now)
    assert sends < last * 1.02
