from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alerts.lifecycle import NoSuchAlert, NotNow
from hub.alerts.model import AlertState, BrokenLink, Change
from hub.rules.events import EventKind, RuleEvent, Severity
from tests.support.alerting import FLAP, T0, S, event, lifecycle


def test_an_alert_goes_from_pending_over_firing_and_acknowledged_to_resolved() -> None:
    life = lifecycle()
    (pending,) = life.apply(event(EventKind.PENDING, 0))
    (firing,) = life.apply(event(EventKind.FIRING, 60))
    (known,) = life.acknowledge(pending.alert.id, by="jo", why="on my way", now_ns=T0 + 90 * S)
    (over,) = life.apply(event(EventKind.RESOLVED, 120))
    assert [each.alert.state for each in (pending, firing, known, over)] == list(AlertState)
    assert [each.before for each in (pending, firing, known, over)] == [
        None,
        AlertState.PENDING,
        AlertState.FIRING,
        AlertState.ACKNOWLEDGED,
    ]
    assert (over.alert.started_ns, over.alert.fired_ns, over.alert.resolved_ns) == (T0, T0 + 60 * S, T0 + 120 * S)
    assert (known.by, known.why, over.by) == ("jo", "on my way", "")
    assert list(life.alerts) == []


def test_what_was_pending_and_did_not_last_is_forgotten() -> None:
    life = lifecycle()
    life.apply(event(EventKind.PENDING))
    (gone,) = life.apply(event(EventKind.CANCELLED, 10))
    assert gone.change is Change.CANCELLED
    assert list(life.alerts) == []


def test_the_same_event_again_changes_nothing() -> None:
    life = lifecycle()
    for kind in (EventKind.PENDING, EventKind.FIRING, EventKind.RESOLVED):
        assert len(life.apply(event(kind))) == 1
        assert life.apply(event(kind)) == [] or kind is EventKind.RESOLVED
    assert life.apply(event(EventKind.RESOLVED)) == []


def test_there_is_one_alert_for_each_rule_node_and_series() -> None:
    life = lifecycle()
    found = [
        life.apply(one)[0].alert.id
        for one in (
            event(EventKind.FIRING),
            event(EventKind.FIRING, rule="cold"),
            event(EventKind.FIRING, node="kitchen"),
            event(EventKind.FIRING, tags=(("wall", "north"),)),
        )
    ]
    assert found == [1, 2, 3, 4]


def test_a_change_of_severity_is_told_and_the_worst_is_kept() -> None:
    life = lifecycle()
    life.apply(event(EventKind.FIRING))
    (worse,) = life.apply(event(EventKind.SEVERITY, 1, severity=Severity.CRITICAL))
    (better,) = life.apply(event(EventKind.SEVERITY, 2, severity=Severity.INFO))[:1]
    assert (worse.severity_before, worse.alert.severity) == (Severity.WARNING, Severity.CRITICAL)
    assert (better.alert.severity, better.alert.worst) == (Severity.INFO, Severity.CRITICAL)


def test_an_acknowledged_alert_that_gets_worse_fires_again() -> None:
    life = lifecycle()
    life.apply(event(EventKind.FIRING))
    life.acknowledge(1, by="jo", why="", now_ns=T0)
    (worse,) = life.apply(event(EventKind.SEVERITY, 1, severity=Severity.CRITICAL))
    assert (worse.alert.state, worse.alert.acknowledged_by) == (AlertState.FIRING, None)
    assert worse.why == "it is worse than what jo acknowledged"


def test_an_acknowledged_alert_that_gets_better_stays_acknowledged() -> None:
    life = lifecycle()
    life.apply(event(EventKind.FIRING, severity=Severity.CRITICAL))
    life.acknowledge(1, by="jo", why="", now_ns=T0)
    (better,) = life.apply(event(EventKind.SEVERITY, 1))
    assert (better.alert.state, better.alert.acknowledged_by) == (AlertState.ACKNOWLEDGED, "jo")


def test_an_alert_that_comes_and_goes_is_held_open_until_it_has_calmed_down() -> None:
    life = lifecycle()
    said = []
    for at_s in range(0, 100, 20):
        said += life.apply(event(EventKind.FIRING, at_s))
        said += life.apply(event(EventKind.RESOLVED, at_s + 10))
    changes = [each.change for each in said]
    assert changes == [Change.FIRING, Change.RESOLVED] * 2 + [Change.FIRING, Change.FLAPPING]
    (held,) = life.alerts
    assert (held.flapping, held.state) == (True, AlertState.FIRING)
    assert life.tick(T0 + 90 * S + FLAP.quiet_ns - 1) == []
    (over,) = life.tick(T0 + 90 * S + FLAP.quiet_ns)
    assert (over.change, over.alert.flapping, over.why) == (Change.RESOLVED, False, "it has calmed down")


def test_an_alert_that_comes_seldom_does_not_flap() -> None:
    life = lifecycle()
    for at_s in range(0, 3000, 500):
        assert len(life.apply(event(EventKind.FIRING, at_s))) == 1
        assert len(life.apply(event(EventKind.RESOLVED, at_s + 10))) == 1


def test_only_a_severity_beyond_its_worst_is_told_of_an_alert_that_flaps() -> None:
    life = lifecycle()
    for at_s in range(3):
        life.apply(event(EventKind.FIRING, at_s))
        life.apply(event(EventKind.RESOLVED, at_s + 0.5))
    assert life.apply(event(EventKind.FIRING, 4, severity=Severity.INFO)) == []
    (worse,) = life.apply(event(EventKind.SEVERITY, 5, severity=Severity.CRITICAL))
    assert worse.change is Change.SEVERITY


def test_flapping_is_counted_over_a_restart() -> None:
    life = lifecycle()
    fired = event(EventKind.FIRING, 20)
    identity = lifecycle().apply(fired)[0].alert.identity
    life.restore((), [(identity, T0), (identity, T0 + 10 * S)])
    assert [each.change for each in life.apply(fired)] == [Change.FIRING, Change.FLAPPING]


def test_an_absence_names_the_link_that_is_broken() -> None:
    (change,) = lifecycle().apply(event(EventKind.FIRING, value=None))
    assert (change.alert.broken, change.alert.broken_detail) == (BrokenLink.AGENT, "boiler is offline")


def test_a_threshold_blames_nobody() -> None:
    (change,) = lifecycle().apply(event(EventKind.FIRING))
    assert change.alert.broken is None


def test_people_assign_and_comment_open_alerts() -> None:
    life = lifecycle()
    life.apply(event(EventKind.FIRING))
    (assigned,) = life.assign(1, "kim", by="jo", why="", now_ns=T0)
    (comment,) = life.comment(1, by="kim", why="a fan", now_ns=T0)
    assert (assigned.alert.assignee, comment.why, comment.alert.assignee) == ("kim", "a fan", "kim")
    assert comment.at_ns > assigned.at_ns, "two changes of an alert never fall on the same instant"


def test_the_history_says_whose_it_became() -> None:
    life = lifecycle()
    life.apply(event(EventKind.FIRING))
    (given,) = life.assign(1, "kim", by="jo", why="", now_ns=T0)
    (taken,) = life.assign(1, None, by="jo", why="ill", now_ns=T0)
    assert (given.why, taken.why) == ("to kim", "to nobody: ill")


def test_the_end_says_with_what_it_ended() -> None:
    life = lifecycle()
    life.apply(event(EventKind.FIRING))
    (ended,) = life.apply(event(EventKind.RESOLVED, 5, value=20.5, message="20.5 degrees"))
    assert (ended.alert.value, ended.alert.message) == (20.5, "20.5 degrees")


def test_what_is_over_or_has_not_fired_cannot_be_acknowledged() -> None:
    life = lifecycle()
    life.apply(event(EventKind.PENDING))
    with pytest.raises(NotNow, match="has not fired yet"):
        life.acknowledge(1, by="jo", why="", now_ns=T0)
    with pytest.raises(NoSuchAlert, match="no open alert 2"):
        life.acknowledge(2, by="jo", why="", now_ns=T0)


def test_acknowledging_twice_says_nothing_the_second_time() -> None:
    life = lifecycle()
    life.apply(event(EventKind.FIRING))
    assert len(life.acknowledge(1, by="jo", why="", now_ns=T0)) == 1
    assert life.acknowledge(1, by="kim", why="", now_ns=T0 + S) == []


@given(st.lists(st.tuples(st.sampled_from(EventKind), st.sampled_from(Severity), st.integers(0, 900)), max_size=60))
def test_whatever_the_engine_says_changes_follow_each_other(said: list[tuple[EventKind, Severity, int]]) -> None:
    life = lifecycle()
    state: AlertState | None = None
    changed_ns = 0
    for kind, severity, at_s in said:
        one: RuleEvent = event(kind, at_s, severity=severity)
        for change in life.apply(one) + life.tick(T0 + at_s * S):
            assert change.before is state
            ended = change.change in (Change.RESOLVED, Change.CANCELLED)
            state = None if ended else change.alert.state
            assert change.before is None or change.at_ns > changed_ns
            changed_ns = change.at_ns
        assert len(life.alerts) == (state is not None)
