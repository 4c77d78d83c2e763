"""Health names the first link of the chain that does not hold."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hub.health import chain
from hub.store.base import StoreUnavailable
from tests.support.hotpath import NOW_NS, status, telemetry
from tests.support.links import make_link, run
from tests.support.pipelines import Bench
from tests.support.waiting import eventually
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from pathlib import Path

    from hub.api.parts import Health
    from hub.link import Link


def look(bench: Bench, link: Link) -> Health:
    return chain(link, bench.pipeline, bench.rig.presence, bench.rig.watch, bench.rig.clock.ns)


def details(health: Health) -> dict[str, str]:
    """What is said of the links that do not hold."""
    return {link.name: link.detail for link in health.links if not link.ok}


def up() -> Link:
    link = make_link(1)
    link.connected.set()
    return link


def test_the_chain_is_told_from_its_first_link_to_its_last(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            health = look(bench, up())
            assert [link.name for link in health.links] == ["nodes", "broker", "link", "decoder", "store"]
            assert details(health) == {}
            assert health.links[0].detail == "no node has been heard yet"

    run(test)


def test_without_a_broker_it_says_why(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            link = make_link(1)
            link.trouble = "connection refused"
            assert details(look(bench, link)) == {"broker": "no connection: connection refused"}

    run(test)


def test_a_broker_that_dropped_messages_is_no_broker_to_rely_on(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            for figure in (b"100", b"100", b"107"):
                bench.rig.watch.observe("$SYS/broker/publish/messages/dropped", figure)
            assert details(look(bench, up()))["broker"].startswith("connected, but it dropped 7 messages")

    run(test)


def test_a_broker_that_will_soon_drop_messages_is_told_while_nothing_is_lost(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            watch = bench.rig.watch
            watch.observe("$SYS/broker/store/messages/count", b"800")
            assert details(look(bench, up())) == {}, "how many it has room for is not known"
            watch.room = 1000
            assert details(look(bench, up()))["broker"].startswith(
                "connected, but it holds 800 messages, and drops those above 1000 of one client"
            )
            watch.observe("$SYS/broker/store/messages/count", b"799")
            assert details(look(bench, up())) == {}

    run(test)


def test_nodes_that_are_all_gone_are_told(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.link.deliver(status("online"), status("online", node="n2"), status("offline"))
            await bench.done(1)
            assert details(look(bench, up())) == {}
            bench.link.deliver(status("offline", node="n2"))
            await bench.done(2)
            assert details(look(bench, up())) == {"nodes": "0 of 2 nodes online"}

    run(test)


def test_a_store_that_fails_is_told_and_a_group_that_is_stuck_too(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.fail("store", *[StoreUnavailable("disk full")] * 1000)
            bench.link.deliver(telemetry({"a": 1}))
            await eventually(lambda: bench.pipeline.trouble)
            assert details(look(bench, up())) == {"store": "disk full"}
            bench.rig.clock.ns += 31 * NS_PER_S
            assert set(details(look(bench, up()))) == {"link", "store"}
            bench.mend()
            await bench.done(1)
            await asyncio.sleep(0)
            assert details(look(bench, up())) == {}

    run(test)


def test_nodes_online_and_nothing_stored_for_long_is_a_broken_chain(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.rig.clock.ns += 301 * NS_PER_S
            assert details(look(bench, up())) == {}, "there is nobody who could send anything"
            bench.rig.clock.ns = NOW_NS
            bench.link.deliver(telemetry({"a": 1}))
            await bench.done(1)
            await eventually(lambda: bench.pipeline.data_ns)
            bench.rig.clock.ns += 299 * NS_PER_S
            assert details(look(bench, up())) == {}
            bench.rig.clock.ns += 2 * NS_PER_S
            assert details(look(bench, up())) == {"store": "last stored 301 s ago, though 1 nodes are online"}

    run(test)


def test_a_clock_that_is_set_makes_nothing_older_or_newer_than_it_is(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.link.deliver(telemetry({"a": 1}))
            await bench.done(1)
            await eventually(lambda: bench.pipeline.data_ns)
            for hours in (5, -10):
                bench.rig.clock.ns += hours * 3600 * NS_PER_S
                bench.pipeline.clock_moved(hours * 3600 * NS_PER_S)
                assert look(bench, up()).links[-1].detail == "last stored 0 s ago"
            bench.rig.clock.ns += 301 * NS_PER_S
            assert details(look(bench, up())) == {"store": "last stored 301 s ago, though 1 nodes are online"}

    run(test)


def test_when_most_messages_are_refused_the_decoder_is_to_blame(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            bench.link.deliver(telemetry(b"junk"), telemetry({"a": 1}))
            await bench.done(1)
            await eventually(lambda: len(bench.followed) == 1)
            assert details(look(bench, up())) == {}
            bench.link.deliver(telemetry(b"junk"))
            await bench.done(2)
            await eventually(lambda: len(bench.followed) == 2)
            told = details(look(bench, up()))
            assert told == {"decoder": "2 of the last 3 messages were refused; `iothub rejects list` says why"}
            bench.link.deliver(*(telemetry({"a": i}) for i in range(5)))
            await bench.done(3)
            await eventually(lambda: len(bench.followed) == 3)
            assert details(look(bench, up())) == {}

    run(test)
