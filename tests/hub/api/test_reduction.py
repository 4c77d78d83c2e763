"""``GET query?points=N``: few points, and no peak lost."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub.api.reduction import reduced, window_ns
from hub.store.base import Query, SeriesFilter
from hub.store.memory import MemoryStore
from tests.support.api import running_api
from wire.point import Point, SeriesKey

if TYPE_CHECKING:
    from pathlib import Path

    from hub.store.base import Frame
    from wire.point import Value

S = 1_000_000_000
#: Two days ago, at midnight: within the retention of every store.
T0 = (time.time_ns() // (86_400 * S) - 2) * 86_400 * S
KEY = SeriesKey("dev", "cpu")


def points_of(values: list[Value], *, key: SeriesKey = KEY, field: str = "usage", step_ns: int = S) -> list[Point]:
    return [Point(key, T0 + i * step_ns, {field: value}) for i, value in enumerate(values)]


def reduce(written: list[Point], points: int, seconds: int) -> list[Frame]:
    async def scenario() -> list[Frame]:
        async with MemoryStore() as store:
            await store.write(written)
            return await reduced(store, Query(SeriesFilter(), T0, T0 + seconds * S), points)

    return asyncio.run(scenario())


@given(st.integers(1, 10**18), st.integers(10, 5000))
def test_the_windows_of_a_range_make_no_more_points_than_asked_for(range_ns: int, points: int) -> None:
    width = window_ns(range_ns, points)
    assert (range_ns // width + 2) * 2 <= points + 4


def test_a_single_peak_among_many_samples_is_still_there() -> None:
    values: list[Value] = [float(i % 7) for i in range(10_000)]
    values[4321], values[7777] = 1000.0, -1000.0
    (frame,) = reduce(points_of(values), 100, 10_000)
    assert len(frame.ts_ns) <= 100
    assert max(frame.values) == 1000.0
    assert min(frame.values) == -1000.0
    at = int(frame.ts_ns[int(np.argmax(np.asarray(frame.values)))])
    assert abs(at - (T0 + 4321 * S)) <= window_ns(10_000 * S, 100)


def test_times_ascend() -> None:
    (frame,) = reduce(points_of([float(i % 13) for i in range(5000)]), 50, 5000)
    assert np.all(np.diff(frame.ts_ns) > 0)


def test_few_samples_come_as_they_were_stored() -> None:
    (frame,) = reduce(points_of([1.0, 2.0, 3.0]), 10, 3600)
    assert list(frame.ts_ns) == [T0, T0 + S, T0 + 2 * S]
    assert list(frame.values) == [1.0, 2.0, 3.0]


def test_a_window_whose_samples_are_equal_makes_one_point() -> None:
    (frame,) = reduce(points_of([5.0] * 2000), 100, 2000)
    assert set(frame.values) == {5.0}
    assert len(frame.ts_ns) <= 50


def test_text_beside_numbers_is_reduced_to_the_last_of_each_window() -> None:
    words: list[Value] = [f"w{i}" for i in range(1000)]
    numbers: list[Value] = [float(i) for i in range(1000)]
    found = reduce(points_of(words, field="state") + points_of(numbers), 20, 1000)
    assert [frame.series.field for frame in found] == ["state", "usage"]
    assert found[0].values[-1] == "w999"
    assert len(found[0].ts_ns) <= 20


def test_the_api_reduces_to_the_points_that_are_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await api.parts.store.write(points_of([float(i) for i in range(5000)]))
            params: dict[str, Any] = {"start": T0 // 10**6, "stop": T0 // 10**6 + 5_000_000, "points": 200}
            answer = (await api.http.get("/api/v1/query", params=params)).json()
            assert 50 <= answer["rows"] <= 200
            assert max(answer["series"][0]["values"]) == 4999.0
            refused = await api.http.get("/api/v1/query", params=params | {"every": "1m"})
            assert refused.status_code == 422
            assert "leave out every" in refused.json()["detail"]

    asyncio.run(scenario())
