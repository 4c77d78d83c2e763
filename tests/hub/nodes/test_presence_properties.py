"""Whatever nodes, wills, silence, clocks and restarts do: connections never overlap, and at most one is open a node."""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from hub.nodes.folding import fold
from hub.nodes.model import Contact, NodeRow, Standing, Transition
from hub.nodes.presence import Presence
from wire.messages import NodeState, Status

S = 1_000_000_000
T0 = 1_763_750_000 * S

nodes = st.sampled_from(["a", "b", "c"])
sessions = st.sampled_from([None, "s1", "s2", "s3"])
times = st.one_of(st.none(), st.integers(-1000, 1000).map(lambda s: (T0 // S + s) * 1000), st.just(5))
states = st.sampled_from(NodeState)


class Rows:
    """The connection rows as the registry would write them, from the same folding."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def record(self, transitions: list[Transition]) -> None:
        folded = fold(transitions)
        for end in folded.closed:
            for row in self.of(str(end["of"])):
                if row["disconnected_ns"] is None:
                    row.update({name: value for name, value in end.items() if name != "of"})
        self.rows += folded.opened

    def of(self, node: str) -> list[dict[str, object]]:
        return [row for row in self.rows if row["node"] == node]


class Nodes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.presence = Presence(silent_after_s=90)
        self.now = T0
        self.rows = Rows()
        self.unwritten: list[Transition] = []
        self.connects = 0

    def took(self, transitions: list[Transition]) -> None:
        self.unwritten += transitions
        self.connects += sum(one.change == "online" for one in transitions)

    @invariant()
    def the_counts_are_those_of_the_nodes(self) -> None:
        contacts = [self.presence.contact(node) for node in "abc"]
        assert self.presence.counts() == {contact: contacts.count(contact) for contact in Contact}

    @rule(seconds=st.sampled_from([0, 1, 95, 200]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * S

    @rule(seconds=st.sampled_from([1, 60, 150]))
    def the_clock_is_set_back(self, seconds: int) -> None:
        self.now -= seconds * S

    @rule(node=nodes, state=states, session=sessions, ts=times, retained=st.booleans())
    def a_status_arrives(
        self, node: str, *, state: NodeState, session: str | None, ts: int | None, retained: bool
    ) -> None:
        self.took(
            self.presence.observe_status(node, Status(state, ts=ts, session=session), self.now, retained=retained)
        )

    @rule(heard=st.sets(nodes))
    def data_arrives(self, heard: set[str]) -> None:
        self.took(self.presence.observe_data(heard, self.now))
        assert all(self.presence.contact(node) in (Contact.ONLINE, Contact.OFFLINE) for node in heard)

    @rule(seconds=st.sampled_from([0, 95]))
    def silence_is_looked_for(self, seconds: int) -> None:
        self.now += seconds * S
        self.took(self.presence.tick(self.now))

    @rule()
    def a_batch_is_written(self) -> None:
        self.rows.record(self.unwritten)
        self.unwritten = []

    @rule(down_s=st.integers(0, 500))
    def the_hub_restarts(self, down_s: int) -> None:
        self.a_batch_is_written()
        self.now += down_s * S
        kept = [
            NodeRow(
                node=node,
                standing=Standing.NEW,
                contact=known.contact,
                first_seen_ns=None,
                last_seen_ns=known.last_seen_ns,
                since_ns=known.since_ns,
                reason=None,
                connected_ns=known.connected_ns,
                session=known.session,
                birth_ms=known.birth_ms,
                version=None,
                outbox=False,
                info={},
            )
            for node, known in self.presence._nodes.items()
        ]
        self.presence = Presence(silent_after_s=90)
        self.presence.restore(kept, self.now)

    @rule()
    def the_link_is_back(self) -> None:
        self.presence.resume(self.now)

    @invariant()
    def connections_never_overlap(self) -> None:
        written = Rows()
        written.rows = [dict(row) for row in self.rows.rows]
        written.record(self.unwritten)
        for node in ("a", "b", "c"):
            rows = written.of(node)
            for row, following in itertools.pairwise(rows):
                assert row["disconnected_ns"] is not None
                assert row["connected_ns"] <= row["disconnected_ns"] <= following["connected_ns"]  # type: ignore[operator]  # ints
            is_open = bool(rows) and rows[-1]["disconnected_ns"] is None
            assert is_open == (self.presence.contact(node) is Contact.ONLINE)
        assert len(written.rows) == self.connects


def test_connections_never_overlap_whatever_happens() -> None:
    run_state_machine_as_test(Nodes, settings=settings(max_examples=300, stateful_step_count=30, deadline=None))
