"""Events of a test over history made into intervals."""

from __future__ import annotations

from hub.rules.events import EventKind, RuleEvent, Severity, Subject
from hub.rules.intervals import Intervals
from tests.support.rules import at

SUBJECT = Subject("n1")


def event(kind: EventKind, second: float, severity: Severity = Severity.WARNING) -> RuleEvent:
    return RuleEvent(kind, "hot", SUBJECT, severity, at(second), 1.0, "")


def test_only_what_was_firing_in_the_range_counts_and_only_its_part_of_it() -> None:
    found = Intervals(at(100), at(200))
    found.take([event(EventKind.FIRING, 10), event(EventKind.RESOLVED, 50), event(EventKind.CANCELLED, 60)])
    found.take([event(EventKind.FIRING, 90), event(EventKind.RESOLVED, 120), event(EventKind.CANCELLED, 130)])
    found.take([event(EventKind.FIRING, 180)])
    found.finish()
    assert [(each.start_ns, each.stop_ns) for each in found.kept] == [(at(100), at(120)), (at(180), None)]
    assert (found.fired[SUBJECT], found.firing_ns[SUBJECT] // 10**9, found.cancelled) == (2, 40, 1)


def test_the_worst_severity_of_an_interval_is_kept() -> None:
    found = Intervals(at(0), at(100))
    found.take([event(EventKind.FIRING, 1), event(EventKind.SEVERITY, 2, Severity.CRITICAL)])
    found.take([event(EventKind.SEVERITY, 3, Severity.INFO), event(EventKind.RESOLVED, 4, Severity.INFO)])
    found.finish()
    assert [each.severity for each in found.kept] == [Severity.CRITICAL]
