from __future__ import annotations

import asyncio
import csv
import io
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from hub.api.schemas import QueryAnswer
from hub.config import ApiSettings, Settings
from hub.store.base import FieldKind, Frame, Series, StoreBroken, StoreUnavailable
from hub.store.memory import MemoryStore
from tests.support.api import names, running_api
from wire.point import Point, SeriesKey

if TYPE_CHECKING:
    from pathlib import Path

    from hub.store.base import Query
    from tests.support.api import Api

S = 1_000_000_000
ARROW = "application/vnd.apache.arrow.stream"


async def filled(api: Api) -> int:
    """Ten samples, one a second, of two cores of ``dev`` and one of ``dev2``; returns the time of the first, ns."""
    start = time.time_ns() // (60 * S) * 60 * S - 600 * S
    keys = [SeriesKey("dev", "cpu", (("core", str(core)),)) for core in (0, 1)] + [SeriesKey("dev2", "cpu")]
    await api.parts.store.write(
        [
            Point(key, start + second * S, {"usage": float(second + 100 * number), "busy": second > 4})
            for number, key in enumerate(keys)
            for second in range(10)
        ]
    )
    return start


async def query(api: Api, **params: Any) -> QueryAnswer:
    answer = await api.http.get("/api/v1/query", params=params)
    assert answer.status_code == 200, answer.text
    return QueryAnswer.model_validate_json(answer.content)


def test_samples_are_chosen_by_node_measurement_field_and_tag(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await filled(api)
            everything = await query(api)
            assert (everything.rows, len(everything.series)) == (60, 6)
            one = await query(api, node="dev", measurement="cpu", field="usage", **{"tag.core": "1"})
            assert (one.rows, len(one.series)) == (10, 1)
            assert one.series[0].values == [float(second + 100) for second in range(10)]
            assert (await query(api, node="dev*", field="us*")).rows == 30
            assert (await query(api, **{"tag.core": "9"})).rows == 0

    asyncio.run(scenario())


def test_a_range_is_half_open(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            start = await filled(api)
            first, last = start // 10**6 + 2000, start // 10**6 + 5000
            got = await query(api, node="dev2", field="usage", start=first, stop=last)
            assert got.series[0].values == [202.0, 203.0, 204.0]

    asyncio.run(scenario())


def test_windows_are_aggregated(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            start = await filled(api)
            params = {"every": "5s", "field": "usage", "tag.core": "0", "start": start // 10**6}
            for fn, expected in {
                "mean": [2.0, 7.0],
                "min": [0.0, 5.0],
                "max": [4.0, 9.0],
                "sum": [10.0, 35.0],
                "count": [5.0, 5.0],
                "first": [0.0, 5.0],
                "last": [4.0, 9.0],
            }.items():
                got = await query(api, **params, fn=fn)
                assert got.series[0].values == expected, fn
                assert (got.every_s, got.fn) == (5.0, fn)
            assert (await query(api, **params)).fn == "mean"

    asyncio.run(scenario())


def test_csv_and_arrow_and_json_tell_the_same(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await filled(api)
            params = {"field": "usage", "start": "-1h", "stop": "now"}
            expected = [value for one in (await query(api, **params)).series for value in one.values]
            as_csv = await api.http.get("/api/v1/query", params=params, headers={"Accept": "text/csv"})
            assert as_csv.headers["content-type"] == "text/csv; charset=utf-8"
            rows = list(csv.DictReader(io.StringIO(as_csv.text, newline="")))
            assert [float(row["value"]) for row in rows] == expected
            assert rows[0]["tag.core"] == "0"
            as_arrow = await api.http.get("/api/v1/query", params=params, headers={"Accept": ARROW})
            assert as_arrow.headers["content-type"] == ARROW
            table = pa.ipc.open_stream(as_arrow.content).read_all()
            assert table["value"].to_pylist() == expected

    asyncio.run(scenario())


def test_the_form_is_negotiated_and_format_wins(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            for accept, form, expected in [
                ("*/*", None, "application/json"),
                ("text/html, */*;q=0.1", None, "application/json"),
                ("text/*", None, "text/csv"),
                (f"application/json;q=0.5, {ARROW}", None, ARROW),
                ("text/csv;q=0.1, application/json;q=0.9", None, "application/json"),
                ("text/html", "csv", "text/csv"),
                ("application/json", "arrow", ARROW),
            ]:
                params = {"format": form} if form else {}
                answer = await api.http.get("/api/v1/query", params=params, headers={"Accept": accept})
                assert answer.headers["content-type"].partition(";")[0] == expected, accept
            for accept in ("text/html", "application/json;q=0", "nonsense;q=x"):
                answer = await api.http.get("/api/v1/query", headers={"Accept": accept})
                assert answer.status_code == 406, accept

    asyncio.run(scenario())


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"start": "yesterday"}, "query.start"),
    ({"stop": "2026-01-01T00:00:00"}, "query.stop"),
    ({"start": "now", "stop": "-5m"}, "query.stop"),
    ({"every": "0s"}, "query.every"),
    ({"every": "soon"}, "query.every"),
    ({"every": "999999y"}, "query.every"),
    ({"fn": "max"}, "query.fn"),
    ({"fn": "median", "every": "5s"}, "query.fn"),
    ({"limit": "0"}, "query.limit"),
    ({"limit": "100000000000"}, "query.limit"),
    ({"format": "xml"}, "query.format"),
    ({"mesurement": "cpu"}, "query.mesurement"),
    ({"tag.": "x"}, "query.tag."),
    ({"node": ["a", "b"]}, "query.node"),
    ({"node": "x" * 300}, "query.node"),
]


def test_a_wrong_parameter_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            for params, where in WRONG:
                answer = await api.http.get("/api/v1/query", params=params)
                assert answer.status_code == 422, params
                body = answer.json()
                assert body["errors"][0]["where"] == where
                assert body["detail"].startswith(where)

    asyncio.run(scenario())


def test_more_rows_than_the_limit_are_refused_with_what_to_do(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path, settings=Settings(api=ApiSettings(max_rows=50))) as api:
            await filled(api)
            wide: list[dict[str, Any]] = [{}, {"limit": 5, "field": "usage"}, {"limit": 5, "every": "1s"}]
            for params in wide:
                answer = await api.http.get("/api/v1/query", params=params)
                assert answer.status_code == 422, params
                assert "limit" in answer.json()["detail"]
            assert (await query(api, field="usage")).rows == 30

    asyncio.run(scenario())


class OneSeries(MemoryStore):
    """A store whose every query is answered by one long series."""

    rows = 1_000_000

    async def query(self, query: Query) -> list[Frame]:
        del query
        times = 1_763_750_000 * S + np.arange(self.rows, dtype=np.int64) * 1_000_000
        return [Frame(Series(SeriesKey("dev", "cpu"), "usage", FieldKind.NUMBER, 0, 0), times, times / 7.0)]


@pytest.mark.parametrize("form", ["json", "csv", "arrow"])
def test_the_event_loop_goes_on_while_a_million_rows_are_sent(tmp_path: Path, form: str) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path, store=OneSeries()) as api:
            answered = 0

            async def others() -> None:
                nonlocal answered
                while True:
                    assert (await api.anyone.get("/health")).status_code == 200
                    answered += 1

            asking = asyncio.create_task(others())
            size = 0
            async with api.http.stream("GET", "/api/v1/query", params={"format": form}, timeout=60) as answer:
                async for piece in answer.aiter_bytes():
                    size += len(piece)
            asking.cancel()
            assert size > 12 * OneSeries.rows
            assert answered >= 5

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("error", "retry"),
    [(StoreUnavailable("locked", 7.2), "7"), (StoreUnavailable("locked"), "5"), (StoreBroken("x"), None)],
)
def test_a_store_that_does_not_answer_is_no_internal_error(tmp_path: Path, error: Exception, retry: str | None) -> None:
    class Failing(MemoryStore):
        async def query(self, query: Query) -> list[Frame]:
            del query
            raise error

    async def scenario() -> None:
        async with running_api(tmp_path, store=Failing()) as api:
            answer = await api.http.get("/api/v1/query")
            assert (answer.status_code, answer.headers.get("retry-after")) == (503, retry)
            assert str(error) in answer.json()["detail"]

    asyncio.run(scenario())


# -- series ------------------------------------------------------------------------------------------------------------


def test_series_are_paged_in_order_and_chosen_by_tag(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            start = await filled(api)
            rows = [row async for page in api.pages("/api/v1/series", limit=4) for row in page["items"]]
            assert [(row["node"], row["tags"].get("core"), row["field"]) for row in rows] == [
                ("dev", "0", "busy"),
                ("dev", "0", "usage"),
                ("dev", "1", "busy"),
                ("dev", "1", "usage"),
                ("dev2", None, "busy"),
                ("dev2", None, "usage"),
            ]
            assert {row["kind"] for row in rows if row["field"] == "busy"} == {"boolean"}
            assert rows[0]["first"] == np.datetime_as_string(np.datetime64(start, "ns"), unit="ms") + "Z"
            chosen = (await api.http.get("/api/v1/series", params={"tag.core": "1", "field": "usage"})).json()
            assert (names(chosen["items"]), chosen["total"]) == (["dev"], 1)

    asyncio.run(scenario())


def test_a_series_that_appears_between_two_pages_neither_repeats_nor_hides_another(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path) as api:
            await filled(api)
            first = (await api.http.get("/api/v1/series", params={"limit": 3})).json()
            await api.parts.store.write([Point(SeriesKey("a-new-one", "cpu"), time.time_ns(), {"usage": 1.0})])
            second = (await api.http.get("/api/v1/series", params={"limit": 3, "page": first["next"]})).json()
            assert names(second["items"], "field") == ["usage", "busy", "usage"]
            assert second["next"] is None

    asyncio.run(scenario())
