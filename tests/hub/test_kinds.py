"""The types of series: each has its own, many share the object that says them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.kinds import SeriesKinds
from wire.point import SeriesKey

KEYS = [SeriesKey("n1", "room"), SeriesKey("n2", "room"), SeriesKey("n2", "hall")]
PUTS = st.lists(
    st.tuples(
        st.sampled_from(KEYS),
        st.dictionaries(st.sampled_from([f"f{i}" for i in range(8)]), st.sampled_from([float, bool, str])),
    )
)


def test_series_with_the_same_fields_share_what_says_their_types() -> None:
    kinds = SeriesKinds()
    for key in KEYS:
        kinds.put(key, {"a": float, "b": str})
    assert kinds.of[KEYS[0]] is kinds.of[KEYS[1]] is kinds.of[KEYS[2]]


@given(PUTS, st.integers(0, 60))
def test_what_one_series_is_given_changes_no_other_however_many_fields_it_has(
    puts: list[tuple[SeriesKey, dict[str, type]]], more: int
) -> None:
    kinds, oracle = SeriesKinds(), {key: dict[str, type]() for key in KEYS}
    for key in KEYS:
        oracle[key] |= {f"more{i}": float for i in range(more)}
        kinds.put(key, oracle[key])
    for key, types in puts:
        kinds.put(key, types)
        oracle[key] |= types
    for key in KEYS:
        assert kinds.of[key].types == oracle[key]
        assert kinds.of[key].numbers == {field for field, kind in oracle[key].items() if kind is float}


def test_a_series_that_gets_one_new_field_after_another_leaves_nothing_behind() -> None:
    kinds = SeriesKinds()
    for i in range(5_000):
        kinds.put(KEYS[0], {f"f{i}": float})
    own = kinds.of[KEYS[0]]
    kinds.put(KEYS[0], {"one-more": float})
    assert kinds.of[KEYS[0]] is own
    assert len(kinds._shared) <= 51
