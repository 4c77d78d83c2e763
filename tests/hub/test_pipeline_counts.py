"""What the pipeline counts: stored, duplicate, refused and handled are all there is."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.nodes.database import RegistryError
from hub.rejects import RejectState
from hub.statefile import StateUnavailable
from hub.store.base import Rejected, StoreUnavailable, WriteResult
from tests.support.hotpath import NOW_MS, NOW_NS, Sent, status, telemetry, timed
from tests.support.links import collect, connected, pub, run
from tests.support.mosquitto import Mosquitto
from tests.support.pipelines import Bench
from tests.support.stores import ALL
from tests.support.waiting import eventually
from wire.errors import Reason
from wire.point import NS_PER_S


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon, so that several attempts fit into a test."""
    monkeypatch.setattr("hub.pipeline._RETRY_FIRST_S", 0.005)
    monkeypatch.setattr("hub.pipeline._RETRY_LAST_S", 0.02)


# -- what the store says ----------------------------------------------------------------------------------------------


def test_what_was_stored_before_is_a_duplicate_and_a_message_with_anything_new_is_not(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.link.deliver(timed(1))
            await bench.done(1)
            both = telemetry([{"ts": NOW_MS, "values": {"a": 1}}, {"ts": NOW_MS - 1, "values": {"a": 1}}])
            bench.link.deliver(timed(1), both, both, timed(1, node="n2"))
            await bench.done(2)
            assert bench.counted() == {"received": 5, "stored": 3, "duplicate": 2}
            assert bench.ledger.rows("n1")[0].duplicate == 2

    run(test)


def test_what_the_store_refuses_goes_to_the_rejects_and_is_acknowledged(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.store.change = lambda result: WriteResult(
                result.accepted,
                (),
                (Rejected(0, "no such table"), Rejected(2, "bad b", whole=False), Rejected(3, "no")),
            )
            pair = telemetry([{"ts": NOW_MS - 5, "values": {"a": 1}}, {"ts": NOW_MS - 6, "values": {"a": 1}}])
            bench.link.deliver(timed(1, ago_ms=1), timed(2, ago_ms=2), timed(3, ago_ms=3), pair)
            await bench.done(1)
            rejects = await bench.rejects.list(state=RejectState.KEPT)
            assert [(r.detail, r.partial, r.reason) for r in reversed(rejects)] == [
                ("no such table", False, Reason.STORE_REFUSED),
                ("bad b", True, Reason.STORE_REFUSED),
                ("no", True, Reason.STORE_REFUSED),
            ]
            assert {r.arrival_ns for r in rejects} == {bench.rig.clock()}
            assert bench.counted() == {
                "received": 4, "stored": 3, "refused": {"store-refused": 1}, "values_refused": {"store-refused": 2},
            }  # fmt: skip
            ((_, duplicates, lost),) = bench.followed
            assert (duplicates, lost) == (set(), {0})

    run(test)


# -- figures ----------------------------------------------------------------------------------------------------------


def test_figures_tell_how_long_the_oldest_message_waits_and_when_data_was_stored_last(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            pipeline, clock = bench.pipeline, bench.rig.clock
            assert (pipeline.waiting_s(clock.ns), pipeline.data_ns) == (0.0, 0)
            bench.store.gate.clear()
            bench.link.deliver(telemetry({"a": 1}))
            await eventually(lambda: bench.store.tried)
            clock.ns += 5 * NS_PER_S
            assert pipeline.waiting_s(clock.ns) == 5.0
            bench.store.gate.set()
            await bench.done(1)
            await eventually(lambda: bench.followed)
            assert (pipeline.waiting_s(clock.ns), pipeline.data_ns) == (0.0, NOW_NS + 5 * NS_PER_S)
            clock.ns += NS_PER_S
            bench.link.deliver(telemetry(b"junk"), status("online"))
            await bench.done(2)
            await eventually(lambda: len(bench.followed) == 2)
            assert pipeline.data_ns == NOW_NS + 5 * NS_PER_S
            assert pipeline.recent == (1, 2)

    run(test)


# -- whatever comes ---------------------------------------------------------------------------------------------------

_messages = st.one_of(
    st.builds(timed, st.sampled_from([1, "x", True, float("nan")]), ago_ms=st.integers(0, 3)),
    st.builds(timed, st.just(1), ago_ms=st.integers(0, 2), node=st.just("n2")),
    st.builds(telemetry, st.sampled_from([{"a": 1}, b"junk", {"a": [1, None]}, [{"a": 1}, 2]]), retain=st.booleans()),
    st.builds(status, st.sampled_from(["online", "offline", "sideways"])),
    st.sampled_from([Sent("junk", b""), Sent("iot/v1/n1/cmd/x", b""), Sent("$SYS/x", b"1")]),
)


@settings(max_examples=40)
@given(
    st.lists(st.lists(_messages, min_size=1, max_size=5), max_size=6),
    st.sets(st.integers(0, 8)),
    st.lists(st.sampled_from(["store", "ledger", "rejects", "registry"]), max_size=4),
)
def test_received_is_stored_and_refused_and_duplicate_and_handled(
    batches: list[list[Sent]], refused_by_store: set[int], failures: list[str]
) -> None:
    async def test(folder: Path) -> None:
        async with Bench(folder) as bench:
            error = {"store": StoreUnavailable("x"), "registry": RegistryError("x")}
            for name in failures:
                bench.fail(name, error.get(name, StateUnavailable("x")))
            bench.store.change = lambda result: WriteResult(
                result.accepted,
                tuple(i for i in result.duplicates if i not in refused_by_store),
                tuple(Rejected(i, "no") for i in sorted(refused_by_store) if i < len(bench.store.tried[-1])),
            )
            delivered = []
            for batch in batches:
                delivered.append(bench.link.deliver(*batch))
                await asyncio.sleep(0)
            await bench.stop()
            totals = bench.ledger.totals()
            assert bench.link.acknowledged == delivered
            assert totals.received == sum(map(len, batches))
            assert totals.unaccounted == 0
            partial = [r for r in await bench.rejects.list(limit=1000) if r.partial]
            assert sum(totals.refused.values()) + len(partial) == bench.rejects.stats().kept
            assert all(row.unaccounted == 0 for row in bench.ledger.rows())
            assert f"iothub_messages_received_total {float(totals.received)}" in bench.rig.metrics.text().decode()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(test(Path(folder)))


def test_from_broker_to_store_each_message_is_acknowledged_once_and_does_not_come_again(tmp_path: Path) -> None:
    async def test() -> None:
        with Mosquitto(tmp_path / "mosquitto") as broker:
            async with connected(broker.port, "iot/v1/#") as link:
                bench = Bench(tmp_path, linger_s=0.01)
                bench.pipeline._link = link
                bench.rig.clock.ns = NOW_NS
                async with bench:
                    good = [b'{"ts":%d,"values":{"a":%d}}' % (NOW_MS - i, i) for i in range(2000)]
                    await pub(broker.port, "iot/v1/n1/telemetry/room", [*good, *good[:100], *[b"junk"] * 50])
                    await eventually(lambda: bench.ledger.totals().received == 2150)
                    assert bench.counted() == {
                        "received": 2150, "stored": 2000, "duplicate": 100, "refused": {"not-json": 50},
                    }  # fmt: skip
                    assert [(s.field, s.first_ns) for s in await bench.store.series(ALL)] == [
                        ("a", (NOW_MS - 1999) * 1_000_000)
                    ]
                assert link.in_flight_messages == 0
            async with connected(broker.port, "iot/v1/#") as link:
                await pub(broker.port, "iot/v1/end", [b"end"])
                assert [m.payload for m in await collect(link, 1)] == [b"end"]

    run(test)
