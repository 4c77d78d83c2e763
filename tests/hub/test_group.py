from __future__ import annotations

from typing import TYPE_CHECKING

from hub.link import Batch
from hub.store.base import WriteResult
from tests.support.hotpath import Rig, Sent, status, telemetry
from wire.errors import Reason

if TYPE_CHECKING:
    from hub.group import Group


def decode() -> Group:
    """Two points of n1, a bad value and one point of n1, one point of n2, a birth, a bad message, one of nobody."""
    return Rig().decode(
        telemetry([{"a": 1}, {"a": 2}]),
        telemetry(b'{"a":NaN,"b":1}'),
        telemetry({"a": 1}, node="n2"),
        status("online"),
        telemetry(b"junk", node="n2"),
        Sent("junk", b""),
    )


def test_spans_give_each_data_message_its_node_and_points() -> None:
    group = decode()
    assert [(m.topic[7:9], node, len(points), start) for m, node, points, start in group.spans()] == [
        ("n1", "n1", 2, 0), ("n1", "n1", 1, 2), ("n2", "n2", 1, 3),
    ]  # fmt: skip


def test_a_message_is_a_duplicate_when_all_of_its_points_are() -> None:
    group = decode()
    assert group.duplicates(WriteResult(4)) == set()
    assert group.duplicates(WriteResult(2, duplicates=(0, 2))) == {1}
    assert group.duplicates(WriteResult(1, duplicates=(0, 1, 3))) == {0, 2}


def test_a_partly_refused_message_counts_as_stored_and_its_values_beside() -> None:
    settled = decode().settle(set(), set())
    assert settled.received == {"n1": 3, "n2": 2, "": 1}
    assert settled.stored == {"n1": 2, "n2": 1}
    assert settled.handled == {"n1": 1}
    assert settled.refused == {("n2", Reason.NOT_JSON): 1, ("", Reason.UNKNOWN_TOPIC): 1}
    assert settled.values_refused == {("n1", Reason.NOT_FINITE): 1}
    assert +settled.duplicate == {}


def test_what_the_store_took_nothing_of_is_refused_and_not_stored() -> None:
    group = decode()
    message, node, points, _ = list(group.spans())[2]
    group.refuse(message, node, points[0].ts_ns, Reason.STORE_REFUSED, "no")
    settled = group.settle({0}, {2})
    assert settled.received == {"n1": 3, "n2": 2, "": 1}
    assert settled.stored == {"n1": 1}
    assert settled.duplicate == {"n1": 1}
    assert settled.refused["n2", Reason.STORE_REFUSED] == 1


def test_a_message_that_was_forgotten_shows_as_received_by_nobody() -> None:
    group = decode()
    batch = Batch(None)
    batch.messages += [None] * 7  # type: ignore[list-item]  # one more than the group says anything about
    group.batches.append(batch)
    settled = group.settle(set(), set())
    assert settled.received.total() == group.messages == 7
    assert settled.received[""] == 2
