"""Who is told of what, and when: the planner with a clock that the test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hub.alerts.notify_model import Told
from hub.alerts.notify_plan import Planner
from hub.alerts.notify_route import Routes
from hub.rules.events import Severity
from tests.support.notifying import NOON_NS, acknowledged, firing, ns, resolved
from tests.support.planner import Bench, bench, settings

if TYPE_CHECKING:
    from hub.alerts.model import Alert


def test_an_alert_is_told_once_after_its_group_has_waited() -> None:
    b = bench()
    b.at(0, firing(1))
    b.at(3000, firing(1))
    assert b.left == [(10, "ops", {"firing"}, [1])]


def test_a_burst_is_one_message_worst_first() -> None:
    b = bench()
    b.at(0, firing(1))
    b.at(4, firing(2, node="boiler-2", severity=Severity.CRITICAL), firing(3, node="boiler-3"))
    b.until(100)
    assert b.left == [(10, "ops", {"firing"}, [2, 1, 3])]


def test_rules_do_not_share_a_message_unless_grouping_says_so() -> None:
    apart, together = bench(), bench({"group_by": ()})
    for b in (apart, together):
        b.at(0, firing(1), firing(2, rule="disk-full"))
        b.until(100)
    assert [left[3] for left in apart.left] == [[1], [2]]
    assert [left[3] for left in together.left] == [[1, 2]]


def test_what_comes_after_a_message_waits_for_the_interval_of_the_group() -> None:
    b = bench()
    b.at(0, firing(1))
    b.at(20, firing(2))
    b.at(25, firing(3))
    b.until(200)
    assert b.left == [(10, "ops", {"firing"}, [1]), (70, "ops", {"firing"}, [2, 3])]


def test_it_is_repeated_while_nobody_acknowledges() -> None:
    b = bench()
    b.at(0, firing(1))
    b.at(8000, acknowledged(firing(1)))
    b.until(50_000)
    assert [(at, sorted(why)) for at, _, why, _ in b.left] == [(10, ["firing"]), (3620, ["repeat"]), (7230, ["repeat"])]


def test_what_a_channel_has_not_taken_yet_is_not_repeated_to_it() -> None:
    waiting = {("ops", 1)}
    b = bench(waits=lambda channel, alert: (channel, alert) in waiting)
    b.at(0, firing(1), firing(2, rule="other"))
    b.until(3650)
    assert [(at, numbers) for at, _, _, numbers in b.left] == [(10, [1]), (10, [2]), (3620, [2])]
    waiting.clear()
    b.until(7220)
    assert b.left[3:] == [(7220, "ops", {"repeat"}, [1])], "a period later it takes messages again"


def test_without_repeating_it_is_told_once() -> None:
    b = bench({"repeat_every": 0})
    b.at(0, firing(1))
    b.until(1_000_000)
    assert len(b.left) == 1


def test_a_rise_in_severity_is_told_and_a_fall_is_not() -> None:
    b = bench()
    b.at(0, firing(1))
    b.at(100, firing(1, severity=Severity.CRITICAL))
    b.at(300, firing(1, severity=Severity.INFO))
    b.at(500, firing(1, severity=Severity.CRITICAL))
    b.until(1000)
    assert [(at, why) for at, _, why, _ in b.left] == [(10, {"firing"}), (110, {"worse"})]


def test_unacknowledged_it_goes_to_further_channels_too() -> None:
    b = bench({"escalate_after": 1800, "escalate_to": ("boss",)})
    b.at(0, firing(1))
    b.until(2000)
    assert b.left == [(10, "ops", {"firing"}, [1]), (1820, "boss", {"escalation"}, [1])]


def test_acknowledged_in_time_it_does_not_escalate() -> None:
    b = bench({"escalate_after": 1800, "escalate_to": ("boss",)})
    b.at(0, firing(1))
    b.at(1815, acknowledged(firing(1)))  # the message to the boss waits for its group by now
    b.until(9000)
    assert [channel for _, channel, _, _ in b.left] == ["ops"]


def test_everybody_who_was_told_hears_that_it_is_over() -> None:
    b = bench({"escalate_after": 1800, "escalate_to": ("boss",)})
    b.at(0, firing(1))
    b.at(2000, acknowledged(firing(1)))
    b.at(2100, resolved(firing(1)))
    b.until(9000)
    assert b.left[2:] == [(2110, "ops", {"resolved"}, [1]), (2110, "boss", {"resolved"}, [1])]
    assert b.told == {}
    assert b.planner.next_ns() is None


def test_who_was_not_told_hears_no_end() -> None:
    b = bench()
    b.at(0, firing(1))
    b.at(5, resolved(firing(1)))
    b.until(9000)
    assert b.left == []


def test_a_route_may_keep_the_end_to_itself() -> None:
    b = bench({"resolved": False})
    b.at(0, firing(1))
    b.at(100, resolved(firing(1)))
    b.until(9000)
    assert [why for _, _, why, _ in b.left] == [{"firing"}]
    assert b.told == {}


@pytest.mark.parametrize(
    ("route", "numbers"),
    [
        ({"severity": ("critical",)}, [3]),
        ({"rules": ("room-*",)}, [1, 3]),
        ({"nodes": ("pump-?",)}, [2]),
        ({"groups": ("cellar",)}, [2]),
        ({"groups": ("attic",)}, []),
    ],
)
def test_a_route_selects(route: dict[str, Any], numbers: list[int]) -> None:
    b = bench(route | {"group_by": ()}, groups_of=lambda node: {"cellar"} if node == "pump-1" else set())
    b.at(0, firing(1), firing(2, node="pump-1", rule="silent"), firing(3, severity=Severity.CRITICAL))
    b.until(100)
    assert sorted(number for left in b.left for number in left[3]) == numbers


def test_each_channel_is_told_once_however_many_routes_name_it() -> None:
    b = bench({"name": "a", "channels": ("ops", "log")}, {"name": "b", "channels": ("ops", "boss")})
    b.at(0, firing(1))
    b.until(1000)
    assert sorted(channel for _, channel, _, _ in b.left) == ["boss", "log", "ops"]


def test_what_is_no_longer_quiet_is_told_at_once_when_somebody_says_so() -> None:
    quiet = [True]
    b = bench({"group_wait": 0}, quiet=lambda _alert, _now_ns: quiet[0])
    b.at(0, firing(1))
    b.until(30)
    assert b.left == []
    quiet[0] = False
    b.planner.look_again(NOON_NS + ns(31))
    b.until(31)
    assert [(second, numbers) for second, _, _, numbers in b.left] == [(31, [1])]


def test_without_routes_every_channel_hears_of_everything() -> None:
    b = Bench(Planner(Routes(settings())))
    b.at(0, firing(1, severity=Severity.INFO))
    b.until(100)
    assert sorted(channel for _, channel, _, _ in b.left) == ["boss", "log", "ops"]


def test_a_rule_that_names_channels_tells_those_and_no_others() -> None:
    b = bench(channels_of=lambda rule: ("log", "no-such") if rule == "room-hot" else ())
    b.at(0, firing(1), firing(2, rule="disk-full"))
    b.at(100, resolved(firing(1)))
    b.until(1000)
    assert [(channel, why, numbers) for _, channel, why, numbers in b.left] == [
        ("log", {"firing"}, [1]),
        ("ops", {"firing"}, [2]),
        ("log", {"resolved"}, [1]),
    ]


def test_outside_its_times_a_route_waits_for_them() -> None:
    b = bench({"times": ("13:00-14:00",)})
    b.at(0, firing(1), firing(2))
    b.at(1800, resolved(firing(2)))
    b.until(4000)
    assert b.left == [(3610, "ops", {"firing"}, [1])]


def test_while_one_route_is_closed_another_tells_the_channel_and_it_is_not_told_again() -> None:
    b = bench({"name": "day", "times": ("13:00-14:00",)}, {"name": "night", "repeat_every": 0})
    b.at(0, firing(1))
    b.until(3605)
    assert b.left == [(10, "ops", {"firing"}, [1])]


def test_silenced_alerts_notify_nobody_and_are_told_when_the_silence_ends() -> None:
    b = bench(quiet=lambda alert, now_ns: alert.id == 1 and now_ns < NOON_NS + ns(600))
    b.at(0, firing(1), firing(2))
    b.until(590)
    assert b.left == [(10, "ops", {"firing"}, [2])]
    b.until(700)
    assert b.left[1:] == [(610, "ops", {"firing"}, [1])]


def test_a_silence_that_comes_while_a_message_waits_still_counts() -> None:
    silenced: set[int] = set()
    b = bench(quiet=lambda alert, _: alert.id in silenced)
    b.at(0, firing(1))
    silenced.add(1)
    b.until(3000)
    assert b.left == []


def test_the_end_of_a_silenced_alert_notifies_nobody() -> None:
    silenced: set[int] = set()
    b = bench(quiet=lambda alert, _: alert.id in silenced)
    b.at(0, firing(1))
    b.until(20)
    silenced.add(1)
    b.at(100, resolved(firing(1)))
    b.until(9000)
    assert [why for _, _, why, _ in b.left] == [{"firing"}]
    assert b.told == {}


def restarted(before: Bench, *alerts: Alert, second: float) -> Bench:
    after = bench({"escalate_after": 1800, "escalate_to": ("boss",)})
    after.planner.restore(alerts, before.told.values(), NOON_NS + ns(second))
    after.told = dict(before.told)
    return after


def test_after_a_restart_nothing_is_told_again_and_nothing_is_forgotten() -> None:
    before = bench({"escalate_after": 1800, "escalate_to": ("boss",)})
    before.at(0, firing(1), firing(2))
    before.at(50, firing(3))  # its message is still waiting when the hub is killed
    after = restarted(before, firing(1), resolved(firing(2)), firing(3), second=60)
    after.until(1900)
    assert after.left == [
        (70, "ops", {"resolved"}, [2]),
        (70, "ops", {"firing"}, [3]),
        (1820, "boss", {"escalation"}, [1]),
        (1880, "boss", {"escalation"}, [3]),
    ]


def test_what_was_told_of_an_alert_that_is_kept_no_more_is_dropped() -> None:
    before = bench()
    before.at(0, firing(1))
    before.until(20)
    after = restarted(before, second=60)
    after.until(9000)
    assert after.left == []


def test_a_route_that_the_settings_have_no_more_ends_what_it_told() -> None:
    b = bench({"name": "other"})
    told = Told(1, "ops", "all", Severity.WARNING, NOON_NS, NOON_NS)
    b.told[1, "ops"] = told
    b.planner.restore([resolved(firing(1))], [told], NOON_NS)
    b.until(9000)
    assert (b.left, b.told) == ([], {})
