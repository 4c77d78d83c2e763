from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.point import Point, SeriesKey

_tags = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3).map(lambda t: tuple(sorted(t.items())))
_keys = st.builds(SeriesKey, st.text(max_size=4), st.text(max_size=4), _tags)


def test_a_key_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        SeriesKey("n", "m").node = "x"  # type: ignore[misc]  # the point of the test


def test_a_point_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Point(SeriesKey("n", "m"), 0, {}).ts_ns = 1  # type: ignore[misc]  # the point of the test


@given(_keys)
def test_equal_keys_are_one_key_of_a_dictionary(key: SeriesKey) -> None:
    again = SeriesKey(key.node, key.measurement, tuple(key.tags))
    assert {key: 1} | {again: 2} == {key: 2}


@given(st.lists(_keys, max_size=6))
def test_keys_sort_by_node_then_measurement_then_tags(keys: list[SeriesKey]) -> None:
    assert sorted(keys) == sorted(keys, key=lambda k: (k.node, k.measurement, k.tags))


@given(_keys)
def test_a_key_survives_json(key: SeriesKey) -> None:
    assert msgspec.json.decode(msgspec.json.encode(key), type=SeriesKey) == key
