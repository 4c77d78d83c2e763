"""A rule over stored history says what it would have said live."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hub.rules import backtest as module
from hub.rules.backtest import Backtest, BacktestError, backtest
from hub.rules.events import Severity
from hub.rules.model import Rule
from hub.store.duck import DuckStore
from hub.store.influx import InfluxStore
from hub.store.memory import MemoryStore
from tests.support.influx import Influxd
from tests.support.rules import T0_NS, at, point
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.store.base import Store
    from wire.point import Point

HOT = Rule.model_validate({"metric": "room.temperature", "above": {"warning": 30, "critical": 40}, "for": "60s"})


def clock() -> int:
    return at(86_400)


@pytest.fixture(scope="module")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    with Influxd(tmp_path_factory.mktemp("influxd")) as server:
        yield server


@pytest.fixture(params=["memory", "duck", "influx"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "influx":
        server: Influxd = request.getfixturevalue("influxd")
        return InfluxStore(server.target(server.create()), clock_ns=clock)
    if request.param == "memory":
        return MemoryStore(clock_ns=clock)
    return DuckStore(tmp_path / "t.duckdb", clock_ns=clock)


def run(store: Store, points: list[Point], rule: Rule, *span: float, node: str | None = None) -> Backtest:
    async def body() -> Backtest:
        async with store:
            await store.write(points)
            return await backtest(store, "hot", rule, start_ns=at(span[0]), stop_ns=at(span[1]), node=node)

    return asyncio.run(body())


def spans(found: Backtest) -> list[tuple[float, float | None, Severity]]:
    return [
        (
            (each.start_ns - T0_NS) / NS_PER_S,
            None if each.stop_ns is None else (each.stop_ns - T0_NS) / NS_PER_S,
            each.severity,
        )
        for each in found.intervals.kept
    ]


#: Hot from 600 s to 1,200 s, very hot for a while, a short peak at 3,000 s, hot from 7,200 s on.
HISTORY = [
    *(point(second, 20.0) for second in range(0, 600, 30)),
    *(point(second, 45.0 if 800 <= second < 900 else 31.0) for second in range(600, 1200, 30)),
    *(point(second, 31.0 if second == 3000 else 20.0) for second in range(1200, 7200, 30)),
    *(point(second, 31.0) for second in range(7200, 7600, 30)),
]


def test_how_often_when_and_how_long_it_would_have_fired(store: Store) -> None:
    found = run(store, HISTORY, HOT, 0, 7600)
    assert spans(found) == [(660, 1200, Severity.CRITICAL), (7260, None, Severity.WARNING)]
    assert found.samples == len(HISTORY)
    assert found.intervals.fired.total() == 2
    assert found.intervals.firing_ns.total() == (540 + 340) * NS_PER_S
    assert found.intervals.cancelled == 1


def test_small_slices_say_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 7)
    assert spans(run(store, HISTORY, HOT, 0, 7600)) == [
        (660, 1200, Severity.CRITICAL),
        (7260, None, Severity.WARNING),
    ]


def test_what_fired_before_the_range_is_cut_at_its_start(store: Store) -> None:
    found = run(store, HISTORY, HOT, 700, 1000)
    assert spans(found) == [(700, None, Severity.CRITICAL)]
    assert found.intervals.firing_ns.total() == 300 * NS_PER_S


def test_a_disabled_rule_and_other_nodes_can_be_chosen(store: Store) -> None:
    rule = HOT.model_copy(update={"enabled": False})
    points = [*HISTORY, *(point(second, 50.0, node="n2") for second in range(0, 600, 30))]
    found = run(store, points, rule, 0, 2000, node="n2")
    assert [each.subject.node for each in found.intervals.kept] == ["n2"]


def test_booleans_texts_and_joined_rules_work_over_history(store: Store) -> None:
    rule = Rule.model_validate(
        {"all": [{"metric": "room.door", "equals": True}, {"metric": "room.mode", "equals": ["heat", "cool"]}]}
    )
    points = [
        point(0, value=False, name="room.door"),
        point(1, "heat", "room.mode"),
        point(10, value=True, name="room.door"),
        point(20, "off", "room.mode"),
    ]
    assert spans(run(store, points, rule, 0, 100)) == [(10, 20, Severity.WARNING)]


def test_absence_is_found_between_samples(store: Store) -> None:
    rule = Rule.model_validate({"metric": "room.temperature", "absent": "100s"})
    points = [point(0, 1.0), point(50, 1.0), point(400, 1.0)]
    assert spans(run(store, points, rule, 0, 450)) == [(150, 400, Severity.WARNING)]


def test_what_the_hub_says_of_itself_has_no_history() -> None:
    rule = Rule.model_validate({"metric": "$node.state", "equals": "silent"})
    with pytest.raises(BacktestError, match="not stored"):
        run(MemoryStore(clock_ns=clock), [], rule, 0, 1)
