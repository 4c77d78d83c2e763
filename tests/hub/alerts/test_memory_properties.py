"""Whenever the hub is killed, and whatever rules it starts with again: engine and alerts agree on what fires."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.alerts.lifecycle import FlapLimits, Lifecycle
from hub.alerts.memory import RuleMemory
from hub.alerts.model import Alert, BrokenLink
from hub.rules.engine import Engine
from hub.rules.statefile import NAME
from hub.rules.tracks import Phase
from hub.store.memory import MemoryStore
from tests.support.rules import at, point, rules

if TYPE_CHECKING:
    from hub.rules.model import RuleSet
    from wire.point import Point

_RULES: dict[str, dict[str, Any]] = {
    "plain": {"metric": "room.temperature", "above": {"warning": 3, "critical": 6}, "clear": 2},
    "held": {"metric": "room.temperature", "above": 3, "for": "3s", "clear_for": "2s"},
    "mean": {"metric": "room.temperature", "above": 3, "window": {"fn": "mean", "over": "4s"}},
    "both": {"all": [{"metric": "room.temperature", "above": 3}, {"metric": "room.humidity", "above": 4}]},
    "either": {"any": [{"metric": "room.temperature", "above": 5}, {"metric": "room.humidity", "above": 4}]},
}
#: What each may have become meanwhile; None: it is gone.
_LATER: dict[str, list[dict[str, Any] | None]] = {
    name: [table, table | {"message": "new"}, table | {"clear_for": "1s"}, table | {"enabled": False}, None]
    for name, table in _RULES.items()
}
_SAMPLES = st.lists(
    st.tuples(st.sampled_from(["room.temperature", "room.humidity"]), st.integers(0, 8).map(float)), max_size=12
)


def lifecycle() -> Lifecycle:
    return Lifecycle(FlapLimits(changes=100), lambda _event: (BrokenLink.AGENT, ""))


def take(engine: Engine, life: Lifecycle, points: list[Point]) -> None:
    for each in points:
        for event in engine.tick(each.ts_ns) + engine.observe([each], each.ts_ns):
            life.apply(event)


def fires(engine: Engine) -> set[tuple[str, str]]:
    tracks = engine._tables.tracks.values()
    return {(track.ready.name, track.subject.series) for track in tracks if track.phase is Phase.FIRING}


def is_open(alerts: list[Alert]) -> set[tuple[str, str]]:
    return {(alert.rule, alert.series) for alert in alerts if alert.state.open}


@settings(max_examples=60)
@given(
    before=_SAMPLES,
    unsaved=_SAMPLES,
    later=st.fixed_dictionaries({name: st.sampled_from(choices) for name, choices in _LATER.items()}),
    after=_SAMPLES,
)
def test_engine_and_alerts_agree_after_a_crash(
    before: list[tuple[str, float]],
    unsaved: list[tuple[str, float]],
    later: dict[str, dict[str, Any] | None],
    after: list[tuple[str, float]],
) -> None:
    first, second, third = points(before, 0), points(unsaved, len(before)), points(after, 100)
    again = rules(**{name: table for name, table in later.items() if table is not None})

    async def scenario(folder: Path) -> None:
        engine, life = Engine(rules(**_RULES)), lifecycle()
        take(engine, life, first)
        await RuleMemory(engine, MemoryStore(), folder, 10).save()
        os.utime(folder / NAME, ns=(at(len(before)) - 1, at(len(before)) - 1))
        take(engine, life, second)
        await killed_and_started(folder, list(life.alerts), first + second, again, third)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))


async def killed_and_started(
    folder: Path, alerts: list[Alert], stored: list[Point], wanted: RuleSet, then: list[Point]
) -> None:
    engine, life = Engine(wanted), lifecycle()
    opened = [alert for alert in alerts if alert.state.open]  # what is pending the registry does not keep
    life.restore(opened, ())
    async with MemoryStore(clock_ns=lambda: at(50)) as store:
        await store.write(stored)
        for event in await RuleMemory(engine, store, folder, 10).resume(opened, at(50)):
            life.apply(event)
    assert is_open(list(life.alerts)) == fires(engine)
    take(engine, life, then)
    assert is_open(list(life.alerts)) == fires(engine)


def points(samples: list[tuple[str, float]], start_s: int) -> list[Point]:
    return [point(start_s + second, value, name) for second, (name, value) in enumerate(samples)]
