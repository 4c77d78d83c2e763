from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.rates import Rates, increase, increases

FAST = 1e9
steps = st.integers(0, 10**9)


@given(st.integers(0, 2**64 - 1 - 10**9), steps)
def test_a_counter_that_grew_grew_by_the_difference(previous: int, step: int) -> None:
    assert increase(previous, previous + step, FAST) == step


@given(st.sampled_from([32, 64]), st.integers(1, 10**9), steps)
def test_a_counter_that_wrapped_grew_across_the_wrap(bits: int, before_wrap: int, after_wrap: int) -> None:
    previous = 2**bits - before_wrap
    assert increase(previous, after_wrap, most=before_wrap + after_wrap) == before_wrap + after_wrap


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.floats(0, 1e12))
def test_an_increase_is_never_negative_and_never_implausible(previous: int, current: int, most: float) -> None:
    step = increase(previous, current, most)
    assert step is None or 0 <= step <= most


def test_a_jump_that_the_device_cannot_have_made_is_a_new_start() -> None:
    assert increase(10, 10**15, FAST) is None


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(10, 2**40), min_size=2),
    st.data(),
)
def test_a_device_made_again_starts_anew(previous: dict[str, int], data: st.DataObject) -> None:
    current = {name: data.draw(st.integers(0, value - 1)) for name, value in previous.items()}
    assert increases(previous, current, dict.fromkeys(previous, 1e30)) is None


def test_one_counter_that_wrapped_beside_others_that_grew_is_followed() -> None:
    previous = {"bytes": 2**32 - 100, "packets": 5000}
    current = {"bytes": 400, "packets": 5003}
    assert increases(previous, current, {"bytes": FAST, "packets": FAST}) == {"bytes": 500, "packets": 3}


@given(st.integers(0, 2**62), st.lists(st.tuples(st.floats(0.5, 1000), st.integers(0, 10**8)), min_size=1, max_size=20))
def test_the_rate_is_the_increase_over_the_time_that_really_passed(start: int, ticks: list[tuple[float, int]]) -> None:
    """However long ticks were missed, rate times elapsed time is what the counter grew."""
    rates = Rates({"bytes": 1e12})
    now_s, counter = 1000.0, start
    assert rates.update("eth0", now_s, {"bytes": counter}) is None
    for elapsed_s, step in ticks:
        before_s = now_s
        now_s += elapsed_s
        counter += step
        got = rates.update("eth0", now_s, {"bytes": counter})
        assert got is not None
        assert got["bytes"] * (now_s - before_s) == pytest.approx(step)


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=30), st.integers(0, 10**8))
def test_a_32_bit_counter_gives_the_same_rates_as_one_that_never_wraps(steps: list[int], start: int) -> None:
    narrow, wide = Rates({"bytes": 1e9}), Rates({"bytes": 1e9})
    total = 2**32 - start
    for tick, step in enumerate([0, *steps]):
        total += step
        assert narrow.update("d", float(tick), {"bytes": total % 2**32}) == wide.update(
            "d", float(tick), {"bytes": total}
        )


def test_after_a_new_start_the_next_tick_has_rates_again() -> None:
    rates = Rates({"rx": FAST, "tx": FAST})
    rates.update("eth0", 0.0, {"rx": 5000, "tx": 4000})
    assert rates.update("eth0", 10.0, {"rx": 50, "tx": 10}) is None
    assert rates.update("eth0", 20.0, {"rx": 150, "tx": 10}) == {"rx": 10.0, "tx": 0.0}


def test_no_time_gives_no_rate() -> None:
    rates = Rates({"rx": FAST})
    rates.update("eth0", 5.0, {"rx": 1})
    assert rates.update("eth0", 5.0, {"rx": 2}) is None


def test_a_device_that_was_gone_starts_anew() -> None:
    rates = Rates({"rx": FAST})
    rates.update("eth0", 0.0, {"rx": 1})
    rates.keep([])
    assert rates.update("eth0", 10.0, {"rx": 900}) is None


def test_devices_do_not_disturb_each_other() -> None:
    rates = Rates({"rx": FAST})
    rates.update("eth0", 0.0, {"rx": 0})
    rates.update("eth1", 0.0, {"rx": 1000})
    assert rates.update("eth0", 10.0, {"rx": 100}) == {"rx": 10.0}
    assert rates.update("eth1", 10.0, {"rx": 1000}) == {"rx": 0.0}
