from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from hub.store.duck import DuckStore
from hub.store.influx import InfluxStore
from hub.store.memory import MemoryStore
from tests.support.influx import Influxd
from tests.support.stores import NOON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hub.store.base import Store
    from hub.store.partition import Retention

    Clock = Callable[[], int]


class Opener(Protocol):
    """Makes a store that is not open yet; the same one again where it keeps its data outside the process."""

    def __call__(self, *, retention: Retention | None = None, now_ns: int | Clock = NOON) -> Store: ...


def as_clock(now_ns: int | Clock) -> Clock:
    """A clock that stands still, or the one given."""
    if isinstance(now_ns, int):
        return lambda: now_ns
    return now_ns


@pytest.fixture
def duck(tmp_path: Path) -> Opener:
    def open_(*, retention: Retention | None = None, now_ns: int | Clock = NOON) -> Store:
        return DuckStore(tmp_path / "tsdb.duckdb", retention=retention, threads=1, clock_ns=as_clock(now_ns))

    return open_


@pytest.fixture
def memory() -> Opener:
    def open_(*, retention: Retention | None = None, now_ns: int | Clock = NOON) -> Store:
        return MemoryStore(retention=retention, clock_ns=as_clock(now_ns))

    return open_


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """One server for all tests, each of which uses a database of its own."""
    with Influxd(tmp_path_factory.mktemp("influxd")) as server:
        yield server


@pytest.fixture
def influx(influxd: Influxd) -> Opener:
    target = influxd.target(influxd.create())

    def open_(*, retention: Retention | None = None, now_ns: int | Clock = NOON) -> Store:
        return InfluxStore(target, retention=retention, clock_ns=as_clock(now_ns))

    return open_


#: Every store that keeps the contract of hub/store/base.py; a new one joins the whole suite by a line here.
@pytest.fixture(params=["memory", "duck", "influx"])
def make(request: pytest.FixtureRequest) -> Opener:
    found: Opener = request.getfixturevalue(request.param)
    return found
