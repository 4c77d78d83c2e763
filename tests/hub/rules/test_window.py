"""Windows against a naive computation over the same samples, in any order of arrival."""

from __future__ import annotations

import math
import random
import statistics
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.rules.asking import Fn
from hub.rules.window import Window
from wire.point import NS_PER_S

OVER_NS = 20 * NS_PER_S
_VALUES = st.one_of(
    st.floats(-1e12, 1e12),
    st.floats(-1e-3, 1e-3).map(lambda x: 1e9 + x),
    st.sampled_from([0.0, 0.1, 1e15, -1e15, 1e-12]),
    st.integers(-100, 100).map(float),
)
_SAMPLES = st.lists(st.tuples(st.integers(0, 120).map(lambda s: s * NS_PER_S // 2), _VALUES), min_size=1, max_size=80)


def naive_window(samples: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """What is in the window when all have come: the first value of each time, unless it came when it was too old."""
    kept: dict[int, float] = {}
    newest = None
    for ts_ns, value in samples:
        if newest is None or ts_ns > newest - OVER_NS:
            kept.setdefault(ts_ns, value)
            newest = ts_ns if newest is None else max(newest, ts_ns)
            kept = {ts: v for ts, v in kept.items() if ts > newest - OVER_NS}
    return sorted(kept.items())


def naive(fn: Fn, samples: list[tuple[int, float]], ahead_ns: int = 0) -> float | None:
    times, values = [Fraction(ts, NS_PER_S) for ts, _ in samples], [Fraction(v) for _, v in samples]
    n = len(values)
    if n < (1 if fn in {Fn.MEAN, Fn.MIN, Fn.MAX, Fn.SUM, Fn.COUNT, Fn.LAST} else 2):
        return None
    mean = sum(values) / n
    if fn in {Fn.SLOPE, Fn.PREDICT}:
        if times[-1] - times[0] < Fraction(OVER_NS, 2 * NS_PER_S):
            return None
        middle = sum(times) / n
        slope = sum((t - middle) * (v - mean) for t, v in zip(times, values, strict=True)) / sum(
            (t - middle) ** 2 for t in times
        )
        return float(slope if fn is Fn.SLOPE else mean + slope * (times[-1] + Fraction(ahead_ns, NS_PER_S) - middle))
    if fn is Fn.STDDEV:
        return math.sqrt(statistics.variance(values))
    return float(
        {
            Fn.MEAN: mean,
            Fn.MIN: min(values),
            Fn.MAX: max(values),
            Fn.SUM: sum(values),
            Fn.COUNT: Fraction(n),
            Fn.LAST: values[-1],
            Fn.DELTA: values[-1] - values[0],
            Fn.RATE: (values[-1] - values[0]) / (times[-1] - times[0] or 1),
        }[fn]
    )


@pytest.mark.parametrize("fn", list(Fn))
@settings(max_examples=150)
@given(samples=_SAMPLES)
def test_a_window_agrees_with_the_naive_computation_after_every_sample(
    fn: Fn, samples: list[tuple[int, float]]
) -> None:
    window = Window(OVER_NS)
    window.need(fn)
    ahead_ns = 60 * NS_PER_S if fn is Fn.PREDICT else 0
    for at, (ts_ns, value) in enumerate(samples, 1):
        window.add(ts_ns, value)
        inside = naive_window(samples[:at])
        assert list(window.samples()) == inside
        expected, found = naive(fn, inside, ahead_ns), window.value(fn, ahead_ns=ahead_ns)
        scale = max(abs(v) for _, v in inside)
        if expected is None:
            assert found is None
        else:
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-13 * scale * (10 if ahead_ns else 1))


def test_what_has_left_leaves_no_residue() -> None:
    window = Window(OVER_NS)
    window.need(Fn.MEAN, Fn.STDDEV)
    for second, value in enumerate([1e15, -3e14] + [0.1] * 40):
        window.add(second * NS_PER_S, value)
    assert window.value(Fn.SUM) == pytest.approx(2.0, rel=1e-15)
    assert window.value(Fn.STDDEV) == pytest.approx(0.0, abs=1e-15)


#: Mean and scatter: the scatter stands in the last digits of its values.
_SHAPES = [(1e9, 1e-6), (-1e9, 1e-3), (1e15, 1.0), (20.0, 1e-14), (1e3, 1e-9), (0.0, 1.0)]


@settings(max_examples=12)
@given(
    shape=st.sampled_from(_SHAPES),
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["scatter", "steps", "drift", "still"]),
)
def test_scatter_far_below_the_mean_keeps_its_digits_over_long_runs_in_any_order(
    shape: tuple[float, float], seed: int, kind: str
) -> None:
    dice, (mean, scatter) = random.Random(seed), shape
    window = Window(OVER_NS)
    window.need(Fn.MEAN, Fn.STDDEV, Fn.SLOPE)
    for number in range(1000):
        middle = {"steps": -mean if number // 100 % 2 else mean, "drift": mean + scatter * number}.get(kind, mean)
        value = middle if kind == "still" and number % 200 > 90 else dice.gauss(middle, scatter)
        window.add(round((number + dice.uniform(-2, 2)) * 0.4 * NS_PER_S), value)
        if number % 50 > 1:
            continue
        inside = list(window.samples())
        deviation = naive(Fn.STDDEV, inside)
        if deviation is None:
            continue
        assert window.value(Fn.MEAN) == pytest.approx(naive(Fn.MEAN, inside), rel=1e-15)
        assert window.value(Fn.STDDEV) == pytest.approx(deviation, rel=1e-9, abs=0)
        slope = naive(Fn.SLOPE, inside)
        found = window.value(Fn.SLOPE)
        assert found == (None if slope is None else pytest.approx(slope, rel=1e-9, abs=1e-9 * deviation))


def test_values_that_are_all_the_same_scatter_by_nothing_at_all() -> None:
    window = Window(OVER_NS)
    for number in range(300):
        window.add(number * NS_PER_S, 20.1 + (number % 7 if number < 100 else 0))
        window.value(Fn.STDDEV)
    assert window.value(Fn.STDDEV) == 0.0
    assert window.value(Fn.SLOPE) == 0.0


@pytest.mark.parametrize(
    ("values", "fn", "expected"),
    [
        ([1.7e308, 1.7e308], Fn.SUM, math.inf),
        ([-1.7e308, -1.7e308], Fn.SUM, -math.inf),
        ([1.7e308, 1.7e308, -1.7e308], Fn.SUM, 1.7e308),
        ([-1.7e308, 1.7e308], Fn.STDDEV, math.inf),
        ([-1.7e308, -1.7e308], Fn.MEAN, -1.7e308),
    ],
)
def test_what_no_float_holds_is_infinite_with_its_sign(values: list[float], fn: Fn, expected: float) -> None:
    window = Window(OVER_NS)
    for second, value in enumerate(values):
        window.add(second * NS_PER_S, value)
    assert window.value(fn) == expected


def test_values_too_large_to_square_are_right_too() -> None:
    window = Window(OVER_NS)
    for second, value in enumerate([1e300, 1e300, 3e300]):
        window.add(second * NS_PER_S, value)
    assert window.value(Fn.MEAN) == pytest.approx(5e300 / 3)
    assert window.value(Fn.STDDEV) == pytest.approx(2 / math.sqrt(3) * 1e300)


def test_a_function_that_is_needed_later_sees_the_samples_that_are_there() -> None:
    window = Window(OVER_NS)
    for second in range(5):
        window.add(second * NS_PER_S, float(second))
    assert (window.value(Fn.MEAN), window.value(Fn.MAX)) == (2.0, 4.0)


def test_a_time_that_is_there_keeps_its_first_value() -> None:
    window = Window(OVER_NS)
    assert window.add(0, 1.0)
    assert not window.add(0, 2.0)
    assert window.value(Fn.LAST) == 1.0
