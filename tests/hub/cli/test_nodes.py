"""``iothub nodes show`` over the real API: how far the clock of a node is off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.api import running_api
from tests.support.commands import Commands

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("offset_s", "said"),
    [
        (3600.04, "about 3600.0 s ahead of the hub's"),
        (-12.5, "about 12.5 s behind the hub's"),
        (None, None),
    ],
)
def test_the_offset_of_a_nodes_clock_is_shown_where_it_is_known(
    tmp_path: Path, offset_s: float | None, said: str | None
) -> None:
    async def scenario() -> None:
        async with running_api(tmp_path, clock_offset_s=lambda node: offset_s if node == "dev1" else 7.0) as api:
            await api.parts.registry.declare("dev1")
            shown = (await Commands(tmp_path, api)("nodes", "show", "dev1")).out
            lines = [line.strip() for line in shown.splitlines() if line.strip().startswith("clock")]
            assert len(lines) == (said is not None)
            assert said is None or said in lines[0]

    asyncio.run(scenario())
