"""Which topic is handled how: contract topics, other people's topics, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.config import SourceSettings
from hub.routes import Route, Routes, check_sources
from wire.errors import Reason, SettingsError
from wire.formats import FORMATS
from wire.formats.base import Limits
from wire.point import SeriesKey
from wire.topics import Kind, Topics


def source(topic_filter: str, node: str, measurement: str = "", payload_format: str = "plain") -> SourceSettings:
    return SourceSettings(filter=topic_filter, format=payload_format, node=node, measurement=measurement)


def make(*sources: SourceSettings, size: int = 100, root: str = "iot/v1") -> Routes:
    return Routes(Topics(root), Limits(), sources, size)


def refused(topic: str, *sources: SourceSettings) -> tuple[Reason, str]:
    refusal = make(*sources).find(topic).refusal
    assert refusal is not None
    return refusal.reason, refusal.detail


def data_of(route: Route) -> tuple[str, SeriesKey]:
    """Format and key of a topic that holds data."""
    assert route.decode is not None
    assert route.context is not None
    assert (route.refusal, route.address) == (None, None)
    (name,) = (name for name, decode in FORMATS.items() if decode is route.decode)
    return name, route.context.key


# -- contract topics --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "payload_format", "key"),
    [
        ("iot/v1/n1/telemetry/room", "json", SeriesKey("n1", "room")),
        ("iot/v1/A.b_c-9/telemetry/größe 1", "json", SeriesKey("A.b_c-9", "größe 1")),
        ("iot/v1/n1/log", "log", SeriesKey("n1", "log")),
    ],
)
def test_telemetry_and_logs_are_data(topic: str, payload_format: str, key: SeriesKey) -> None:
    route = make().find(topic)
    assert data_of(route) == (payload_format, key)
    assert route.node == key.node
    assert not route.careful


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        ("iot/v1/n1/status", Kind.STATUS),
        ("iot/v1/n1/cmd/restart", Kind.COMMAND),
        ("iot/v1/n1/reply/7", Kind.REPLY),
        ("iot/v1/n1/stored", Kind.STORED),
        ("iot/v1/n1/alert/hot", Kind.ALERT),
        ("iot/v1/n1/stats/room", Kind.STATS),
        ("iot/v1/$hub/h1/status", Kind.HUB_STATUS),
    ],
)
def test_the_other_contract_topics_are_control(topic: str, kind: Kind) -> None:
    route = make().find(topic)
    assert route.decode is None
    assert route.address is not None
    assert (route.address.kind, route.node) == (kind, route.address.node)


def test_what_a_node_says_about_its_outbox_is_looked_at_point_by_point() -> None:
    assert make().find("iot/v1/n1/telemetry/outbox").careful


def test_what_the_broker_says_about_itself_is_no_node_s_data() -> None:
    route = make(source("#", "x")).find("$SYS/broker/publish/messages/dropped")
    assert (route.of_broker, route.node, route.decode, route.refusal) == (True, "", None, None)


@pytest.mark.parametrize(
    ("topic", "reason", "named"),
    [
        ("iot/v1/n1", Reason.UNKNOWN_TOPIC, "after the node id"),
        ("iot/v1/n1/temperature", Reason.UNKNOWN_TOPIC, "'temperature' after the node id is none of"),
        ("iot/v1/n1/telemetry", Reason.UNKNOWN_TOPIC, "'iot/v1/n1/telemetry'"),
        ("iot/v1/n1/telemetry/a/b", Reason.UNKNOWN_TOPIC, "'iot/v1/n1/telemetry/a/b'"),
        ("iot/v1/n1/log/x", Reason.UNKNOWN_TOPIC, "'iot/v1/n1/log/x'"),
        ("iot/v1/n1/telemetry/" + "m" * 129, Reason.UNKNOWN_TOPIC, "'mmm"),
        ("iot/v2/n1/log", Reason.UNKNOWN_TOPIC, "'iot/v2/n1/log'"),
        ("zigbee2mqtt/lamp", Reason.UNKNOWN_TOPIC, "'zigbee2mqtt/lamp'"),
        ("iot/v1/bad node/log", Reason.BAD_NODE_ID, "'bad node'"),
        ("iot/v1//log", Reason.BAD_NODE_ID, "''"),
        ("iot/v1/" + "n" * 65 + "/log", Reason.BAD_NODE_ID, "'nnn"),
        ("iot/v1/n\u202e1/log", Reason.BAD_NODE_ID, r"'n\u202e1'"),
        ("iot/v1/$hub/h1/log", Reason.UNKNOWN_TOPIC, "below $hub"),
        ("iot/v1/$hub/bad hub/status", Reason.BAD_NODE_ID, "'bad hub'"),
    ],
)
def test_topics_outside_the_contract_are_refused_by_name(topic: str, reason: Reason, named: str) -> None:
    found, detail = refused(topic)
    assert found is reason
    assert named in detail
    assert detail.isprintable()
    assert len(detail) < 400


# -- other people's topics --------------------------------------------------------------------------------------------


def test_a_source_takes_node_and_measurement_from_the_levels_of_the_topic() -> None:
    routes = make(source("tele/+/SENSOR", "{2}", "{1}-{3}", "json"))
    assert data_of(routes.find("tele/kitchen/SENSOR")) == ("json", SeriesKey("kitchen", "tele-SENSOR"))


def test_a_source_may_name_node_and_measurement_itself() -> None:
    assert data_of(make(source("meter/power", "meter-1", "power")).find("meter/power")) == (
        "plain", SeriesKey("meter-1", "power"),
    )  # fmt: skip


def test_without_a_measurement_the_format_names_it() -> None:
    assert data_of(make(source("a/+", "{2}", "", "influx")).find("a/b"))[1] == SeriesKey("b", "influx")


def test_the_first_source_that_matches_wins_also_over_the_contract() -> None:
    routes = make(source("a/x", "first"), source("a/+", "second"), source("iot/v1/+/telemetry/raw", "{3}", "raw"))
    assert routes.find("a/x").node == "first"
    assert routes.find("a/y").node == "second"
    assert data_of(routes.find("iot/v1/n1/telemetry/raw")) == ("plain", SeriesKey("n1", "raw"))
    assert data_of(routes.find("iot/v1/n1/telemetry/other"))[0] == "json"


def test_a_level_that_makes_no_node_id_is_refused_by_name() -> None:
    reason, detail = refused("a/Living Room", source("a/+", "{2}"))
    assert reason is Reason.BAD_NODE_ID
    assert "'Living Room'" in detail


def test_a_topic_without_the_level_that_an_open_filter_asks_for_is_refused() -> None:
    open_ended = source("a/#", "n", "{3}")
    assert data_of(make(open_ended).find("a/b/c"))[1] == SeriesKey("n", "c")
    assert refused("a/b", open_ended) == (
        Reason.UNKNOWN_TOPIC, "'a/b' has no level 3, which [[sources]] asks for",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (source("a/+", "{3}"), "settings: sources[1].filter = 'a/+': has no level 3; counted from 1"),
        (source("a/+", "n", "{0}"), "settings: sources[1].filter = 'a/+': has no level 0; counted from 1"),
        (source("a/+", "my node"), "settings: sources[1].node = 'my node': node id 'my node' is not 1 to 64 of"),
        (source("a/+", "{device}"), "settings: sources[1].node = '{device}': node id '{device}' is not 1 to 64 of"),
        (source("a/+", "n", "a/b"), "settings: sources[1].measurement = 'a/b': measurement 'a/b' is not 1 to 128"),
    ],
)
def test_a_source_that_can_never_work_is_a_mistake_in_the_settings(wrong: SourceSettings, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        make(source("fine/+", "{2}", "x {2} y"), wrong)
    assert [str(p)[: len(problem)] for p in caught.value.problems] == [problem]


def test_all_mistakes_of_all_sources_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        check_sources([source("a/+", "{3}{4}"), source("b", "{2}")], Topics())
    assert len(caught.value.problems) == 3


def test_an_unknown_format_is_named_with_those_there_are() -> None:
    unknown = source("a", "n").model_copy(update={"format": "xml"})
    with pytest.raises(SettingsError, match=r"sources\[0\].format = 'xml': is none of the formats .*influx.*json"):
        check_sources([unknown], Topics())


@pytest.mark.parametrize(
    ("filters", "problem"),
    [
        (["a/+/x", "a/b/#"], "sources[1].filter = 'a/b/#': matches some topics of sources[0].filter = 'a/+/x', but"),
        (["+/v1/+"], "sources[0].filter = '+/v1/+': matches some topics of mqtt.root = 'iot/v1/#', but not all"),
        (["c", "a/+", "+/b"], "sources[2].filter = '+/b': matches some topics of sources[1].filter = 'a/+', but"),
    ],
)
def test_filters_that_would_bring_messages_twice_are_a_mistake_in_the_settings(
    filters: list[str], problem: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        check_sources([source(each, "n") for each in filters], Topics())
    assert [str(p)[: len(problem) + 10] for p in caught.value.problems] == [f"settings: {problem}"]


@pytest.mark.parametrize("filters", [["a/x", "a/+"], ["a/+/x", "a/b/#", "a/#"], ["a/+", "a/+"], ["a/+", "b/+/#"]])
def test_filters_that_lie_in_each_other_or_apart_are_none(filters: list[str]) -> None:
    check_sources([source(each, "n") for each in filters], Topics())


# -- the cache --------------------------------------------------------------------------------------------------------


def test_a_route_is_worked_out_once() -> None:
    routes = make()
    route = routes.find("iot/v1/n1/log")
    assert routes.find("iot/v1/n1/log") is route
    assert routes.cache == {"iot/v1/n1/log": route}


def test_a_topic_that_goes_on_coming_is_worked_out_once_however_many_others_pass() -> None:
    routes = make(size=6)
    first = routes.find("iot/v1/a/log")
    for i in range(100):
        routes.find(f"junk/{i}")
        assert routes.find("iot/v1/a/log") is first
        assert len(routes.cache) <= 3


def test_a_topic_that_stays_away_is_forgotten_and_worked_out_again() -> None:
    routes = make(size=6)
    first = routes.find("iot/v1/a/log")
    for i in range(10):
        routes.find(f"junk/{i}")
    again = routes.find("iot/v1/a/log")
    assert again is not first
    assert data_of(again)[1].node == "a"


@given(st.text(st.sampled_from("iotv1/n$hub+#SYlge \x00ü"), max_size=30), st.sampled_from(["", "iot/v1/", "iot/v1/n/"]))
def test_any_topic_is_data_control_or_refused(tail: str, start: str) -> None:
    route = make(source("n/#", "{2}", "{1}")).find(start + tail)
    kinds = (route.decode is not None, route.address is not None, route.refusal is not None, route.of_broker)
    assert sum(kinds) == 1
