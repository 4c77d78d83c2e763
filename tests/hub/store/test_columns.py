from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub.store import columns
from hub.store.base import SeriesFilter
from hub.store.catalog import NUMBER, TEXT, Catalog
from hub.store.columns import Floors, Gatherer
from tests.support.stores import NOON, ROOM, at, line
from wire.point import Point, SeriesKey, Value

if TYPE_CHECKING:
    import pytest

    from hub.store.columns import Columns

EARLY = Floors(0, 0)


def as_points(found: Columns, catalog: Catalog) -> list[tuple[int, SeriesKey, str, int, Value]]:
    rows = [*_rows(found.numbers, catalog), *_rows(found.texts, catalog)]
    return sorted(rows, key=lambda row: (row[0], row[2]))


def _rows(rows: columns.Rows[np.ndarray], catalog: Catalog) -> list[tuple[int, SeriesKey, str, int, Value]]:  # type: ignore[type-var]  # of either kind
    return [
        (point, *catalog.name(series), ts, value)
        for point, series, ts, value in zip(
            rows.point.tolist(), rows.ids.tolist(), rows.ts.tolist(), rows.values.tolist(), strict=True
        )
    ]


values = st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3) | st.booleans()
points = st.builds(
    Point,
    st.sampled_from([SeriesKey("a", "m"), SeriesKey("b", "m"), SeriesKey("a", "m", (("t", "1"),))]),
    st.integers(NOON, NOON + 3),
    # The name says the kind, so that nothing clashes.
    st.dictionaries(st.sampled_from("abcd"), values, max_size=4).map(
        lambda fields: {f"{name}_{type(value).__name__}": value for name, value in fields.items()}
    ),
)


@given(st.lists(st.lists(points, max_size=15), max_size=4))
def test_columns_hold_the_values_of_the_points_and_nothing_else(batches: list[list[Point]]) -> None:
    catalog = Catalog()
    gatherer = Gatherer(catalog)
    for batch in batches:
        expected = [
            (i, point.key, field, point.ts_ns, value)
            for i, point in enumerate(batch)
            for field, value in sorted(point.fields.items())
        ]
        found = gatherer.gather(batch, EARLY)
        assert as_points(found, catalog) == expected
        assert found.rejected(batch) == ()
        keys = [(point.key, point.ts_ns) for point in batch if point.fields]
        assert found.may_repeat or len(set(keys)) == len(keys)


def test_layouts_are_forgotten_when_there_are_too_many_and_ids_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MAX_LAYOUTS", 10)
    catalog = Catalog()
    gatherer = Gatherer(catalog)
    batches = [[at(0, **{f"f{(i + j) % 20}": 1.0 for j in range(3)})] for i in range(60)]
    for batch in batches:
        found = gatherer.gather(batch, EARLY)
        assert [field for _, _, field, _, _ in as_points(found, catalog)] == sorted(batch[0].fields)
        assert len(gatherer._layouts) <= 11
    assert catalog.next_id == 20


def test_log_records_do_not_shift_the_positions_of_other_points() -> None:
    catalog = Catalog()
    batch = [line(0, "x"), at(1, a=1.0), line(2, "y"), line(3, "\ud800"), at(4, a="clash", b=2.0)]
    found = Gatherer(catalog).gather(batch, EARLY)
    assert [row[0] for row in as_points(found, catalog)] == [1, 4]
    assert [i for i, _ in found.logs] == [0, 2]
    assert [(refused.index, refused.whole) for refused in found.rejected(batch)] == [(3, True), (4, False)]


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.floats(-5, 5)), max_size=20), max_size=5))
def test_the_catalogue_knows_the_first_and_the_last_sample(batches: list[list[tuple[int, int, float]]]) -> None:
    catalog = Catalog()
    known: dict[tuple[int, int], float] = {}
    for series in range(4):
        catalog.id_of(ROOM, f"f{series}", TEXT if series == 3 else NUMBER)
    for batch in batches:
        new = {(series, ts): value for series, ts, value in batch if (series, ts) not in known}
        known |= new
        for is_text in (False, True):
            rows = [(series, ts, value) for (series, ts), value in new.items() if (series == 3) == is_text]
            ids, ts, values = (np.array([row[i] for row in rows]) for i in range(3))
            of_kind = np.array([str(value) for value in values], np.object_) if is_text else values.astype(np.float64)
            catalog.observe(ids.astype(np.int32), ts.astype(np.int64), of_kind)
    for last in catalog.last(SeriesFilter()):
        series = int(last.series.field[1:])
        times = [ts for of, ts in known if of == series]
        value = known[series, max(times)]
        assert (last.series.first_ns, last.ts_ns) == (min(times), max(times))
        assert last.value == (str(value) if series == 3 else value)
    assert catalog.count() == len({series for series, _ in known})
