from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.influx import Influxd

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """One server for all tests, each of which uses databases of its own."""
    with Influxd(tmp_path_factory.mktemp("influxd")) as server:
        yield server


@pytest.fixture
def influxd1(influxd: Influxd) -> Influxd:
    """The same, for what only 1.x has."""
    if influxd.generation > 1:
        pytest.skip("1.x alone")
    return influxd
