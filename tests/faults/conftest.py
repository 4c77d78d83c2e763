"""A broker and a hub for tests that break neither; each test uses nodes of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.faults import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Whatever the tests did: it is the same hub, it stops in order, and its ledger accounts for every message."""
    with Rig(tmp_path_factory.mktemp("rig"), settings={"IOTHUB_LIMITS__SERIES_PER_NODE": "50"}) as rig:
        first = rig.hub.process.pid
        yield rig
        assert rig.hub.process.pid == first
        rig.hub.stop()
        rig.balance()
