"""What becomes of each message: the whole table of bad input, and whatever else may arrive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.config import SourceSettings
from hub.guard import GuardLimits
from tests.support.hotpath import NOW_MS, NOW_NS, Rig, Sent, telemetry
from wire.errors import Reason
from wire.formats.base import Limits
from wire.point import Point, SeriesKey

if TYPE_CHECKING:
    from hub.group import Group

ROOM = SeriesKey("n1", "room")
PLAIN = SourceSettings(filter="plain/+", format="plain", node="{2}", measurement="value")
INFLUX = SourceSettings(filter="influx/+", format="influx", node="{2}")


def accounted(group: Group) -> int:
    """Messages of which the group says what became of them."""
    whole = [reject for reject in group.rejects if not reject.partial]
    return len(group.data) + len(whole) + len(group.controls)


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "payload", "reason", "said"),
    [
        ("iot/v1/n1/telemetry/room", b"", Reason.NOT_JSON, "starts with ''"),
        ("iot/v1/n1/telemetry/room", b"21.5 C", Reason.NOT_JSON, "starts with '21.5 C'"),
        ("iot/v1/n1/telemetry/room", b"\x00\x01\xfe\xff", Reason.NOT_UTF8, r"starts with '\x00\x01\xfe\xff'"),
        ("iot/v1/n1/telemetry/room", b'{"a":"\xff"}', Reason.NOT_UTF8, 'starts with \'{"a":"\\xff"}\''),
        ("iot/v1/n1/telemetry/room", b"21.5", Reason.WRONG_SHAPE, "not a number"),
        ("iot/v1/n1/telemetry/room", b"[1,2]", Reason.WRONG_SHAPE, "starts with '[1,2]'"),
        ("iot/v1/n1/telemetry/room", b'{"ts":1,"values":7}', Reason.WRONG_SHAPE, "values must be an object"),
        ("iot/v1/n1/telemetry/room", b"{}", Reason.NO_VALUES, "starts with '{}'"),
        ("iot/v1/n1/telemetry/room", b'{"a":NaN}', Reason.NOT_FINITE, "'a' = nan"),
        ("iot/v1/n1/telemetry/room", b'{"a":1e999}', Reason.NOT_FINITE, "'a' = inf"),
        ("iot/v1/n1/telemetry/room", rb'{"a":"\ud800"}', Reason.NOT_UTF8, "half a character"),
        ("iot/v1/n1/telemetry/room", b'{"ts":"today","values":{"a":1}}', Reason.BAD_TIMESTAMP, "'today'"),
        ("iot/v1/n1/telemetry/room", b'{"ts":0,"values":{"a":1}}', Reason.TOO_OLD, "days old"),
        ("iot/v1/n1/telemetry/room", b'{"ts":9e12,"values":{"a":1}}', Reason.IN_FUTURE, "is the node's clock right"),
        ("iot/v1/n1/telemetry/room", b'{"values":{"a":1},"tags":{"node":"x"}}', Reason.BAD_TAG, "tag 'node'"),
        ("iot/v1/n1/telemetry/room", b'{"' + b"k" * 129 + b'":1}', Reason.KEY_TOO_LONG, "limits.key_bytes"),
        ("iot/v1/n1/telemetry/room", b'{"a":' * 9 + b"1" + b"}" * 9, Reason.TOO_DEEP, "deeper than 8 levels"),
        ("iot/v1/n1/telemetry/room", b"[" * 100_000, Reason.TOO_DEEP, "starts with '[[[["),
        ("iot/v1/n1/telemetry/room", b" " * 2000 + b"{}", Reason.TOO_LARGE, "2002 bytes, 2000 are allowed"),
        ("iot/v1/n1/log", b"", Reason.NO_VALUES, "empty"),
        ("iot/v1/n1/log", b'{"level":"info"}', Reason.WRONG_SHAPE, "a record needs a message"),
        ("iot/v1/n1/log", b"\xff", Reason.NOT_UTF8, r"'\xff'"),
        ("iot/v1/n1/status", b"online", Reason.NOT_JSON, "starts with 'online'"),
        ("iot/v1/n1/status", b'{"state":"up"}', Reason.WRONG_SHAPE, "'up'"),
        ("iot/v1/n1/status", b'{"state":"online","ts":-1}', Reason.WRONG_SHAPE, "starts with"),
        ("iot/v1/n1/cmd/restart", b"now", Reason.NOT_JSON, "starts with 'now'"),
        ("iot/v1/n1/cmd/restart", b"[]", Reason.WRONG_SHAPE, "starts with '[]'"),
        ("iot/v1/n1/reply/7", b"", Reason.WRONG_SHAPE, "missing required field"),
        ("iot/v1/n1/reply/7", b"{" * 100_000, Reason.NOT_JSON, "starts with '{{{"),
        ("iot/v1/n1/stored", b'{"seq":1,"session":"s"}', Reason.UNKNOWN_TOPIC, "only the hub publishes on stored"),
        ("iot/v1/n1/alert/hot", b"{}", Reason.UNKNOWN_TOPIC, "only the hub publishes on alert"),
        ("iot/v1/n1/stats/room", b"{}", Reason.UNKNOWN_TOPIC, "only the hub publishes on stats"),
        ("iot/v1/$hub/h/status", b'{"state":"online"}', Reason.UNKNOWN_TOPIC, "only the hub publishes on hub-status"),
        ("influx/n1", b"cpu usage", Reason.BAD_LINE, "line 1"),
        ("influx/n1", b"# nothing", Reason.NO_VALUES, "no line in it"),
        ("plain/n1", b" ", Reason.NO_VALUES, "empty"),
        ("plain/n1", b"NaN", Reason.NOT_FINITE, "'NaN'"),
    ],
)
def test_bad_input_is_refused_with_a_reason_that_can_be_read(
    topic: str, payload: bytes, reason: Reason, said: str
) -> None:
    rig = Rig(PLAIN, INFLUX, limits=Limits(payload_bytes=2000 if b" " * 10 in payload else 1 << 20))
    group = rig.decode(Sent(topic, payload))
    (reject,) = group.rejects
    assert (reject.topic, reject.payload, reject.arrival_ns, reject.retain) == (topic, payload, NOW_NS, False)
    assert reject.reason is reason
    assert said in reject.detail
    assert reject.detail.isprintable()
    assert not reject.partial
    assert (group.points, group.data, group.controls) == ([], [], [])


@pytest.mark.parametrize(
    ("topic", "reason", "named"),
    [
        ("iot/v1/n1/temperature", Reason.UNKNOWN_TOPIC, "'temperature' after the node id"),
        ("iot/v1/n1/telemetry/a/b", Reason.UNKNOWN_TOPIC, "'iot/v1/n1/telemetry/a/b'"),
        ("iot/v1/n 1/telemetry/room", Reason.BAD_NODE_ID, "'n 1'"),
        ("elsewhere", Reason.UNKNOWN_TOPIC, "'elsewhere' is not below 'iot/v1'"),
    ],
)
@pytest.mark.parametrize("retain", [False, True])
def test_a_topic_of_nobody_is_refused_without_a_node(topic: str, reason: Reason, named: str, *, retain: bool) -> None:
    (reject,) = Rig().decode(Sent(topic, b'{"a":1}', retain)).rejects
    assert (reject.reason, reject.node, reject.payload, reject.retain) == (reason, None, b'{"a":1}', retain)
    assert named in reject.detail


def test_a_bad_message_does_not_touch_its_neighbours() -> None:
    group = Rig().decode(telemetry({"a": 1}), telemetry(b"junk"), Sent("junk", b"junk"), telemetry({"a": 2}))
    assert group.points == [Point(ROOM, NOW_NS, {"a": 1.0}), Point(ROOM, NOW_NS + 3, {"a": 2.0})]
    assert [reject.arrival_ns for reject in group.rejects] == [NOW_NS + 1, NOW_NS + 2]
    assert (group.nodes, group.ends) == (["n1", "n1"], [1, 2])


def test_a_bad_value_is_refused_alone_and_the_message_is_kept_for_a_look() -> None:
    message = telemetry(b'{"a":1,"b":NaN,"c":"x","d":[1e999]}')
    group = Rig().decode(message)
    assert [p.fields for p in group.points] == [{"a": 1.0, "c": "x"}]
    (reject,) = group.rejects
    assert (reject.reason, reject.partial, reject.payload) == (Reason.NOT_FINITE, True, message.payload)
    assert reject.detail == "not-finite: 'b' = nan; not-finite: 'd.0' = inf"
    assert group.values == {("n1", Reason.NOT_FINITE): 2}
    assert accounted(group) == 1


def test_a_message_of_which_the_guard_keeps_nothing_is_refused_whole() -> None:
    group = Rig(guard_limits=GuardLimits(series_per_node=1)).decode(telemetry({"a": 1}), telemetry({"b": 1}))
    (reject,) = group.rejects
    assert (reject.reason, reject.partial, reject.node) == (Reason.SERIES_LIMIT, False, "n1")
    assert group.values == {}
    assert (len(group.data), accounted(group)) == (1, 2)


def test_a_reject_names_ten_values_and_how_many_more() -> None:
    payload = b"{" + b",".join(b'"v%d":NaN' % i for i in range(15)) + b',"a":1}'
    (reject,) = Rig().decode(telemetry(payload)).rejects
    assert reject.detail.count("not-finite") == 10
    assert reject.detail.endswith("; and 5 more")


def test_a_type_clash_is_told_once_with_its_topic_and_stored_beside() -> None:
    rig = Rig()
    group = rig.decode(*(telemetry({"a": value}) for value in (1, "warm", "hot")))
    assert [p.fields for p in group.points] == [{"a": 1.0}, {"a_text": "warm"}, {"a_text": "hot"}]
    assert group.rejects == []
    ((topic, clash),) = rig.clashes
    assert topic == "iot/v1/n1/telemetry/room"
    assert (clash.key, clash.field, clash.sample, clash.stored_in) == (ROOM, "a", "'warm'", "a_text")


# -- whatever comes ---------------------------------------------------------------------------------------------------

_topics = st.sampled_from(
    ["iot/v1/n1/telemetry/room", "iot/v1/n2/telemetry/room", "iot/v1/n1/telemetry/outbox", "iot/v1/n1/log", "plain/n1",
     "influx/n1", "iot/v1/n1/status", "iot/v1/n1/cmd/x", "iot/v1/n1/reply/7", "iot/v1/n1/stored", "$SYS/x", "junk"]
)  # fmt: skip
_payloads = st.one_of(
    st.binary(max_size=20),
    st.text('{}[]":,.0123456789 eE-\\ud8atsvlueNIfy=', max_size=30).map(str.encode),
    st.sampled_from(
        [{"a": 1}, {"a": "x"}, {"a": True, "b": None}, [{"a": 1}, {"a": "y"}, 3], {"values": {"a": 2}, "seq": 1},
         {"ts": NOW_MS, "values": {"a": float("nan"), "b": 1}}, {"ts": 0, "values": {"a": 1}}, {"state": "online"},
         {"dropped_from": 1, "dropped_to": 2}, {"a": "\ud800"}, {"a": "9" * 5000}, {"message": "m"}]
    ).map(lambda content: json.dumps(content).encode()),
)  # fmt: skip


@given(st.lists(st.builds(Sent, _topics, _payloads, st.booleans()), max_size=8))
@example([Sent("iot/v1/n1/telemetry/room", b'{"a":1}'), Sent("iot/v1/n1/telemetry/room", b'{"a":"1e999"}')])
def test_whatever_arrives_each_message_is_stored_handled_or_refused(messages: list[Sent]) -> None:
    rig = Rig(PLAIN, INFLUX, guard_limits=GuardLimits(series_per_node=3))
    group = rig.decode(*messages)
    assert accounted(group) == len(messages)
    assert len(group.data) == len(group.nodes) == len(group.ends)
    assert group.ends == sorted(set(group.ends))
    assert (group.ends[-1] if group.ends else 0) == len(group.points)
    assert all(point.fields for point in group.points)
    sent = {(message.topic, message.payload, message.retain) for message in messages}
    for reject in group.rejects:
        assert (reject.topic, reject.payload, reject.retain) in sent
        reject.detail.encode()
