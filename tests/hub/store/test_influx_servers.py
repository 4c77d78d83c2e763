"""Servers that refuse, stop, ask who is there, or are no InfluxDB: all of them real."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hub.store.base import Query, Store, StoreUnavailable, WriteResult
from hub.store.influx import InfluxStore
from hub.store.influx_http import Access
from hub.store.influx_target import Target
from tests.support.influx import Influxd, VictoriaMetrics, opened
from tests.support.stores import ALL, NOON, at, line, run, samples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_database_that_does_not_exist_keeps_everything_and_says_what_to_do(influxd: Influxd) -> None:
    async def body(store: Store) -> None:
        with pytest.raises(StoreUnavailable, match=r"create .* 'nowhere'") as caught:
            await store.write([at(0, a=1.0)])
        assert caught.value.retry_after_s == 10.0
        influxd.create("nowhere")
        assert await store.write([at(0, a=1.0)]) == WriteResult(1)

    run(opened(influxd, "nowhere"), body)


def test_a_retention_policy_that_does_not_exist_keeps_everything_and_says_what_to_do(influxd: Influxd) -> None:
    if influxd.generation > 1:
        pytest.skip("2.x answers as for a bucket that does not exist")
    target = influxd.target(influxd.create())
    wrong = type(target)(target.access, target.database, retention_policy="nope")

    async def body(store: Store) -> None:
        with pytest.raises(StoreUnavailable, match="create the retention policy, or correct"):
            await store.write([at(0, a=1.0)])

    run(InfluxStore(wrong, clock_ns=lambda: NOON), body)


def test_a_stopped_server_loses_nothing(tmp_path: Path) -> None:
    with Influxd(tmp_path / "own") as server:
        database = server.create()

        async def body(store: Store) -> None:
            assert await store.write([at(0, a=0.0)]) == WriteResult(1)
            server.stop()
            with pytest.raises(StoreUnavailable, match=r"cannot be reached|broke"):
                await store.write([at(1, a=1.0)])
            with pytest.raises(StoreUnavailable, match=r"cannot be reached|broke"):
                await store.query(Query(ALL, 0, 2**62))
            assert [each.value for each in await store.last(ALL)] == [0.0]
            server.start()
            assert await store.write([at(1, a=1.0)]) == WriteResult(1)
            assert await samples(store) == {"a": {0: 0.0, 1: 1.0}}

        run(opened(server, database), body)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Influxd]:
    """A server that asks who is there."""
    server = Influxd(tmp_path / "guarded", http="  auth-enabled = true")
    if server.generation > 1:
        pytest.skip("2.x has tokens alone")
    with server:
        yield server


def test_credentials_are_needed_and_used(guarded: Influxd) -> None:
    guarded.ask("CREATE USER admin WITH PASSWORD 'secret' WITH ALL PRIVILEGES")
    admin = InfluxStore(guarded.target("iot", username="admin", password="secret"), clock_ns=lambda: NOON)

    async def without(store: Store) -> None:
        with pytest.raises(StoreUnavailable, match=r"answered 401: .*give a token or user that may write"):
            await store.write([at(0, a=1.0)])

    async def within(store: Store) -> None:
        with pytest.raises(StoreUnavailable, match="database not found"):
            await store.write([at(0, a=1.0)])

    run(InfluxStore(guarded.target("iot"), clock_ns=lambda: NOON), without)
    run(admin, within)


@pytest.mark.parametrize("gzip", [True, False])
def test_victoria_metrics_takes_numbers_and_refuses_the_rest_aloud(tmp_path: Path, gzip: bool) -> None:  # noqa: FBT001
    with VictoriaMetrics(tmp_path / "vm") as server:
        target = Target(Access(server.url, gzip=gzip), "iot")

        async def body(store: Store) -> None:
            result = await store.write([at(0, a=1.5, b=True, s="text"), at(1, a=2.5), line(0, "x")])
            assert result.accepted == 3
            assert [(refused.index, refused.whole) for refused in result.rejected] == [(0, False), (2, True)]
            assert all("numbers and booleans alone" in refused.reason for refused in result.rejected)
            assert [each.value for each in await store.last(ALL)] == [2.5, True]
            with pytest.raises(StoreUnavailable, match="VictoriaMetrics cannot be asked"):
                await store.query(Query(ALL, 0, 2**62))

        run(InfluxStore(target, clock_ns=lambda: NOON), body)
        ms = NOON // 1_000_000
        assert server.exported("room_a") == {"dev1": {ms: 1.5, ms + 1000: 2.5}}
        assert server.exported("room_b") == {"dev1": {ms: 1.0}}


def test_readers_and_a_writer_of_the_hub_share_one_store(influxd: Influxd) -> None:
    async def body(store: Store) -> None:
        async with asyncio.TaskGroup() as group:
            for i in range(20):
                group.create_task(store.write([at(i, a=float(i))]))
                group.create_task(store.query(Query(ALL, 0, 2**62)))
        assert len((await samples(store))["a"]) == 20

    run(opened(influxd, influxd.create()), body)
