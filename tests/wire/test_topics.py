from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from wire.errors import Reason, TopicError
from wire.topics import (
    Address,
    Kind,
    Topics,
    check_filter,
    check_name,
    check_node_id,
    check_root,
    covers,
    matches,
    overlap,
    without_covered,
)

TOPICS = Topics()

node_ids = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
names = st.text(
    st.characters(exclude_characters="/+#", exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=128
)
roots = st.lists(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), min_size=1, max_size=4).map("/".join)


@given(roots, node_ids, names)
def test_every_topic_that_is_built_parses_to_what_it_was_built_from(root: str, node: str, name: str) -> None:
    topics = Topics(root)
    built = {
        topics.status(node): Address(Kind.STATUS, node),
        topics.log(node): Address(Kind.LOG, node),
        topics.stored(node): Address(Kind.STORED, node),
        topics.telemetry(node, name): Address(Kind.TELEMETRY, node, name),
        topics.command(node, name): Address(Kind.COMMAND, node, name),
        topics.reply(node, name): Address(Kind.REPLY, node, name),
        topics.alert(node, name): Address(Kind.ALERT, node, name),
        topics.stats(node, name): Address(Kind.STATS, node, name),
        topics.hub_status(node): Address(Kind.HUB_STATUS, node),
        topics.hub_command(node, name): Address(Kind.HUB_COMMAND, node, name),
        topics.hub_reply(node, name): Address(Kind.HUB_REPLY, node, name),
    }
    assert {topic: topics.parse(topic) for topic in built} == built


@given(st.text(max_size=80))
def test_any_text_is_either_a_topic_of_the_contract_or_a_topic_error(text: str) -> None:
    topic = TOPICS.root + "/" + text
    try:
        address = TOPICS.parse(topic)
    except TopicError:
        return
    node, *levels = text.split("/")
    assert address.node in {node, *levels}
    assert "/" not in address.name


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("", Reason.UNKNOWN_TOPIC),
        ("iot/v1", Reason.UNKNOWN_TOPIC),
        ("iot/v2/n/status", Reason.UNKNOWN_TOPIC),
        ("iot/v1x/n/status", Reason.UNKNOWN_TOPIC),
        ("/iot/v1/n/status", Reason.UNKNOWN_TOPIC),
        ("iot/v1/", Reason.BAD_NODE_ID),
        ("iot/v1//status", Reason.BAD_NODE_ID),
        ("iot/v1/n", Reason.UNKNOWN_TOPIC),
        ("iot/v1/n/", Reason.UNKNOWN_TOPIC),
        ("iot/v1/n/Status", Reason.UNKNOWN_TOPIC),
        ("iot/v1/n/status/", Reason.UNKNOWN_TOPIC),
        ("iot/v1/n/status/x", Reason.UNKNOWN_TOPIC),
        ("iot/v1/n/telemetry", Reason.UNKNOWN_TOPIC),
        ("iot/v1/n/telemetry/", Reason.UNKNOWN_TOPIC),
        ("iot/v1/n/telemetry/a/b", Reason.UNKNOWN_TOPIC),
        ("iot/v1/n/telemetry/" + "m" * 129, Reason.UNKNOWN_TOPIC),
        ("iot/v1/n/telemetry/a\nb", Reason.UNKNOWN_TOPIC),
        ("iot/v1/n/telemetry/a\x00b", Reason.UNKNOWN_TOPIC),
        ("iot/v1/n/hub-status", Reason.UNKNOWN_TOPIC),
        ("iot/v1/n n/status", Reason.BAD_NODE_ID),
        ("iot/v1/n\n/status", Reason.BAD_NODE_ID),
        ("iot/v1/knöten/status", Reason.BAD_NODE_ID),
        ("iot/v1/+/status", Reason.BAD_NODE_ID),
        ("iot/v1/" + "n" * 65 + "/status", Reason.BAD_NODE_ID),
        ("iot/v1/$hub/h", Reason.UNKNOWN_TOPIC),
        ("iot/v1/$hub/h/telemetry", Reason.UNKNOWN_TOPIC),
        ("iot/v1/$hub/h h/status", Reason.BAD_NODE_ID),
        ("iot/v1/$other/h/status", Reason.BAD_NODE_ID),
    ],
)
def test_a_hostile_topic_is_refused_with_its_reason(topic: str, reason: Reason) -> None:
    with pytest.raises(TopicError) as caught:
        TOPICS.parse(topic)
    assert caught.value.reason is reason


def test_a_topic_of_any_length_is_refused_with_a_short_message() -> None:
    with pytest.raises(TopicError) as caught:
        TOPICS.parse("x" * 65_535)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("node", ["", "a/b", "a b", "a+", "#", "$hub", "n\n", "ü", "n" * 65])
def test_a_node_id_outside_its_grammar_builds_no_topic(node: str) -> None:
    with pytest.raises(TopicError, match="bad-node-id"):
        TOPICS.status(node)


@pytest.mark.parametrize("name", ["", "a/b", "+", "a#", "tab\t", "\x7f", "\x85", "\ufdd0", "\U0010ffff", "m" * 129])
def test_a_name_that_is_not_one_level_builds_no_topic(name: str) -> None:
    with pytest.raises(TopicError, match="measurement"):
        TOPICS.telemetry("n", name)


def test_names_and_ids_at_their_longest_are_taken() -> None:
    assert check_node_id("n" * 64) == "n" * 64
    assert check_name("m" * 128, "measurement") == "m" * 128


@pytest.mark.parametrize("root", ["", "/", "a//b", "a/", "$SYS", "$share/g", "a/+", "#", "a\n"])
def test_a_root_that_is_not_plain_levels_is_refused(root: str) -> None:
    with pytest.raises(TopicError):
        check_root(root)


def test_a_node_may_send_its_own_topics_and_no_command() -> None:
    sends = TOPICS.node_sends("n")
    own = [TOPICS.status("n"), TOPICS.telemetry("n", "m"), TOPICS.log("n"), TOPICS.reply("n", "1")]
    assert all(any(matches(f, topic) for f in sends) for topic in own)
    others = [TOPICS.command("n", "c"), TOPICS.stored("n"), TOPICS.alert("n", "r"), TOPICS.status("m"), TOPICS.log("m")]
    assert not [topic for topic in others if any(matches(f, topic) for f in sends)]


def test_a_node_receives_its_commands_and_receipts_only() -> None:
    receives = TOPICS.node_receives("n")
    assert all(any(matches(f, topic) for f in receives) for topic in (TOPICS.command("n", "c"), TOPICS.stored("n")))
    others = [TOPICS.command("m", "c"), TOPICS.stored("m"), TOPICS.telemetry("n", "m")]
    assert not [topic for topic in others if any(matches(f, topic) for f in receives)]


def test_a_node_id_with_dots_and_dashes_does_not_reach_a_neighbour_by_prefix() -> None:
    assert not any(matches(f, TOPICS.status("node-10")) for f in TOPICS.node_sends("node-1"))


_levels = st.sampled_from(["", "a", "b", "$x", "$SYS"])
_topics = st.lists(_levels, min_size=1, max_size=5).map("/".join)
_filters = st.tuples(
    st.lists(st.one_of(_levels, st.just("+")), min_size=0, max_size=5), st.sampled_from([[], ["#"]])
).map(lambda parts: "/".join([*parts[0], *parts[1]]))


@given(_filters, _topics)
def test_matching_agrees_with_paho(topic_filter: str, topic: str) -> None:
    assert matches(topic_filter, topic) == topic_matches_sub(topic_filter, topic)


@given(_filters)
def test_every_filter_of_the_grammar_is_taken(topic_filter: str) -> None:
    if topic_filter:
        assert check_filter(topic_filter) == topic_filter


@pytest.mark.parametrize("topic_filter", ["", "#/a", "a/#/b", "a#", "a/b#", "a+/b", "++", "a/+b", "##", "a\x00"])
def test_a_filter_with_a_wildcard_out_of_place_is_refused(topic_filter: str) -> None:
    with pytest.raises(TopicError):
        check_filter(topic_filter)


def _witnesses(topic_filter: str) -> list[str]:
    """Topics that only a filter matches which covers this one: levels that no filter names stand for its wildcards."""
    levels = ["other" if level == "+" else level for level in topic_filter.split("/")]
    if levels[-1] != "#":
        return ["/".join(levels)]
    return ["/".join([*levels[:-1], *more]) for more in ([], ["other"], ["other", "other"]) if levels[:-1] or more]


@given(_filters.filter(bool), _filters.filter(bool))
def test_a_filter_covers_another_when_it_matches_all_that_the_other_does(wide: str, narrow: str) -> None:
    assert covers(wide, narrow) == all(matches(wide, topic) for topic in _witnesses(narrow))


_all_topics = ["/".join(parts) for n in (1, 2, 3, 4) for parts in product(["", "a", "$x", "other"], repeat=n)]
_short_filters = st.tuples(
    st.lists(st.sampled_from(["", "a", "$x", "+"]), max_size=3), st.sampled_from([[], ["#"]])
).map(lambda parts: "/".join([*parts[0], *parts[1]]))


@given(_short_filters.filter(bool), _short_filters.filter(bool))
def test_filters_overlap_when_some_topic_matches_both(one: str, other: str) -> None:
    both = any(matches(one, topic) and matches(other, topic) for topic in _all_topics)
    assert overlap(one, other) == overlap(other, one) == both


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        ([], []),
        (["iot/v1/#", "zigbee2mqtt/#"], ["iot/v1/#", "zigbee2mqtt/#"]),
        (["iot/v1/#", "iot/v1/+/telemetry/raw"], ["iot/v1/#"]),
        (["tele/+/SENSOR", "tele/#", "stat/a"], ["tele/#", "stat/a"]),
        (["a/b", "a/b"], ["a/b"]),
        (["iot/v1/#", "#", "$SYS/broker/uptime"], ["#", "$SYS/broker/uptime"]),
    ],
)
def test_filters_that_another_covers_are_left_out(wanted: list[str], kept: list[str]) -> None:
    assert without_covered(wanted) == kept
