"""The engine over restarts: the state file, what the store has beyond it, what the registry has open."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any

import structlog

from hub.alerts.memory import RuleMemory
from hub.rules.engine import Engine
from hub.rules.statefile import NAME
from hub.store.base import SeriesFilter, StoreUnavailable
from hub.store.memory import MemoryStore
from tests.support.notifying import firing
from tests.support.rules import at, point, rules, short
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from hub.alerts.model import Alert
    from hub.store.base import Last

HOT: dict[str, Any] = {"metric": "room.temperature", "above": 30}


class Deaf(MemoryStore):
    """A store that does not answer."""

    async def last(self, chosen: SeriesFilter) -> list[Last]:
        raise StoreUnavailable(f"no database for {chosen}")


async def saved(folder: Path, second: float, *samples: tuple[float, float], rule: dict[str, Any] = HOT) -> None:
    """A hub that took ``samples``, saved at ``second`` and was killed."""
    engine = Engine(rules(hot=rule))
    for when, value in samples:
        engine.observe([point(when, value)], at(when))
    memory = RuleMemory(engine, MemoryStore(), folder, 10)
    await memory.save()
    os.utime(folder / NAME, ns=(at(second), at(second)))


async def resumed(
    folder: Path, second: float, store: MemoryStore, *opened: Alert, rule: dict[str, Any] = HOT
) -> tuple[Engine, list[str]]:
    engine = Engine(rules(hot=rule))
    events = await RuleMemory(engine, store, folder, 10).resume(opened, at(second))
    return engine, [short(event) for event in events]


def open_alert() -> Alert:
    return firing(1, node="n1", rule="hot", key=point(0, 0.0).key, started_ns=at(0), fired_ns=at(0))


def test_a_hub_that_is_new_begins_with_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with MemoryStore(clock_ns=lambda: at(10)) as store:
            await store.write([point(0, 99.0)])
            assert (await resumed(tmp_path, 10, store))[1] == [], "history alone is no alert"

    asyncio.run(scenario())


def test_a_timer_goes_on_from_the_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        rule = HOT | {"for": "60s"}
        await saved(tmp_path, 1, (0, 31.0), rule=rule)
        async with MemoryStore(clock_ns=lambda: at(10)) as store:
            engine, said = await resumed(tmp_path, 30, store, rule=rule)
        assert said == ["pending warning @0"], "nobody but the engine remembers what is pending"
        assert engine.tick(at(59)) == []
        assert [short(event) for event in engine.tick(at(60))] == ["firing warning @60"]

    asyncio.run(scenario())


def test_what_was_stored_and_not_saved_before_the_crash_is_taken_in(tmp_path: Path) -> None:
    async def scenario() -> None:
        await saved(tmp_path, 1, (0, 20.0))
        async with MemoryStore(clock_ns=lambda: at(10)) as store:
            await store.write([point(5, 40.0)])
            assert set((await resumed(tmp_path, 10, store))[1]) == {"firing warning @5"}

    asyncio.run(scenario())


def test_what_was_stored_before_the_file_was_saved_is_not_taken_twice(tmp_path: Path) -> None:
    async def scenario() -> None:
        # Of another rule's making: the engine never took it, the store has it from before.
        await saved(tmp_path, 6)
        async with MemoryStore(clock_ns=lambda: at(10)) as store:
            await store.write([point(5, 40.0)])
            assert (await resumed(tmp_path, 10, store))[1] == []

    asyncio.run(scenario())


def test_an_alert_that_only_the_registry_knows_goes_on_and_ends_with_the_next_clear_sample(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with MemoryStore(clock_ns=lambda: at(10)) as store:
            engine, said = await resumed(tmp_path, 10, store, open_alert())
        assert said == []
        assert [short(event) for event in engine.observe([point(11, 20.0)], at(11))] == ["resolved warning @11"]

    asyncio.run(scenario())


def test_a_rule_that_was_changed_meanwhile_fires_anew_by_what_it_asks_now(tmp_path: Path) -> None:
    async def scenario() -> None:
        await saved(tmp_path, 1, (0, 31.0))
        async with MemoryStore(clock_ns=lambda: at(10)) as store:
            engine, said = await resumed(tmp_path, 10, store, open_alert(), rule=HOT | {"above": 30.5})
        assert said == ["resolved warning @10"]
        assert [short(event) for event in engine.observe([point(11, 31.0)], at(11))] == ["firing warning @11"]

    asyncio.run(scenario())


def test_an_alert_that_ended_by_what_was_stored_last_can_fire_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        await saved(tmp_path, 1, (0, 31.0))
        async with MemoryStore(clock_ns=lambda: at(10)) as store:
            await store.write([point(5, 20.0)])
            engine, said = await resumed(tmp_path, 10, store, open_alert())
        assert said == ["resolved warning @5"]
        assert [short(event) for event in engine.observe([point(11, 31.0)], at(11))] == ["firing warning @11"]

    asyncio.run(scenario())


def test_a_store_that_does_not_answer_holds_up_nothing_and_is_said(tmp_path: Path) -> None:
    async def scenario() -> None:
        await saved(tmp_path, 1, (0, 31.0))
        with structlog.testing.capture_logs() as log:
            engine, said = await resumed(tmp_path, 10, Deaf())
        assert said == ["firing warning @0"]
        assert [entry["log_level"] for entry in log] == ["warning"]
        assert "no database" in log[0]["why"]
        assert engine.observe([point(11, 31.0)], at(11)) == []

    asyncio.run(scenario())


def test_a_change_is_saved_soon_and_not_at_the_next_turn_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = Engine(rules(hot=HOT))
        memory = RuleMemory(engine, MemoryStore(), tmp_path, 3600)
        work = asyncio.create_task(memory.run())
        engine.observe([point(0, 31.0)], at(0))
        memory.changed.set()
        await eventually(lambda: any(tmp_path.glob("*.msgpack")), what="the file")
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        _, said = await resumed(tmp_path, 10, MemoryStore())
        assert said == ["firing warning @0"]

    asyncio.run(scenario())
