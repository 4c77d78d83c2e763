"""Which stores the settings make, and what is shown of their spools."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from hub.cli.doctor_store import unread
from hub.config import Settings, StoreSettings
from hub.guard import Guard, GuardLimits
from hub.health import _spool
from hub.metrics import Metrics
from hub.paths import StatePaths
from hub.sinks import Sinks, make_guard, make_sinks, remember_types, remember_types_if_there, spool_gauges
from hub.store.duck import DuckStore
from hub.store.fanout import FanOut
from hub.store.memory import MemoryStore
from hub.store.spool import Spool
from hub.store.spooled import SpooledStore
from tests.support.spools import KEY, ScriptedStore, away, batch
from tests.support.waiting import eventually
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hub.store.base import Rejected, Store

SINCE_NS = 1_763_769_600 * NS_PER_S


async def nobody(_refused: Sequence[tuple[Point, Rejected]]) -> None:
    raise AssertionError


async def nothing(_store: Store) -> None:
    return None


def made(folder: Path, **store: Any) -> Sinks:
    settings = Settings(store=StoreSettings(**store))
    return make_sinks(settings, StatePaths(folder), on_refused=nobody, on_reached=nothing)


def test_the_embedded_stores_alone_have_no_spool(tmp_path: Path) -> None:
    for kind, store in (("duck", DuckStore), ("memory", MemoryStore)):
        sinks = made(tmp_path, kind=kind)
        assert isinstance(sinks.store, store)
        assert sinks.spooled == ()


def test_influxdb_always_stands_behind_a_spool(tmp_path: Path) -> None:
    async def main() -> None:
        sinks = made(tmp_path, kind="influx", influx={"url": "http://127.0.0.1:9"})
        assert sinks.spooled == (sinks.store,)
        async with sinks.store as store:
            assert (await store.write(batch(0))).accepted == 9
        assert len(list((tmp_path / "spool" / "influx").glob("*.seg"))) == 1

    asyncio.run(main())


def test_each_of_several_stores_has_a_spool_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        sinks = made(tmp_path, kind="influx", also=["duck"])
        assert isinstance(sinks.store, FanOut)
        assert [spooled.name for spooled in sinks.spooled] == ["influx", "duck"]
        async with sinks.store:
            pass

    asyncio.run(main())


def test_types_are_shared_by_series_where_influxdb_is_among_the_stores() -> None:
    for store, shared in (({"kind": "duck"}, False), ({"kind": "influx"}, True), ({"also": ["influx"]}, True)):
        guard, point = make_guard(GuardLimits(), Settings(store=StoreSettings.model_validate(store))), batch(0)[0]
        guard.window(point.ts_ns)
        guard.check(Point(SeriesKey("other", KEY.measurement), point.ts_ns, {"n": "text"}))
        kept = guard.check(Point(KEY, point.ts_ns, {"n": 1.0})).point
        assert kept is not None
        assert kept.fields == ({"n_num": 1.0} if shared else {"n": 1.0})


@pytest.mark.parametrize("also", [["duck"], ["influx", "influx"]])
def test_a_store_named_twice_is_refused(also: list[str]) -> None:
    with pytest.raises(ValidationError, match="must name each store once"):
        StoreSettings.model_validate({"kind": "duck", "also": also})


def front(folder: Path, store: ScriptedStore, max_bytes: int = 1 << 20) -> SpooledStore:
    spool = Spool(folder / "spool", max_bytes=max_bytes, clock_ns=lambda: SINCE_NS)
    return SpooledStore(store, spool, name="influx", on_refused=nobody, retry_s=60, clock_ns=lambda: SINCE_NS)


def test_metrics_show_each_spool_and_health_says_since_when_and_why(tmp_path: Path) -> None:
    async def main() -> None:
        store, metrics = ScriptedStore(), Metrics()
        async with front(tmp_path, store) as spooled:
            spool_gauges(metrics, Sinks(spooled, (spooled,)))
            assert _spool(spooled, SINCE_NS).detail == ""
            assert b'iothub_spooling{store="influx"} 0.0' in metrics.text()
            store.error = away()
            await spooled.write(batch(0))
            text = metrics.text().decode()
            assert 'iothub_spooling{store="influx"} 1.0' in text
            assert f'iothub_spool_bytes{{store="influx"}} {float(spooled.spool_stats().size_bytes)}' in text
            assert 'iothub_spool_oldest_timestamp_seconds{store="influx"} 1.7637696e+09' in text
            link = _spool(spooled, SINCE_NS + 90 * NS_PER_S)
            assert link.ok
            assert link.detail == (
                "influx: storing to spool since 2025-11-22T00:00:00+00:00 (90 s): 0.0 MiB, 0.0 min of history, "
                "0% of the spool; connection refused"
            )
            assert "it is safe in the spool" in unread(link.detail)
            assert "it is safe in the spool" not in unread("last stored 1 s ago")

    asyncio.run(main())


def test_health_says_what_of_a_spool_could_not_be_read(tmp_path: Path) -> None:
    async def main() -> None:
        store = ScriptedStore()
        store.error = away()
        async with front(tmp_path, store) as spooled:
            await spooled.write(batch(0))
            await spooled.write(batch(3))
        (segment,) = (tmp_path / "spool").glob("*.seg")
        held = bytearray(segment.read_bytes())
        held[80] ^= 1  # in the first record
        segment.write_bytes(held)
        store.error = None
        async with front(tmp_path, store) as spooled:
            await eventually(lambda: not spooled.spool_stats().size_bytes, 60, "the rest is replayed")
            link = _spool(spooled, SINCE_NS)
        damaged = spooled.spool_stats().damaged_bytes
        assert damaged > 0
        assert link.detail == f"influx: {damaged} bytes of its spool could not be read and are kept there as *.damaged"
        assert segment.with_suffix(".damaged").read_bytes() == bytes(held)

    asyncio.run(main())


def test_a_spool_that_is_nearly_full_is_no_good_health(tmp_path: Path) -> None:
    async def main() -> None:
        store = ScriptedStore()
        store.error = away()
        async with front(tmp_path, store, max_bytes=815) as spooled:
            for number in (0, 3, 6, 9, 12):
                await spooled.write(batch(number))
            assert spooled.spool_stats().share > 0.9
            assert not _spool(spooled, SINCE_NS).ok

    asyncio.run(main())


def test_types_are_learnt_from_a_store_and_a_store_that_is_away_does_not_stop_the_start() -> None:
    class Away(ScriptedStore):
        def _reading(self) -> Store:
            raise away()

    async def main() -> None:
        guard, store = Guard(GuardLimits()), ScriptedStore()
        guard.window(batch(0)[0].ts_ns)
        await remember_types_if_there(guard, Sinks(Away(), ()))
        assert not guard.passes(batch(0)[0])
        async with store:
            await store.write(batch(0))
            await remember_types(guard, store)
        assert guard.passes(batch(1)[0])
        assert not guard.passes(Point(KEY, batch(1)[0].ts_ns, {"n": "text"}))

    asyncio.run(main())
