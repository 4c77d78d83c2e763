"""The hub's own status on MQTT, and tasks that go on when what they need fails for a while."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from hub.background import HubStatus, maintain, tick
from hub.nodes.database import RegistryError
from hub.nodes.model import Contact
from hub.statefile import StateUnavailable
from hub.store.base import StoreUnavailable
from tests.support.hotpath import Clock, Rig, status
from tests.support.links import collect, connected, make_link, run, running
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually
from wire.point import NS_PER_S
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

    from hub.link import Link

TOPIC = "iot/v1/$hub/h1/status"


@asynccontextmanager
async def task(work: Coroutine[Any, Any, Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """Work that goes on while the body runs."""
    made = asyncio.create_task(work)
    try:
        yield made
        assert not made.done(), made
    finally:
        made.cancel()
        await asyncio.wait({made})


def ticked(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The times of the ticks that are done."""
    look, ticks = rig.controls.tick, list[int]()

    async def noted(now_ns: int, *, connected: bool) -> None:
        await look(now_ns, connected=connected)
        ticks.append(now_ns)

    monkeypatch.setattr(rig.controls, "tick", noted)
    return ticks


async def states(watcher: Link, count: int) -> list[tuple[str, str | None]]:
    told = [json.loads(m.payload) for m in await collect(watcher, count) if m.topic == TOPIC]
    return [(each["state"], each.get("reason")) for each in told]


def test_the_hub_says_that_it_is_there_at_every_connect_and_when_it_goes(tmp_path: Path) -> None:
    async def test() -> None:
        with Mosquitto(tmp_path) as broker:
            said = HubStatus("h1", Topics())
            async with connected(broker.port, TOPIC, client_id="watcher") as watcher:
                link = make_link(broker.port, will=said.will(), on_connect=said.online.set)
                async with running(link), task(said.keep_said(link)):
                    assert await states(watcher, 1) == [("online", None)]
                    assert link._connection is not None
                    link._connection.transport.abort()
                    assert await states(watcher, 2) == [("offline", "connection lost"), ("online", None)]
                    await said.say_offline(link)
                    assert await states(watcher, 1) == [("offline", "shutdown")]

    run(test)


def test_a_status_that_cannot_be_said_is_said_at_the_next_connect() -> None:
    async def test() -> None:
        said = HubStatus("h1", Topics())
        said.online.set()
        async with task(said.keep_said(make_link(1))):
            await eventually(lambda: not said.online.is_set())
        await said.say_offline(make_link(1))

    run(test)


def test_the_ticker_goes_on_when_the_registry_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.background._TICK_S", 0.001)

    async def test() -> None:
        rig = Rig()
        rig.registry.errors = [RegistryError("locked")]
        group = rig.decode(status("online"))
        rig.controls.observe(group.controls, (), rig.clock.ns)
        with capture_logs() as logs:
            async with task(tick(rig.controls, make_link(1))):
                await eventually(lambda: rig.announced)
        assert [entry["why"] for entry in logs] == ["locked"]

    run(test)


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_is_set_by_hours_makes_no_node_silent_and_the_store_not_late(
    monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    monkeypatch.setattr("hub.background._TICK_S", 0.001)

    async def test() -> None:
        rig, link, steady, moved = Rig(), make_link(1), Clock(0), list[int]()
        ticks = ticked(rig, monkeypatch)
        link.connected.set()
        rig.controls.observe((), ["n1"], rig.clock.ns)
        with capture_logs() as logs:
            async with task(tick(rig.controls, link, moved.append, clock_ns=rig.clock, steady_ns=steady)):
                await eventually(lambda: ticks)
                rig.clock.ns += hours * 3600 * NS_PER_S
                await eventually(lambda: ticks[-1] == rig.clock.ns)
                assert rig.presence.contact("n1") is Contact.ONLINE
                for _ in range(24):  # by the new clock it is silent in its time
                    rig.clock.ns, steady.ns = rig.clock.ns + 4 * NS_PER_S, steady.ns + 4 * NS_PER_S
                    await eventually(lambda: ticks[-1] == rig.clock.ns)
                assert rig.presence.contact("n1") is Contact.SILENT
        assert moved == [hours * 3600 * NS_PER_S]
        assert [entry["by_s"] for entry in logs if "by_s" in entry] == [hours * 3600.0]

    run(test)


def test_a_process_that_stood_still_takes_that_for_nobodys_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.background._TICK_S", 0.001)

    async def test() -> None:
        rig, link, steady = Rig(), make_link(1), Clock(0)
        link.connected.set()
        ticks = ticked(rig, monkeypatch)
        rig.controls.observe((), ["n1"], rig.clock.ns)
        async with task(tick(rig.controls, link, clock_ns=rig.clock, steady_ns=steady)):
            await eventually(lambda: ticks)
            rig.clock.ns, steady.ns = rig.clock.ns + 600 * NS_PER_S, 600 * NS_PER_S
            await eventually(lambda: ticks[-1] == rig.clock.ns)
        assert rig.presence.contact("n1") is Contact.ONLINE

    run(test)


@pytest.mark.parametrize(
    "error", [StoreUnavailable("disk full"), RegistryError("disk full"), StateUnavailable("disk full")]
)
def test_maintenance_goes_on_when_it_fails(error: Exception) -> None:
    class Maintained:
        def __init__(self, *errors: Exception) -> None:
            self.errors = list(errors)
            self.times = 0

        async def maintain(self, now_ns: int) -> None:
            assert now_ns > 0
            self.times += 1
            if self.errors:
                raise self.errors.pop(0)

    async def test() -> None:
        store = Maintained(*([error] if isinstance(error, StoreUnavailable) else []))
        registry = Maintained(*([error] if isinstance(error, RegistryError) else []))
        ledger = Maintained(*([error] if isinstance(error, StateUnavailable) else []))
        with capture_logs() as logs:
            async with task(maintain(store, registry, ledger, 0.001)):  # type: ignore[arg-type]  # as much as it needs
                await eventually(lambda: ledger.times >= 2)
        assert [entry["why"] for entry in logs] == ["disk full"]

    run(test)
