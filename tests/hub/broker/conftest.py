from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.secured import Secured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Secured]:
    """A managed broker that runs, with accounts of its own for each test."""
    with Secured(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One for all tests of a file, which must not disturb each other."""
    with Secured(tmp_path_factory.mktemp("broker")) as running:
        yield running
