from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.store.tiers import choose_tiers
from tests.support.stores import HOUR_NS, MINUTE_NS, NOON

near = st.builds(
    lambda hours, minutes, ns: hours * HOUR_NS + minutes * MINUTE_NS + ns,
    st.integers(0, 30),
    st.integers(0, 59),
    st.sampled_from([0, 1, MINUTE_NS - 1]),
)
widths = st.sampled_from([None, 7, MINUTE_NS, 3 * MINUTE_NS, HOUR_NS, 5 * HOUR_NS, HOUR_NS + MINUTE_NS])


@given(near, near, widths, near)
def test_each_instant_is_answered_once_by_rows_that_exist_and_fit(
    start: int, stop: int, every: int | None, mark: int
) -> None:
    mark -= mark % MINUTE_NS
    tiers = choose_tiers(start, stop, every, mark)
    spans = sorted(tiers.raw + tiers.minutes + tiers.hours)
    assert [span for span in spans if span[0] >= span[1]] == []
    if start < stop:
        assert [spans[0][0], *(end for _, end in spans)] == [*(begin for begin, _ in spans), stop]
    else:
        assert spans == []
    for width, of_width in ((MINUTE_NS, tiers.minutes), (HOUR_NS, tiers.hours)):
        for begin, end in of_width:
            assert begin % width == end % width == 0
            assert end <= mark
            assert every is not None
            assert every % width == 0


@given(near, near, near)
def test_hours_answer_all_that_they_can(start: int, stop: int, mark: int) -> None:
    tiers = choose_tiers(start, stop, HOUR_NS, mark)
    whole = range(-(-start // HOUR_NS), min(stop, mark) // HOUR_NS)
    assert sum((end - begin) // HOUR_NS for begin, end in tiers.hours) == len(whole)
    assert all(end - begin < 2 * HOUR_NS for begin, end in tiers.minutes)


def test_the_picture_of_the_file() -> None:
    start, stop = NOON + 10, NOON + 3 * HOUR_NS + 5 * MINUTE_NS + 7
    tiers = choose_tiers(start, stop, HOUR_NS, NOON + 10 * HOUR_NS)
    assert tiers.raw == ((start, NOON + MINUTE_NS), (NOON + 3 * HOUR_NS + 5 * MINUTE_NS, stop))
    assert tiers.minutes == (
        (NOON + MINUTE_NS, NOON + HOUR_NS),
        (NOON + 3 * HOUR_NS, NOON + 3 * HOUR_NS + 5 * MINUTE_NS),
    )
    assert tiers.hours == ((NOON + HOUR_NS, NOON + 3 * HOUR_NS),)
    assert tiers.rolled_up == (NOON + MINUTE_NS, NOON + 3 * HOUR_NS + 5 * MINUTE_NS)
