"""What hub/store/base.py promises of log records, asked of every store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hub.store.base import Query, QueryError, Rejected, SeriesFilter, Store
from tests.support.stores import ALL, EVER_LOGS, NOON, UNFIT, at, line, messages, run
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from tests.hub.store.conftest import Opener
    from wire.point import Value

# ── logs ──


def test_logs_come_newest_first_and_are_no_series(make: Opener) -> None:
    async def body(store: Store) -> None:
        await store.write([line(2, "b"), line(1, "a"), line(3, "c"), at(0, a=1.0)])
        await store.write([line(-86_400, "yesterday"), line(2.5, "late")])
        assert await messages(store) == ["c", "late", "b", "a", "yesterday"]
        assert await messages(store, limit=2) == ["c", "late"]
        assert await messages(store, start_ns=NOON + NS_PER_S, stop_ns=NOON + 3 * NS_PER_S) == ["late", "b", "a"]
        assert [series.field for series in await store.series(ALL)] == ["a"]
        assert await store.query(Query(SeriesFilter(measurement="log"), 0, 2**62)) == []

    run(make(), body)


def test_a_record_keeps_all_it_came_with(make: Opener) -> None:
    fields: dict[str, Value] = {
        "status": 502.0,
        "retry": False,
        "path": "/x",
        "tiny": 5e-324,
        "big": 1.7976931348623157e308,
        "0": 0.1,
    }
    key = SeriesKey("dev1", "log", (("level", "error"), ("source", "nginx"), ("unit", "web")))

    async def body(store: Store) -> None:
        await store.write([Point(key, NOON + 7, {"message": "bad gateway", **fields})])
        (record,) = await store.logs(EVER_LOGS)
        assert (record.ts_ns, record.node, record.level, record.source) == (NOON + 7, "dev1", "error", "nginx")
        assert (record.message, record.fields) == ("bad gateway", {**fields, "unit": "web"})
        assert isinstance(record.fields["retry"], bool)

    run(make(), body)


def test_a_record_without_level_source_and_message_is_kept(make: Opener) -> None:
    async def body(store: Store) -> None:
        bare = [Point(SeriesKey("dev1", "log"), NOON, {}), Point(SeriesKey("dev1", "log"), NOON + 1, {"message": 5.0})]
        assert (await store.write(bare)).accepted == 2
        found = [(r.level, r.source, r.message, r.fields) for r in await store.logs(EVER_LOGS)]
        assert found == [("info", "", "5.0", {}), ("info", "", "", {})]

    run(make(), body)


def test_two_lines_at_one_instant_are_two_records_and_the_same_line_is_one(make: Opener) -> None:
    async def body(store: Store) -> None:
        result = await store.write([line(0, "a"), line(0, "b"), line(0, "a"), line(0, "a", extra=1.0)])
        assert (result.accepted, result.duplicates) == (3, (2,))
        result = await store.write([line(0, "b"), line(0, "c"), line(0, "a", node="dev2")])
        assert (result.accepted, result.duplicates) == (2, (0,))
        assert sorted(await messages(store)) == ["a", "a", "a", "b", "c"]

    run(make(), body)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"level": "trace"}, ["odd", "error", "warning", "info", "debug"]),
        ({"level": "info"}, ["odd", "error", "warning", "info"]),
        ({"level": "notice"}, ["error", "warning"]),
        ({"level": "WARNING"}, ["error", "warning"]),
        ({"level": "emergency"}, []),
        ({"source": "cron"}, ["error"]),
        ({"source": "cro"}, []),
        ({"node": "dev*"}, ["odd", "error", "warning", "info", "debug"]),
        ({"node": "dev[!1]"}, ["error"]),
        ({"text": "R"}, ["error", "warning"]),
        ({"text": "%"}, []),
        ({"text": "_"}, []),
        ({"text": "RR", "level": "debug", "node": "dev2", "source": "cron"}, ["error"]),
    ],
)
def test_logs_are_chosen_by_level_node_source_and_text(
    make: Opener, query: dict[str, Any], expected: list[str]
) -> None:
    async def body(store: Store) -> None:
        levels = ["debug", "info", "Warning"]
        await store.write([line(i, level.lower(), level=level) for i, level in enumerate(levels)])
        await store.write([line(4, "error", level="error", node="dev2", source="cron"), line(5, "odd", level="chatty")])
        assert await messages(store, **query) == expected

    run(make(), body)


def test_an_unknown_level_is_refused_with_the_known_ones(make: Opener) -> None:
    async def body(store: Store) -> None:
        with pytest.raises(QueryError, match="'loud' is unknown; use one of trace, debug, info"):
            await messages(store, level="loud")

    run(make(), body)


@pytest.mark.parametrize(("value", "why"), UNFIT)
def test_a_record_with_a_field_that_cannot_be_stored_is_refused_whole(make: Opener, value: Any, why: str) -> None:
    async def body(store: Store) -> None:
        result = await store.write([line(0, "good"), line(1, "bad", x=value)])
        assert (result.accepted, result.rejected) == (1, (Rejected(1, f"dev1 log: field 'x': {why}"),))
        assert await messages(store) == ["good"]

    run(make(), body)
