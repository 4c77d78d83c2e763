"""Books: any sequence of groups, with sessions; what is shown always adds up."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hub.ledger.books import Books, Entry
from hub.ledger.model import HOUR_NS, Sequenced, Settled
from tests.support.sequence import MISSING, Node
from wire.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

NODES = st.sampled_from("abc")
NUMBERS = st.integers(0, 12)
RANGES = st.tuples(NUMBERS, NUMBERS).map(lambda pair: (min(pair), max(pair)))
SESSIONS = st.sampled_from(["s1", "s2", "s3", "s4"])
#: Mostly numbers in order, as nodes send them.
RUNS = st.integers(1, 8).flatmap(lambda start: st.just(list(range(start, start + 6))))
EVENTS = RUNS | st.lists(NUMBERS | RANGES | SESSIONS, max_size=6)
GROUPS = st.lists(st.tuples(st.integers(0, 2), st.lists(st.tuples(NODES, EVENTS), max_size=4)), max_size=8)


class Warnings(list[tuple[str, "Mapping[str, object]"]]):
    def __call__(self, text: str, facts: Mapping[str, object]) -> None:
        self.append((text, facts))


def books(*, gaps: int = 1000, sessions: int = 3, warn: Warnings | None = None) -> Books:
    return Books(gaps_per_node=gaps, sessions_per_node=sessions, warn=warn if warn is not None else Warnings())


def group(sequences: list[tuple[str, Sequenced]], hour: int = 0, **counts: Mapping[str, int]) -> Settled:
    """A group whose messages are all stored unless ``counts`` says otherwise."""
    received = Counter(node for node, _ in sequences)
    return Settled(
        arrival_ns=hour * HOUR_NS,
        received=Counter(counts.get("received", received)),
        stored=Counter(counts.get("stored", received)),
        duplicate=Counter(counts.get("duplicate", {})),
        handled=Counter(counts.get("handled", {})),
        refused=Counter(),
        values_refused=Counter(),
        sequences=sequences,
    )


def settle(target: Books, settled: Settled) -> None:
    target.apply(target.prepare(settled))


@given(GROUPS)
def test_any_order_of_numbers_and_sessions_counts_as_looking_at_every_number_does(
    groups: list[tuple[int, list[tuple[str, list[Sequenced]]]]],
) -> None:
    ledger, oracles = books(), {node: Node(remembered=3) for node in "abc"}
    hours: Counter[tuple[str, str, int]] = Counter()
    for hour, parts in groups:
        sequences = [(node, what) for node, events in parts for what in events]
        settled = group(sequences, hour)
        if ledger.must_fold(settled.arrival_ns):
            fold(ledger, hours)
        settle(ledger, settled)
        for node, what in sequences:
            oracles[node].take(what, hour)
    fold(ledger, hours)
    for node, oracle in oracles.items():
        row = ledger.row(node)
        if row is None:
            assert not oracle.sessions
            continue
        shown = {"missing": row.missing, "late": row.late, "dropped": row.dropped_by_node, "repeats": row.repeats}
        assert shown == {name: oracle.total(name) for name in shown}
        by_hour = {(name, hour): n for (each, name, hour), n in hours.items() if each == node and n}
        assert by_hour == {key: n for key, n in oracle.rows().items() if n}
        assert {s.session: (s.watermark, s.missing) for s in ledger.sessions(node)} == {
            session: (numbers.watermark, numbers.count(MISSING)) for session, numbers in oracle.sessions.items()
        }
        mark = ledger.watermark(node)
        assert (mark is None) == (not oracle.sessions)
        if mark is not None:
            assert (mark.session, mark.seq) == (oracle.current, oracle.sessions[oracle.current].watermark)


def fold(ledger: Books, hours: Counter[tuple[str, str, int]]) -> None:
    """What the tables do, in memory."""
    changes = ledger.changes()
    for node, hour, *counts in changes.hours:
        for name, n in zip(("missing", "late", "dropped", "repeats"), counts[4:], strict=True):
            hours[str(node), name, int(hour)] += int(n)
    for node, hour, *counts in changes.earlier:
        for name, n in zip(("missing", "late", "dropped"), counts, strict=True):
            hours[str(node), name, int(hour)] += int(n)
    ledger.folded()


def test_a_session_begins_at_one_and_a_node_without_a_session_where_it_begins() -> None:
    ledger = books()
    settle(ledger, group([("named", "s1"), ("named", 4), ("plain", 4)]))
    named, plain = ledger.row("named"), ledger.row("plain")
    assert named is not None
    assert plain is not None
    assert (named.missing, plain.missing) == (3, 0)
    assert ledger.watermark("named").seq == 0  # type: ignore[union-attr]  # it was named
    assert ledger.watermark("plain").seq == 4  # type: ignore[union-attr]  # it sent a number


def test_naming_the_same_session_again_changes_nothing() -> None:
    ledger = books()
    settle(ledger, group([("n", "s1"), ("n", 1), ("n", 2)]))
    before = ledger.sessions("n")
    settle(ledger, group([("n", "s1")]))
    assert ledger.sessions("n") == before


def test_two_nodes_with_one_id_whose_sessions_alternate_miss_nothing() -> None:
    ledger = books()
    settle(ledger, group([("n", "a"), ("n", 1), ("n", "b"), ("n", 1), ("n", "a"), ("n", 2), ("n", "b"), ("n", 2)]))
    row = ledger.row("n")
    assert row is not None
    assert (row.missing, row.repeats) == (0, 0)
    assert [(s.session, s.watermark) for s in ledger.sessions("n")] == [("b", 2), ("a", 2)]


def test_a_missing_number_that_comes_in_a_later_hour_moves_from_missing_to_late_in_its_own_hour() -> None:
    ledger, hours = books(), Counter[tuple[str, str, int]]()
    settle(ledger, group([("n", "s"), ("n", 1), ("n", 3)], hour=5))
    fold(ledger, hours)
    assert hours["n", "missing", 5] == 1
    settle(ledger, group([("n", 2)], hour=7))
    fold(ledger, hours)
    assert (hours["n", "missing", 5], hours["n", "late", 5], hours["n", "late", 7]) == (0, 1, 0)


def test_more_gaps_than_are_remembered_are_given_up_oldest_first_and_said() -> None:
    warnings = Warnings()
    ledger = books(gaps=2, warn=warnings)
    settle(ledger, group([("n", "s"), ("n", 2), ("n", 4), ("n", 6), ("n", 8)]))
    row = ledger.row("n")
    assert row is not None
    assert row.missing == 4
    session = ledger.sessions("n")[0]
    assert (session.given_up, session.watermark, session.gaps) == (2, 4, ((5, 5), (7, 7)))
    assert [facts["first"] for _, facts in warnings] == [1, 3]


def test_numbers_that_cannot_be_sequence_numbers_are_said_and_not_counted() -> None:
    warnings = Warnings()
    ledger = books(warn=warnings)
    settle(ledger, group([("n", "s"), ("n", 2**62), ("n", -1), ("n", (5, 3)), ("n", (1, 2**60)), ("n", 1)]))
    row = ledger.row("n")
    assert row is not None
    assert (row.missing, row.repeats, row.dropped_by_node, row.received) == (0, 0, 0, 6)
    assert len(warnings) == 4


def test_preparing_a_group_changes_nothing_so_that_it_may_be_tried_again() -> None:
    ledger = books()
    settle(ledger, group([("n", "s"), ("n", 1)]))
    before = (ledger.row("n"), ledger.sessions("n"), ledger.changes())
    again = group([("n", 2), ("n", 9), ("n", "t"), ("new", 4)])
    first = ledger.prepare(again)
    assert (ledger.row("n"), ledger.sessions("n"), ledger.changes()) == before
    assert ledger.prepare(again) == first


def test_a_message_nobody_accounted_for_is_shown_as_such() -> None:
    ledger = books()
    settle(ledger, group([("n", 1), ("n", 2)], stored={"n": 1}))
    row = ledger.row("n")
    assert row is not None
    assert (row.unaccounted, ledger.totals().unaccounted) == (1, 1)


def test_nodes_all_of_whose_messages_were_stored_take_a_name_and_a_number_in_the_journal() -> None:
    entry = books().prepare(
        group([("plain", 1), ("mixed", 1), ("mixed", 2)], stored={"plain": 1, "mixed": 1}, duplicate={"mixed": 1})
    )
    assert (entry.stored, entry.nodes) == ({"plain": 1}, [("mixed", 2, 1, 1, 0, None)])


def test_a_message_that_was_counted_twice_is_shown_as_such() -> None:
    ledger = books()
    settle(ledger, group([("n", 1)], handled={"n": 1}))
    row = ledger.row("n")
    assert row is not None
    assert (row.received, row.stored, row.handled, row.unaccounted) == (1, 1, 1, -1)
    assert ledger.totals().unaccounted == -1


def test_numbers_of_messages_that_nobody_counted_reach_the_disk_all_the_same() -> None:
    ledger = books()
    settle(ledger, group([("n", "s"), ("n", 1)]))
    ledger.folded()
    settle(ledger, group([("n", 2)], received={}, stored={}))
    ((node, state),) = ledger.changes().nodes
    assert (node, [session.top for session in state.sessions]) == ("n", [3])


def test_an_entry_of_the_journal_of_an_earlier_version_counts_the_same() -> None:
    ledger = books()
    settle(ledger, group([("n", "s"), ("n", 1)]))
    body = msgspec.msgpack.encode([0, [("n", 4, 2, 1, 1, 4), ("m", 1, 1, 0, 0, None)], [], {}, {}, (5, 3, 1, 1)])
    ledger.apply(msgspec.msgpack.decode(body, type=Entry))
    row, other = ledger.row("n"), ledger.row("m")
    assert row is not None
    assert other is not None
    assert (row.received, row.stored, row.duplicate, row.handled, other.stored) == (6, 4, 1, 1, 1)
    assert [(session.session, session.last) for session in ledger.sessions("n")] == [("s", 3)]
    assert ledger.totals().unaccounted == 0


def test_reasons_are_counted_by_message_and_by_value() -> None:
    ledger = books()
    settled = group([], received={"n": 3, "": 1}, stored={"n": 1})
    settled.refused = Counter({("n", Reason.NOT_JSON): 2, ("", Reason.UNKNOWN_TOPIC): 1})
    settled.values_refused = Counter({("n", Reason.NOT_FINITE): 5})
    settle(ledger, settled)
    row, nobody = ledger.row("n"), ledger.row("")
    assert row is not None
    assert nobody is not None
    assert (row.refused, row.values_refused, row.unaccounted) == ({"not-json": 2}, {"not-finite": 5}, 0)
    assert (nobody.refused, nobody.unaccounted) == ({"unknown-topic": 1}, 0)
    assert ledger.totals().refused == {"not-json": 2, "unknown-topic": 1}
