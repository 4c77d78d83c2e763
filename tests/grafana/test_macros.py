"""The stand-in for Grafana's own replacing does what Grafana's documentation says."""

from __future__ import annotations

import pytest

from tests.support.grafana import Range, influxql, promql, with_variables

SEVERAL = {"name": "node", "includeAll": True, "allValue": ".*"}


def test_several_values_become_an_alternation_of_escaped_values() -> None:
    text = with_variables("=~ /^${node:regex}$/", {"node": ["a.b", "c/d"]}, {"node": SEVERAL})
    assert text == r"=~ /^(a\.b|c\/d)$/"


def test_one_value_of_several_needs_no_parentheses() -> None:
    assert with_variables("/^${node:regex}$/", {"node": ["a"]}, {"node": SEVERAL}) == "/^a$/"


def test_all_is_what_the_variable_says_and_is_not_escaped() -> None:
    assert with_variables("/^${node:regex}$/", {"node": None}, {"node": SEVERAL}) == "/^.*$/"


def test_the_time_range_and_the_step_are_put_in() -> None:
    text = influxql("WHERE $timeFilter GROUP BY time($__interval)", Range(1000, 2000, "30s"), {}, {})
    assert text == "WHERE time >= 1000ms and time <= 2000ms GROUP BY time(30s)"


def test_what_nobody_replaces_is_found() -> None:
    with pytest.raises(AssertionError, match="left to replace"):
        influxql("WHERE $timeFilter AND a = $other", Range(1, 2), {}, {})


def test_the_range_of_a_promql_query_is_in_seconds() -> None:
    assert promql("increase(a[$__range])", Range(0, 60_000)) == "increase(a[60s])"
