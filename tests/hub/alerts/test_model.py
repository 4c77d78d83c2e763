"""What a silence covers."""

from __future__ import annotations

import pytest

from hub.alerts.model import Silence, silence_of
from tests.support.alerting import T0, S
from tests.support.notifying import firing


def silence(number: int = 1, rule: str = "room-*", node: str = "boiler-?", lasts_s: int = 60) -> Silence:
    return Silence(
        id=number, rule=rule, node=node, starts_ns=T0, ends_ns=T0 + lasts_s * S, by="jo", why="", created_ns=T0
    )


@pytest.mark.parametrize(
    ("rule", "node", "second", "covered"),
    [
        ("room-hot", "boiler-1", 0, True),
        ("room-hot", "boiler-1", 59, True),
        ("room-hot", "boiler-1", 60, False),
        ("room-hot", "boiler-1", -1, False),
        ("room-hot", "boiler-12", 0, False),
        ("room-hot", "pump-1", 0, False),
        ("disk-full", "boiler-1", 0, False),
    ],
)
def test_a_silence_covers_its_rules_on_its_nodes_in_its_time(rule: str, node: str, second: int, covered: bool) -> None:  # noqa: FBT001  a column
    assert silence().covers(rule, node, T0 + second * S) is covered


def test_of_several_silences_the_one_that_lasts_longest_says_until_when() -> None:
    several = [silence(1), silence(2, lasts_s=600), silence(3, node="pump", lasts_s=6000)]
    alert = firing(1, node="boiler-1", rule="room-hot")
    found = silence_of(several, alert, T0)
    assert found is not None
    assert found.id == 2
    assert silence_of(several, alert, T0 + 600 * S) is None
