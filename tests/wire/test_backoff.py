from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wire.backoff import STABLE_S, Backoff, Outage


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(1.0, 8.0, jitter=lambda: 1.0)
    assert [backoff.next_s() for _ in range(6)] == [1, 2, 4, 8, 8, 8]


@given(st.floats(0, 1), st.integers(1, 20))
def test_the_jitter_keeps_a_delay_between_half_and_whole(jitter: float, attempts: int) -> None:
    backoff = Backoff(1.0, 30.0, jitter=lambda: jitter)
    for attempt in range(attempts):
        whole = min(2.0**attempt, 30.0)
        assert whole / 2 <= backoff.next_s() <= whole


def test_after_a_reset_the_shortest_delay_comes_first() -> None:
    backoff = Backoff(1.0, 8.0, jitter=lambda: 1.0)
    backoff.next_s()
    backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == 1.0


def test_an_outage_is_said_once_and_then_at_growing_intervals() -> None:
    outage = Outage()
    said = [now for now in range(2000) if outage.lost(float(now), "unreachable")]
    assert said == [0, 60, 180, 420, 900, 1860]


def test_a_new_reason_is_said_at_once() -> None:
    outage = Outage()
    assert outage.lost(0, "unreachable")
    assert not outage.lost(1, "unreachable")
    assert outage.lost(2, "refused")
    assert not outage.lost(3, "unreachable")


def test_recovery_tells_how_long_it_took() -> None:
    outage = Outage()
    outage.lost(10, "unreachable")
    outage.lost(20, "unreachable")
    assert outage.back(25) == 15


def test_recovery_without_an_outage_says_nothing() -> None:
    assert Outage().back(5) is None


def test_a_flapping_link_is_one_outage() -> None:
    outage = Outage()
    said = 0
    for now in range(50):
        said += outage.lost(float(now), "the connection broke")
        outage.back(now + 0.5)
    assert said == 1


def test_an_outage_after_a_stable_time_is_said_anew() -> None:
    outage = Outage()
    outage.lost(0, "unreachable")
    outage.back(1)
    assert outage.lost(1 + STABLE_S, "unreachable")
