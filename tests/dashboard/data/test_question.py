"""What is asked of Explore: to the address of the page and back, and as lines to copy."""

from __future__ import annotations

import fnmatch
import shlex
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.data.question import AGGREGATES, REDUCED, Question, from_page, literal
from dashboard.data.ranges import LAST_HOUR, PRESETS, STEPS, Range, seconds

HOSTILE = "$(reboot) `id` 'x' \"y\" ; rm -rf / & | < > * ? [a] é \\ \n {n}"
NAMES = st.text(min_size=1, max_size=12)
MANY = st.lists(NAMES, max_size=4).map(tuple)
RANGES = st.one_of(
    st.sampled_from([Range(start) for start in PRESETS.values()]),
    st.just(Range("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z")),
)
QUESTIONS = st.builds(
    Question,
    measurement=NAMES,
    fields=MANY,
    nodes=MANY,
    tags=st.dictionaries(NAMES, NAMES, max_size=3).map(lambda tags: tuple(sorted(tags.items()))),
    range=RANGES,
    fn=st.sampled_from(AGGREGATES),
    every=st.sampled_from(["", "5m"]),
    second=MANY,
    compare=st.booleans(),
)


@given(QUESTIONS)
def test_a_link_reproduces_the_view(question: Question) -> None:
    shown = question.page()
    assert from_page({name: [one] if isinstance(one, str) else one for name, one in shown.items()}) == question


@given(st.dictionaries(st.sampled_from(["m", "f", "from", "to", "fn", "every", "compare", "tag."]), st.lists(NAMES)))
def test_any_link_gives_a_question(given_params: dict[str, list[str]]) -> None:
    assert isinstance(from_page(given_params), Question)


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        ("never", "now"),
        ("now", "-1h"),
        ("-1h", "-1h"),
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("-99999999999d", "now"),
    ],
)
def test_a_wrong_range_in_a_link_is_the_last_hour(start: str, stop: str) -> None:
    assert from_page({"m": ["cpu"], "from": [start], "to": [stop]}).range == LAST_HOUR


def test_a_wrong_aggregate_in_a_link_is_the_reduction() -> None:
    assert from_page({"fn": ["drop table"]}).fn == REDUCED


def test_the_reduction_asks_for_points_and_an_aggregate_for_windows() -> None:
    assert Question("cpu", ("usage",)).requests(points=500) == [
        {"measurement": "cpu", "field": "usage", "nodes": None, "start": "-1h", "stop": "now", "points": 500}
    ]
    (asked,) = Question("cpu", ("usage",), ("a", "b"), (("core", "0"),), fn="mean", every="5m").requests(points=500)
    assert asked == {
        "measurement": "cpu",
        "field": "usage",
        "nodes": "a,b",
        "start": "-1h",
        "stop": "now",
        "tag.core": "0",
        "every": "5m",
        "fn": "mean",
    }


def test_every_sample_is_asked_for_without_points() -> None:
    assert "points" not in Question("cpu", ("usage",)).requests(points=None)[0]


def test_one_request_a_field() -> None:
    assert [params["field"] for params in Question("cpu", ("a", "b")).requests(points=1)] == ["a", "b"]


@given(NAMES)
def test_a_literal_matches_its_text_only(text: str) -> None:
    assert fnmatch.fnmatchcase(text, literal(text))
    assert not fnmatch.fnmatchcase(text + "x", literal(text))


def test_the_curl_line_keeps_hostile_text_in_one_word() -> None:
    (line,) = Question(HOSTILE, (HOSTILE,), (HOSTILE,), ((HOSTILE, HOSTILE),)).curl("http://127.0.0.1:8080")
    # What the shell itself fills in: the token.
    words = shlex.split(line)
    assert words[:2] == ["curl", "-H"]
    assert len(words) == 4
    asked = parse_qs(urlsplit(words[3]).query)
    assert asked["nodes"] == [HOSTILE]
    assert asked["tag." + HOSTILE] == [HOSTILE]
    assert asked["field"] == [literal(HOSTILE)]
    assert "$(reboot)" not in line
    assert "`" not in line


def test_command_lines_keep_hostile_text_in_one_word() -> None:
    (line,) = Question(HOSTILE, (HOSTILE,), (HOSTILE,), ((HOSTILE, HOSTILE),), fn="max", every="5m").command()
    words = shlex.split(line)
    assert words[:2] == ["iothub", "query"]
    assert words[words.index("--tag") + 1] == f"{HOSTILE}={HOSTILE}"
    assert words[words.index("--node") + 1] == HOSTILE
    assert words[-6:] == ["--last", "1h", "--every", "5m", "--fn", "max"]


def test_command_lines_are_one_a_field_and_node_and_say_own_ranges() -> None:
    own = Range("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    lines = Question("cpu", ("a", "b"), ("n1", "n2"), range=own).command()
    assert len(lines) == 4
    begins = "iothub query cpu.a --node n1 --start 2026-01-01T00:00:00.000Z"
    assert lines[0] == f"{begins} --stop 2026-01-02T00:00:00.000Z"
    # The command line knows no "now": it is where a range without an end ends.
    (line,) = Question("cpu", ("a",), ("n1",), range=Range("2026-01-01T00:00:00Z")).command()
    assert line == begins
    (line,) = Question("cpu", ("a",), range=Range("-2h", "-1h")).command()
    assert "-2h" not in line
    assert "-1h" not in line


@given(st.sampled_from(STEPS), st.sampled_from(sorted(PRESETS.values())))
def test_a_chart_never_has_more_than_its_points_of_an_aggregate(every: str, start: str) -> None:
    asked = Question("cpu", ("usage",), range=Range(start), fn="mean", every=every)
    (params,) = asked.requests(points=2_000)
    begin, end = asked.range.instants(datetime.now(UTC))
    assert (end - begin).total_seconds() / (seconds(str(params["every"])) or 0) <= 2_000
    assert asked.requests(points=None)[0]["every"] == every
