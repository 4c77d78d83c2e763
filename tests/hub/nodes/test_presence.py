from __future__ import annotations

from typing import Any

import pytest

from hub.nodes.model import Change, Contact, Transition, Why
from hub.nodes.presence import Presence
from wire.messages import NodeState, Status

S = 1_000_000_000
T0 = 1_763_750_000 * S
T0_MS = T0 // 1_000_000


def birth(session: str | None = "s1", ts: int | None = T0_MS, **more: Any) -> Status:
    return Status(NodeState.ONLINE, ts=ts, session=session, **more)


def end(session: str | None = "s1", ts: int | None = None, reason: str | None = "connection lost") -> Status:
    return Status(NodeState.OFFLINE, ts=ts, session=session, reason=reason)


def changes(transitions: list[Transition]) -> list[Change]:
    return [transition.change for transition in transitions]


@pytest.fixture
def presence() -> Presence:
    return Presence(silent_after_s=90)


def test_the_first_birth_of_an_unknown_node_makes_it_new_and_online(presence: Presence) -> None:
    got = presence.observe_status("dev", birth(version="2", outbox=True, info={"os": "x"}), T0, retained=False)
    assert changes(got) == [Change.NEW, Change.ONLINE]
    assert got[1].reason == Why.BIRTH
    assert got[1].birth is not None
    assert (got[1].birth.version, got[1].birth.outbox, got[1].birth.info) == ("2", True, {"os": "x"})


def test_a_node_that_publishes_without_a_birth_is_new_and_online_by_its_data(presence: Presence) -> None:
    got = presence.observe_data(["dev"], T0)
    assert [(one.change, one.reason) for one in got] == [(Change.NEW, Why.DATA), (Change.ONLINE, Why.DATA)]
    assert presence.contact("dev") is Contact.ONLINE


def test_a_declared_node_is_not_new_when_it_is_first_heard(presence: Presence) -> None:
    presence.declare("dev")
    assert presence.contact("dev") is Contact.NEVER
    assert changes(presence.observe_data(["dev"], T0)) == [Change.ONLINE]


def test_data_of_an_online_node_changes_nothing_but_when_it_was_last_seen(presence: Presence) -> None:
    presence.observe_data(["dev"], T0)
    assert presence.observe_data(["dev"], T0 + S) == []
    assert presence.last_seen_ns("dev") == T0 + S


def test_a_will_ends_the_connection_with_its_reason_and_duration(presence: Presence) -> None:
    presence.observe_status("dev", birth(), T0, retained=False)
    (gone,) = presence.observe_status("dev", end(ts=T0_MS), T0 + 60 * S, retained=False)
    assert (gone.change, gone.reason, gone.duration_ns) == (Change.OFFLINE, "connection lost", 60 * S)


def test_an_end_without_a_reason_gets_one(presence: Presence) -> None:
    presence.observe_status("dev", birth(), T0, retained=False)
    assert presence.observe_status("dev", end(reason=None), T0 + S, retained=False)[0].reason == Why.WILL


def test_a_will_of_an_older_session_that_comes_late_is_ignored(presence: Presence) -> None:
    presence.observe_status("dev", birth("s1", T0_MS), T0, retained=False)
    presence.observe_status("dev", birth("s2", T0_MS + 5000), T0 + 5 * S, retained=False)
    assert presence.observe_status("dev", end("s1", T0_MS), T0 + 6 * S, retained=False) == []
    assert presence.contact("dev") is Contact.ONLINE


def test_a_will_of_an_older_session_without_a_time_is_ignored_too(presence: Presence) -> None:
    presence.observe_status("dev", birth("s2"), T0, retained=False)
    assert presence.observe_status("dev", end("s1", None), T0 + S, retained=False) == []


def test_a_will_of_a_session_newer_than_the_last_birth_counts(presence: Presence) -> None:
    presence.observe_status("dev", birth("s1", T0_MS), T0, retained=False)
    got = presence.observe_status("dev", end("s2", T0_MS + 5000), T0 + 9 * S, retained=False)
    assert changes(got) == [Change.OFFLINE]


def test_a_second_will_changes_nothing(presence: Presence) -> None:
    presence.observe_status("dev", birth(), T0, retained=False)
    presence.observe_status("dev", end(), T0 + S, retained=False)
    assert presence.observe_status("dev", end(), T0 + 2 * S, retained=False) == []


def test_a_new_session_without_an_end_of_the_old_one_closes_it_and_opens_another(presence: Presence) -> None:
    presence.observe_status("dev", birth("s1", T0_MS), T0, retained=False)
    gone, back = presence.observe_status("dev", birth("s2", T0_MS + 9000), T0 + 9 * S, retained=False)
    assert (gone.change, gone.reason, gone.duration_ns) == (Change.OFFLINE, Why.REPLACED, 9 * S)
    assert (back.change, back.session) == (Change.ONLINE, "s2")


def test_a_birth_left_over_in_the_queue_from_an_older_session_is_ignored(presence: Presence) -> None:
    presence.observe_status("dev", birth("s2", T0_MS + 9000), T0 + 9 * S, retained=True)
    assert presence.observe_status("dev", birth("s1", T0_MS), T0 + 10 * S, retained=False) == []


def test_the_same_birth_twice_is_no_change(presence: Presence) -> None:
    presence.observe_status("dev", birth(), T0, retained=False)
    assert presence.observe_status("dev", birth(), T0 + S, retained=False) == []


def test_a_further_birth_of_the_same_session_updates_without_a_new_connection(presence: Presence) -> None:
    presence.observe_status("dev", birth(ts=T0_MS), T0, retained=False)
    (got,) = presence.observe_status("dev", birth(ts=T0_MS + 1000, version="3"), T0 + S, retained=False)
    assert got.change is Change.UPDATED
    assert got.birth is not None
    assert got.birth.version == "3"


def test_a_birth_after_data_is_taken_into_the_connection_that_the_data_opened(presence: Presence) -> None:
    presence.observe_data(["dev"], T0)
    (got,) = presence.observe_status("dev", birth(), T0 + S, retained=False)
    assert (got.change, got.session) == (Change.UPDATED, "s1")


def test_the_brokers_copy_of_a_known_birth_does_not_bring_an_offline_node_back(presence: Presence) -> None:
    presence.observe_status("dev", birth(), T0, retained=False)
    presence.observe_status("dev", end(), T0 + S, retained=False)
    assert presence.observe_status("dev", birth(), T0 + 9 * S, retained=True) == []
    assert presence.contact("dev") is Contact.OFFLINE


def test_the_brokers_copy_of_an_unknown_birth_counts(presence: Presence) -> None:
    got = presence.observe_status("dev", birth(), T0, retained=True)
    assert changes(got) == [Change.NEW, Change.ONLINE]


def test_data_sent_just_before_the_end_and_seen_just_after_does_not_bring_a_node_back(presence: Presence) -> None:
    presence.observe_status("dev", birth(), T0, retained=False)
    presence.observe_status("dev", end(), T0 + S, retained=False)
    assert presence.observe_data(["dev"], T0 + S) == []
    assert presence.contact("dev") is Contact.OFFLINE


def test_data_well_after_the_end_brings_a_node_back(presence: Presence) -> None:
    presence.observe_status("dev", birth(), T0, retained=False)
    presence.observe_status("dev", end(), T0 + S, retained=False)
    (got,) = presence.observe_data(["dev"], T0 + 60 * S)
    assert (got.change, got.reason) == (Change.ONLINE, Why.DATA)


def test_a_node_that_sends_nothing_for_long_is_silent_since_it_was_last_heard(presence: Presence) -> None:
    presence.observe_data(["dev"], T0)
    presence.observe_data(["dev"], T0 + 10 * S)
    assert presence.tick(T0 + 100 * S) == []
    (got,) = presence.tick(T0 + 101 * S)
    assert (got.change, got.reason, got.duration_ns) == (Change.SILENT, Why.SILENCE, 10 * S)
    assert presence.tick(T0 + 300 * S) == []


def test_only_the_node_that_fell_silent_is_told(presence: Presence) -> None:
    presence.observe_data(["quiet", "busy"], T0)
    for second in range(1, 120):
        presence.observe_data(["busy"], T0 + second * S)
        got = presence.tick(T0 + second * S)
        if got:
            assert [one.node for one in got] == ["quiet"]
            assert second == 91
    assert presence.contact("quiet") is Contact.SILENT


def test_very_many_nodes_that_fall_silent_at_once_are_told_over_some_ticks_each_once(presence: Presence) -> None:
    nodes = [f"dev{i}" for i in range(5_000)]
    presence.observe_data(nodes, T0)
    told = []
    for second in range(91, 100):
        if second == 92:
            presence.observe_data(["dev4999"], T0 + second * S)  # back before it was missed
        got = presence.tick(T0 + second * S)
        assert len(got) <= 2_000
        told += [one.node for one in got]
    assert told == nodes[:-1]
    (late,) = presence.tick(T0 + 183 * S)
    assert late.node == "dev4999"
    assert presence.counts()[Contact.SILENT] == len(nodes)


def test_data_of_a_silent_node_brings_it_back_from_silence(presence: Presence) -> None:
    presence.observe_data(["dev"], T0)
    presence.tick(T0 + 100 * S)
    (got,) = presence.observe_data(["dev"], T0 + 200 * S)
    assert (got.change, got.reason) == (Change.ONLINE, Why.BACK)


def test_a_will_of_a_silent_node_makes_it_offline_without_a_second_end(presence: Presence) -> None:
    presence.observe_status("dev", birth(), T0, retained=False)
    presence.tick(T0 + 100 * S)
    (got,) = presence.observe_status("dev", end(), T0 + 110 * S, retained=False)
    assert (got.change, got.connected_ns, got.duration_ns) == (Change.OFFLINE, None, None)


def test_the_absence_of_the_hub_is_no_silence_of_the_nodes(presence: Presence) -> None:
    presence.observe_data(["dev"], T0)
    presence.resume(T0 + 3600 * S)
    assert presence.tick(T0 + 3660 * S) == []
    (got,) = presence.tick(T0 + 3691 * S)
    assert got.duration_ns == 0  # it was heard once


@pytest.mark.parametrize("ts", [None, 0, -1, 2**70, 10])
def test_a_clock_that_was_never_set_is_not_believed(presence: Presence, ts: int | None) -> None:
    got = presence.observe_status("dev", birth("s1", ts), T0, retained=False)
    assert got[1].birth is not None
    assert got[1].birth.ts_ms is None
    gone, back = presence.observe_status("dev", birth("s2", ts), T0 + S, retained=False)
    assert (gone.change, back.change) == (Change.OFFLINE, Change.ONLINE)


def test_texts_of_nodes_are_bounded(presence: Presence) -> None:
    got = presence.observe_status("dev", birth("x" * 5000, version="v\x00" * 5000), T0, retained=False)
    assert got[1].session == "x" * 200
    assert got[1].birth is not None
    assert got[1].birth.version == "v" * 100
    (gone,) = presence.observe_status("dev", end("x" * 5000, reason="r" * 5000), T0 + S, retained=False)
    assert gone.reason == "r" * 200


def test_a_forgotten_node_is_new_again(presence: Presence) -> None:
    presence.observe_data(["dev"], T0)
    presence.forget("dev")
    assert changes(presence.observe_data(["dev"], T0 + S)) == [Change.NEW, Change.ONLINE]


def test_a_clock_set_back_gives_no_connection_that_begins_before_the_one_before_it_ended(presence: Presence) -> None:
    presence.observe_data(["dev"], T0)
    (gone,) = presence.tick(T0 + 100 * S)
    (back,) = presence.observe_data(["dev"], T0 - 50 * S)
    assert gone.ended_ns is not None
    assert back.at_ns >= gone.ended_ns


def test_a_clock_set_back_gives_no_session_that_begins_before_the_one_that_it_replaces_was_last_heard(
    presence: Presence,
) -> None:
    presence.observe_status("dev", birth("s1", T0_MS), T0, retained=False)
    presence.observe_data(["dev"], T0 + 50 * S)
    gone, back = presence.observe_status("dev", birth("s2", T0_MS + 9000), T0 + 10 * S, retained=True)
    assert gone.ended_ns == T0 + 50 * S == back.at_ns


def test_a_clock_set_back_gives_no_connection_that_ends_before_it_began(presence: Presence) -> None:
    presence.observe_data(["dev"], T0)
    presence.observe_data(["dev"], T0 - 50 * S)
    (gone,) = presence.tick(T0 + 100 * S)
    assert gone.duration_ns == 0


@pytest.mark.parametrize("hours", [1, 5, 10_000])
def test_after_a_clock_is_set_back_by_hours_silence_is_found_as_before(presence: Presence, hours: int) -> None:
    presence.observe_data(["quiet", "talks"], T0)
    assert presence.tick(T0 + S) == []
    back_ns = T0 - hours * 3600 * S
    assert presence.tick(back_ns) == []
    found = []
    for second in range(0, 120, 10):
        presence.observe_data(["talks"], back_ns + second * S)
        found += presence.tick(back_ns + second * S)
    assert [(got.node, got.change) for got in found] == [("quiet", Change.SILENT)]
    assert presence.contact("talks") is Contact.ONLINE


def test_a_clock_set_back_by_seconds_makes_nobody_silent(presence: Presence) -> None:
    presence.observe_data(["a"], T0)
    presence.tick(T0 + S)
    presence.observe_status("b", birth(), T0 + 30 * S, retained=False)  # arrival times ascend through small steps
    assert presence.tick(T0 - 10 * S) == []
    assert presence.tick(T0 + 70 * S) == []


def test_after_a_clock_is_set_back_by_hours_data_brings_a_node_back_that_had_gone(presence: Presence) -> None:
    presence.observe_status("dev", birth(), T0, retained=False)
    presence.observe_status("dev", end(), T0 + S, retained=False)
    (got,) = presence.observe_data(["dev"], T0 - 3600 * S)
    assert (got.change, presence.contact("dev")) == (Change.ONLINE, Contact.ONLINE)


def test_last_seen_is_given_once_for_each_time_a_node_is_heard(presence: Presence) -> None:
    presence.observe_data(["a", "b"], T0)
    assert presence.take_last_seen() == {"a": T0, "b": T0}
    assert presence.take_last_seen() == {}
    presence.observe_data(["b"], T0 - S)  # the clock was set back
    assert presence.take_last_seen() == {"b": T0 - S}


def test_nodes_are_counted_by_contact(presence: Presence) -> None:
    presence.declare("never")
    presence.observe_data(["a", "b"], T0)
    presence.observe_status("b", end(None), T0 + S, retained=False)
    assert presence.counts() == {Contact.ONLINE: 1, Contact.SILENT: 0, Contact.OFFLINE: 1, Contact.NEVER: 1}
