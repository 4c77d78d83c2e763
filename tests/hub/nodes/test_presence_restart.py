from __future__ import annotations

from typing import Any

from hub.nodes.model import Change, Contact, NodeRow, Standing, Transition
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


def restored(contact: Contact = Contact.ONLINE) -> Presence:
    row = NodeRow(
        node="dev",
        standing=Standing.NEW,
        contact=contact,
        first_seen_ns=T0,
        last_seen_ns=T0 + 50 * S,
        since_ns=T0,
        reason="birth",
        connected_ns=T0 if contact is Contact.ONLINE else None,
        session="s1",
        birth_ms=T0_MS,
        version=None,
        outbox=False,
        info={},
    )
    presence = Presence(silent_after_s=90)
    presence.restore([row], T0 + 3600 * S)
    return presence


def test_after_a_restart_the_retained_birth_of_the_same_session_is_no_second_connection() -> None:
    presence = restored()
    assert presence.observe_status("dev", birth(), T0 + 3600 * S, retained=True) == []
    assert presence.contact("dev") is Contact.ONLINE


def test_after_a_restart_a_retained_birth_of_another_session_ends_the_old_connection_when_it_was_last_heard() -> None:
    gone, back = restored().observe_status("dev", birth("s2", T0_MS + 900_000), T0 + 3600 * S, retained=True)
    assert gone.duration_ns == 50 * S
    assert back.at_ns == T0 + 3600 * S


def test_after_a_restart_a_retained_will_ends_the_connection_when_it_was_last_heard() -> None:
    (gone,) = restored().observe_status("dev", end(ts=T0_MS), T0 + 3600 * S, retained=True)
    assert gone.duration_ns == 50 * S


def test_after_a_restart_a_retained_announced_end_ends_the_connection_when_it_says() -> None:
    said = end(ts=T0_MS + 600_000, reason="shutdown")
    (gone,) = restored().observe_status("dev", said, T0 + 3600 * S, retained=True)
    assert gone.duration_ns == 600 * S


def test_after_a_restart_a_node_that_was_silent_is_still_silent() -> None:
    presence = restored(Contact.SILENT)
    assert presence.tick(T0 + 9999 * S) == []
    assert changes(presence.observe_data(["dev"], T0 + 9999 * S)) == [Change.ONLINE]
