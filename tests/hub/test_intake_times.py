"""Retained snapshots, arrival times, sequence numbers and control messages in the intake."""

from __future__ import annotations

from typing import Any

import pytest

from hub.config import SourceSettings
from tests.support.hotpath import NOW_MS, NOW_NS, Rig, Sent, status, telemetry
from wire.errors import Reason
from wire.formats.base import Limits
from wire.messages import NodeState, Status
from wire.point import NS_PER_S, Point, SeriesKey

ROOM = SeriesKey("n1", "room")
PLAIN = SourceSettings(filter="plain/+", format="plain", node="{2}", measurement="value")
INFLUX = SourceSettings(filter="influx/+", format="influx", node="{2}")


# -- retained messages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        telemetry({"a": 1}, retain=True),
        telemetry({"values": {"a": "x"}}, retain=True),
        telemetry([{"a": 1}, {"values": {"a": 1}}], retain=True),
        Sent("plain/n1", b"21.5", retain=True),
        Sent("influx/n1", b"cpu usage=1", retain=True),
        Sent("iot/v1/n1/log", b"started", retain=True),
    ],
)
def test_a_retained_message_without_a_time_of_its_own_is_no_sample(message: Sent) -> None:
    group = Rig(PLAIN, INFLUX).decode(message)
    (reject,) = group.rejects
    assert (reject.reason, reject.retain, reject.partial) == (Reason.RETAINED_SNAPSHOT, True, False)
    assert "says what was, not when" in reject.detail
    assert group.points == []


@pytest.mark.parametrize(
    "message",
    [
        telemetry({"ts": NOW_MS - 5000, "values": {"a": 1}}, retain=True),
        Sent("influx/n1", b"room a=1 %d" % (NOW_NS - 5 * NS_PER_S), retain=True),
    ],
)
def test_a_retained_message_with_a_time_is_one(message: Sent) -> None:
    group = Rig(INFLUX).decode(message)
    assert group.points == [Point(ROOM, NOW_NS - 5 * NS_PER_S, {"a": 1.0})]
    assert group.rejects == []


def test_of_a_retained_array_those_with_a_time_are_kept_and_the_others_are_not_lost_silently() -> None:
    group = Rig().decode(telemetry([{"a": 1}, {"ts": NOW_MS, "values": {"a": 2}}, {"a": 3}], retain=True))
    assert group.points == [Point(ROOM, NOW_NS, {"a": 2.0})]
    (reject,) = group.rejects
    assert (reject.reason, reject.partial) == (Reason.RETAINED_SNAPSHOT, True)
    assert group.values == {("n1", Reason.RETAINED_SNAPSHOT): 2}


def test_retained_control_messages_are_handled() -> None:
    group = Rig().decode(status("online", session="s", retain=True), Sent("iot/v1/n1/stored", b"{}", retain=True))
    assert [control.body for control in group.controls] == [Status(NodeState.ONLINE, session="s"), None]


# -- arrival times ----------------------------------------------------------------------------------------------------


def test_no_two_messages_arrive_at_the_same_instant() -> None:
    group = Rig(PLAIN).decode(
        telemetry({"a": 1}),
        telemetry([{"a": 2}, None, {"a": 3}]),
        telemetry([{"values": {"a": 4}}, {"values": {"a": 5}}]),
        telemetry({"a": 6}),
        Sent("plain/n1", b"7"),
        telemetry({"a": 8}),
    )
    assert [p.ts_ns - NOW_NS for p in group.points] == list(range(8))


def test_arrival_times_ascend_from_batch_to_batch_also_when_the_clock_stands_still_or_steps_back_a_little() -> None:
    rig = Rig()
    times = []
    for step_ns in (0, 0, -1, -59 * NS_PER_S, 10**9, 7200 * NS_PER_S):
        rig.clock.ns += step_ns
        group = rig.decode(telemetry({"a": 1}), telemetry(b"junk"), telemetry({"a": 2}))
        times += [group.points[0].ts_ns, group.rejects[0].arrival_ns, group.points[1].ts_ns]
    assert times == sorted(set(times))
    assert times[-3] == rig.clock.ns


def test_arrival_times_follow_a_clock_that_is_set_back_far_and_ascend_from_there() -> None:
    rig = Rig()
    rig.decode(telemetry({"a": 1}))
    rig.clock.ns -= 3600 * NS_PER_S
    back_ns = rig.clock.ns
    times = [point.ts_ns for a in (2, 3) for point in rig.decode(telemetry({"a": a}), telemetry({"b": a})).points]
    rig.clock.ns += NS_PER_S
    times += [rig.decode(telemetry({"a": 4})).points[0].ts_ns]
    assert times == [back_ns, back_ns + 1, back_ns + 2, back_ns + 3, back_ns + NS_PER_S]


def test_a_clock_that_is_set_back_makes_nothing_a_message_from_the_future() -> None:
    rig = Rig()
    rig.decode(telemetry({"a": 1}))
    rig.clock.ns -= 86_400 * NS_PER_S
    assert rig.decode(telemetry({"a": 2})).rejects == []


def test_a_reject_that_is_decoded_again_gives_the_same_points_as_before() -> None:
    rig = Rig()
    before = rig.decode(telemetry({"x": 1}), telemetry(b'[{"a":1},{"a":NaN},{"values":{"b":1}}]'))
    again = rig.decode(telemetry(before.rejects[0].payload), arrival_ns=before.rejects[0].arrival_ns)
    assert again.points == before.points[1:]


def test_decoding_messages_of_the_past_does_not_move_the_clock_of_new_ones() -> None:
    rig = Rig()
    rig.decode(telemetry({"a": 1}))
    assert rig.decode(telemetry({"a": 1}), arrival_ns=NOW_NS - 5).points[0].ts_ns == NOW_NS - 5
    assert rig.decode(telemetry({"a": 1})).points[0].ts_ns == NOW_NS + 1


def test_how_far_a_clock_is_ahead_is_learnt_from_what_is_refused_for_it() -> None:
    rig = Rig()
    rig.decode(telemetry({"ts": NOW_MS + 3_600_000, "values": {"a": 1}}))
    assert rig.clocks.offset_s("n1") == pytest.approx(3600)


# -- sequence numbers and control messages ----------------------------------------------------------------------------


def test_sessions_numbers_and_dropped_ranges_are_noted_in_order_of_arrival() -> None:
    group = Rig().decode(
        telemetry({"values": {"a": 1}, "seq": 6}),
        status("online", session="s2"),
        telemetry([{"values": {"a": 1}, "seq": 1}, {"values": {"a": "x"}, "seq": 2}]),
        telemetry({"values": {"dropped_from": 3, "dropped_to": 5}, "seq": 6}, measurement="outbox"),
        status("offline", session="s2"),
        telemetry({"values": {"a": 1}, "seq": 9}, node="n2"),
        Sent("iot/v1/n1/log", b'{"message":"m","seq":7}'),
    )
    assert group.sequences == [
        ("n1", 6), ("n1", "s2"), ("n1", 1), ("n1", 2), ("n1", 6), ("n1", (3, 5)), ("n2", 9), ("n1", 7),
    ]  # fmt: skip


def test_the_number_of_a_message_counts_whatever_becomes_of_its_values() -> None:
    group = Rig().decode(telemetry({"ts": 0, "values": {"a": 1}, "seq": 3}))
    assert [reject.reason for reject in group.rejects] == [Reason.TOO_OLD]
    assert group.sequences == [("n1", 3)]


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        (telemetry({"values": {}, "seq": 3}), [3]),
        (telemetry({"values": {"a": None}, "seq": 0, "ts": "never"}), [0]),
        (telemetry({"values": {"a": 1}, "tags": {"node": "x"}, "seq": 3}), [3]),
        (telemetry({"values": {"a": "x" * 3000}, "seq": 3}), [3]),
        (telemetry([{"values": {"a": 1}, "seq": 1}, {"values": {}, "seq": 2}, 7, {"values": {}, "seq": 4}]), [1, 2, 4]),
        (telemetry({"values": {"a": 1, "b": [[]], "": 1}, "seq": 3}), [3]),
        (telemetry({"values": {}, "seq": -3}), []),
        (telemetry({"values": {}, "seq": "3"}), []),
        (telemetry(b"[" * 100_000), []),
        (Sent("plain/n1", b""), []),
    ],
)  # fmt: skip
def test_the_number_of_a_refused_message_counts_or_its_node_would_send_it_for_ever(
    message: Sent, numbers: list[int]
) -> None:
    group = Rig(PLAIN, limits=Limits(payload_bytes=2000)).decode(message)
    assert len(group.rejects) == 1
    assert group.sequences == [("n1", number) for number in numbers]


@pytest.mark.parametrize(
    "values",
    [{"dropped_from": 5, "dropped_to": 3}, {"dropped_from": -1, "dropped_to": 3}, {"dropped_from": 3},
     {"dropped_from": "3", "dropped_to": 5}, {"dropped_from": True, "dropped_to": 5}],
)  # fmt: skip
def test_a_range_that_is_none_drops_nothing(values: dict[str, Any]) -> None:
    assert Rig().decode(telemetry(values, measurement="outbox")).sequences == []


def test_control_messages_are_decoded_and_carry_their_arrival() -> None:
    group = Rig().decode(
        telemetry({"a": 1}),
        status("online", session="s", outbox=True, info={"os": "x"}),
        Sent("iot/v1/n1/cmd/collect", b""),
        Sent("iot/v1/n1/reply/7", b'{"id":"7","n":0,"state":"done"}'),
        Sent("iot/v1/n1/status", b"", retain=True),
    )
    assert [control.arrival_ns for control in group.controls] == [NOW_NS + i for i in (1, 2, 3, 4)]
    birth = group.controls[0].body
    assert birth == Status(NodeState.ONLINE, session="s", outbox=True, info={"os": "x"})
    assert group.controls[3].body is None
    assert group.rejects == []


def test_what_the_broker_says_of_itself_goes_to_the_watch() -> None:
    rig = Rig()
    topic = "$SYS/broker/publish/messages/dropped"
    group = rig.decode(Sent(topic, b"5", retain=True), Sent(topic, b"8"), Sent("$SYS/broker/uptime", b"7 seconds"))
    assert rig.watch.dropped == 3
    assert (len(group.controls), group.rejects) == (3, [])
