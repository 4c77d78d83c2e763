"""Whatever happens to alerts, each channel ends up knowing what is the case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hub.alerts.notify_model import Occasion
from hub.rules.events import Severity
from tests.support.notifying import acknowledged, firing, resolved
from tests.support.planner import bench

if TYPE_CHECKING:
    from hub.alerts.model import Alert

_STEPS = st.lists(
    st.tuples(
        st.integers(0, 120),
        st.integers(1, 4),
        st.sampled_from(["warning", "critical", "acknowledge", "resolve"]),
    ),
    max_size=25,
)


@given(_STEPS)
def test_whatever_happens_each_channel_ends_up_knowing_what_is_the_case(steps: list[tuple[int, int, str]]) -> None:
    b, now, over = bench({"repeat_every": 0}), 0, set[int]()
    alerts: dict[int, Alert] = {}
    for wait, number, what in steps:
        now += wait
        if number in over:
            continue
        alert = alerts.get(number, firing(number))
        match what:
            case "acknowledge":
                alert = acknowledged(alert)
            case "resolve":
                alert, over = resolved(alert), over | {number}
            case severity:
                alert = replace(alert, severity=Severity(severity))
        alerts[number] = alert
        b.at(now, alert)
    b.until(now + 10_000)
    heard: dict[int, list[Occasion]] = {}
    for due in b.dues:
        for item in due.items:
            heard.setdefault(item.alert.id, []).append(item.occasion)
    for number, occasions in heard.items():
        assert occasions[0] is Occasion.FIRING
        assert occasions.count(Occasion.FIRING) == 1
        assert (occasions[-1] is Occasion.RESOLVED) == (number in over)
    for number, alert in alerts.items():
        if alert.state == "firing":
            assert b.told[number, "ops"].severity.rank >= alert.severity.rank
    assert {number for number, _ in b.told} <= alerts.keys() - over
    assert b.planner.next_ns() is None
