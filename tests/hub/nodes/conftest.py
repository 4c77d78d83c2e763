from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher

from hub.nodes.database import sqlite_url
from hub.nodes.registry import Registry
from hub.paths import StatePaths

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

#: Hashes for tests: as cheap as the library allows.
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    made = StatePaths(tmp_path / "state")
    made.make()
    return made


@pytest.fixture
def opened(paths: StatePaths) -> Callable[[], AbstractAsyncContextManager[Registry]]:
    """Opens the registry of this test's state directory; may be called again after it was closed."""

    def open_() -> AbstractAsyncContextManager[Registry]:
        return Registry(sqlite_url(paths.registry), hasher=CHEAP)

    return open_
