from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.opened import Opened, Witness

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """One broker on the network for all tests of a file, which must not disturb each other."""
    with Opened(tmp_path_factory.mktemp("opened")) as running:
        yield running


@pytest.fixture
def witness(opened: Opened) -> Iterator[Witness]:
    """What the hub records."""
    with Witness(opened) as watching:
        yield watching
