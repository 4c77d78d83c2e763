"""Who was turned away is known after a restart, and what the broker logged meanwhile too."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from hub.config import Settings
from hub.denials import Denials
from hub.paths import StatePaths
from hub.turned_away import TurnedAway

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = Settings.model_validate({"broker": {"record_denied": True}})
REFUSED = "2026-11-22T03:00:00: Client <unknown> disconnected, not authorised."
DENIED = "2026-11-22T03:00:00: Denied PUBLISH from n1 (d0, q1, r0, m1, '{}', ... (1 bytes))\n"


class Hub:
    """One run of what keeps the denials."""

    def __init__(self, root: Path) -> None:
        self.paths = StatePaths(root)
        self.paths.make()
        self.kinds: Counter[str] = Counter()
        self.denials = Denials(lambda kind: self.kinds.update([kind]))
        self.keeper = TurnedAway(SETTINGS, self.paths, self.denials)

    def log(self, *topics: str) -> None:
        with (self.paths.logs / "mosquitto.log").open("a", encoding="utf-8") as file:
            file.writelines(DENIED.format(topic) for topic in topics)

    @property
    def topics(self) -> list[str]:
        return [each.topic for each in self.denials.newest]


def run(root: Path, *topics: str, refused: int = 0) -> Hub:
    hub = Hub(root)

    async def life() -> None:
        async with hub.keeper:
            hub.log(*topics)
            for _ in range(refused):
                hub.denials.observe(REFUSED.encode())
            await hub.keeper.step()

    asyncio.run(life())
    return hub


def test_both_kinds_outlive_the_hub_and_come_once(tmp_path: Path) -> None:
    assert run(tmp_path, "a", "b", refused=1).topics == ["", "a", "b"]
    later = run(tmp_path, "c")
    assert later.topics == ["", "a", "b", "c"]
    assert later.kinds == {"publish": 1}


def test_what_was_logged_while_the_hub_was_down_is_recorded(tmp_path: Path) -> None:
    run(tmp_path, "a")
    Hub(tmp_path).log("meanwhile")
    assert run(tmp_path).topics == ["a", "meanwhile"]


def test_the_newest_thousand_are_kept(tmp_path: Path) -> None:
    run(tmp_path, *map(str, range(900)))
    run(tmp_path, *map(str, range(900, 1800)))
    assert run(tmp_path).topics == [str(number) for number in range(800, 1800)]


def test_a_flood_is_counted_in_full(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    hub.denials.observe_file(b"2026-11-22T03:00:00: Denied SUBSCRIBE: 4711 more")
    assert hub.kinds == {"subscribe": 4711}
    assert hub.topics == []
