"""Alerts, rules, commands, nodes, ledger and hosts, as pages show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboard.data import alerts, ledger, nodes
from dashboard.data.commands import Argument, arguments, catalogue, given
from dashboard.data.host import HOST, inventory, panels, published
from dashboard.data.rules import above_of, measurement_and_field, with_above
from tests.support.answers import alert, trace

# -- alerts ------------------------------------------------------------------------------------------------------------


def test_open_alerts_come_first_the_worst_before_others() -> None:
    found = alerts.rows(
        [
            alert(1, severity="critical", resolved="2026-01-01T00:01:00Z"),
            alert(2, severity="info"),
            alert(3, severity="warning", started="2026-01-02T00:00:00Z"),
            alert(4, severity="warning"),
            alert(5, severity="critical"),
        ]
    )
    assert [row["Number"] for row in found] == [5, 4, 3, 2, 1]


def test_an_alert_is_a_row_in_words() -> None:
    row = alerts.row(
        alert(
            resolved="2026-01-01T01:05:00Z", flapping=True, acknowledged_by="ann", silenced_until="2026-01-02T00:00:00Z"
        )
    )
    assert (row["Severity"], row["State"], row["Lasted"]) == ("▲ warning", "firing, flapping", "1 h 5 min")
    assert (row["Taken by"], row["Silenced"]) == ("ann", "yes")
    assert alerts.row(alert(assignee="kim", acknowledged_by="ann"))["Taken by"] == "kim"


def test_an_alert_that_has_not_fired_yet_is_shown_from_its_start() -> None:
    assert alerts.row(alert(fired=None, resolved="2026-01-01T00:00:05Z"))["Lasted"] == "5 s"


def test_alerts_about_some_fields_are_found_once() -> None:
    found = alerts.concerning(
        [alert(1), alert(1), alert(2, series="cpu.load1"), alert(3, series="cpu2.usage"), alert(4, series="cpu.usage")],
        "cpu",
        ["usage"],
    )
    assert [one["id"] for one in found] == [1, 4]


def test_a_band_reaches_from_firing_to_the_end_or_to_now() -> None:
    ended, lasting = alerts.bands([alert(resolved="2026-01-01T01:00:00Z", worst="critical"), alert()])
    assert (ended.stop - ended.start, ended.severity, ended.text) == (timedelta(hours=1), "critical", "cpu-busy")
    assert abs(lasting.stop - datetime.now(UTC)) < timedelta(minutes=1)


def test_intervals_of_a_backtest_are_bands_without_words() -> None:
    (band,) = alerts.intervals([{"start": "2026-01-01T00:00:00Z", "stop": None, "severity": "info"}])
    assert (band.severity, band.text) == ("info", "")
    assert band.stop > band.start


# -- rules -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("above", "found"),
    [
        (90, ("warning", 90.0)),
        ({"critical": 98, "warning": 90}, ("warning", 90.0)),
        ({"critical": 98}, ("critical", 98.0)),
        ({"info": 1.5}, ("info", 1.5)),
        ({}, None),
        ("90", None),
        (True, None),
        (None, None),
    ],
)
def test_the_threshold_of_a_rule(above: Any, found: tuple[str, float] | None) -> None:
    assert above_of({"above": above}) == found


def test_a_rule_without_threshold_has_none() -> None:
    assert above_of({"below": 3}) is None


def test_a_moved_threshold_keeps_the_distance_of_clear_and_the_rule_itself() -> None:
    rule = {"metric": "cpu.usage", "above": 90, "clear": 80}
    assert with_above(rule, "warning", 70) == {"metric": "cpu.usage", "above": 70, "clear": 60}
    assert rule == {"metric": "cpu.usage", "above": 90, "clear": 80}


def test_a_moved_threshold_leaves_other_severities() -> None:
    rule = {"above": {"warning": 30, "critical": 40}, "clear": 28}
    assert with_above(rule, "warning", 35.0) == {"above": {"warning": 35.0, "critical": 40}, "clear": 33.0}
    assert rule["above"] == {"warning": 30, "critical": 40}


def test_without_clear_none_appears() -> None:
    assert with_above({"above": 90}, "warning", 70) == {"above": 70}


@pytest.mark.parametrize(
    ("metric", "named"),
    [
        ("cpu.usage", ("cpu", "usage")),
        ("a.b.c", ("a", "b.c")),
        ("cpu.*", None),
        ("c?u.usage", None),
        ("cpu", None),
        (None, None),
        (["cpu.usage"], None),
    ],
)
def test_the_curve_of_a_rule(metric: Any, named: tuple[str, str] | None) -> None:
    assert measurement_and_field({"metric": metric}) == named


# -- commands ----------------------------------------------------------------------------------------------------------

SCHEMA = {
    "required": ["path"],
    "properties": {
        "path": {"type": "string", "description": "a file"},
        "lines": {"type": "integer", "default": 10},
        "share": {"type": "number"},
        "all": {"type": "boolean", "default": False},
        "level": {"enum": ["low", "high"], "default": "low"},
        "names": {"type": "array"},
        "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "odd": {},
    },
}


def test_a_schema_becomes_fields() -> None:
    fields = arguments(SCHEMA)
    assert [(one.name, one.kind) for one in fields] == [
        ("path", "text"),
        ("lines", "whole"),
        ("share", "number"),
        ("all", "boolean"),
        ("level", "choice"),
        ("names", "json"),
        ("limit", "whole"),
        ("odd", "text"),
    ]
    assert fields[0] == Argument("path", "text", required=True, help="a file")
    assert fields[4].choices == ("low", "high")


@pytest.mark.parametrize("schema", [None, {}])
def test_no_schema_is_no_fields(schema: dict[str, Any] | None) -> None:
    assert arguments(schema) == []


def test_what_was_filled_in_becomes_arguments_and_defaults_are_left_to_the_node() -> None:
    values = {
        "path": "/var/x",
        "lines": 20.0,
        "share": None,
        "all": False,
        "level": "low",
        "names": "[1, 2]",
        "limit": "",
    }
    args = given(arguments(SCHEMA), values)
    assert args == {"path": "/var/x", "lines": 20, "names": [1, 2]}
    assert isinstance(args["lines"], int)


@pytest.mark.parametrize("missing", [{}, {"path": None}, {"path": ""}])
def test_what_is_required_and_missing_is_named(missing: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^path must be given\.$"):
        given(arguments(SCHEMA), missing)


def test_what_is_no_json_is_named_with_the_place() -> None:
    with pytest.raises(ValueError, match=r"^names is no JSON: .* at character 1\.$"):
        given(arguments(SCHEMA), {"path": "x", "names": "[oops"})


def test_what_is_required_is_sent_even_if_it_is_the_default() -> None:
    fields = arguments({"required": ["n"], "properties": {"n": {"type": "integer", "default": 1}}})
    assert given(fields, {"n": 1}) == {"n": 1}


def test_commands_that_a_node_refuses_are_not_offered_and_ping_is_first() -> None:
    info = {
        "commands": [
            {"name": "disk-usage", "allowed": True},
            {"name": "reboot", "allowed": False},
            {"name": "cancel", "allowed": True},
            {"name": "ping", "allowed": True},
        ]
    }
    assert list(catalogue(info)) == ["ping", "disk-usage"]
    assert catalogue({}) == {}


# -- nodes -------------------------------------------------------------------------------------------------------------


def node(name: str, contact: str = "online", **values: Any) -> dict[str, Any]:
    return {"node": name, "contact": contact, "last_seen": None, "groups": ["lab", "x"], "version": None} | values


def test_what_needs_a_person_comes_first() -> None:
    everyone = [node("d", "never"), node("c"), node("b", "offline"), node("a", "silent"), node("e")]
    assert [row["Node"] for row in nodes.rows(everyone, {}, {"e": 2})] == ["e", "a", "b", "c", "d"]


def test_a_node_is_a_row_in_words() -> None:
    (row,) = nodes.rows([node("dev1", "silent")], {"dev1": [1.0, 2.0]}, {"dev1": 3})
    assert (row["State"], row["Last seen"], row["Alerts"], row["Groups"]) == ("◐ silent", "never", 3, "lab, x")
    assert row["CPU, last hour"] == [1.0, 2.0]


def test_nodes_are_counted_by_state() -> None:
    found = nodes.counts([node("a"), node("b"), node("c", "silent")])
    assert (found["online"], found["silent"], found["offline"], found.total()) == (2, 1, 0, 3)


def test_sparklines_are_of_whole_hosts_and_of_numbers() -> None:
    found = nodes.sparklines(
        [
            trace([1.04, float("nan"), 2.0]),
            trace([9.0], core="0"),
            trace(["words"], node="dev2"),
            trace([3.0], node="dev3"),
        ]
    )
    assert found == {"dev1": [1.0, 2.0], "dev3": [3.0]}


# -- ledger ------------------------------------------------------------------------------------------------------------


def books(**values: Any) -> dict[str, Any]:
    counts = dict.fromkeys(
        ("received", "stored", "duplicate", "handled", "missing", "late", "dropped_by_node", "unaccounted"), 0
    )
    return {"node": "dev1", "refused": {}, **counts} | values


def test_the_ledger_is_rows_with_reasons() -> None:
    (row,) = ledger.rows([books(received=5, stored=2, refused={"too-large": 1, "bad-json": 2})])
    assert (row["Received"], row["Refused"], row["Why"]) == (5, 3, "bad-json: 2, too-large: 1")
    assert "Hour" not in row


def test_an_hour_and_what_came_from_no_node_are_named() -> None:
    (row,) = ledger.rows([books(node="", start="2026-01-01T05:00:00Z")])
    assert (row["Hour"], row["Node"]) == ("2026-01-01 05:00", "(no node)")


def test_the_books_balance_when_every_message_is_somewhere() -> None:
    sums = ledger.totals(
        [books(received=6, stored=3, refused={"a": 1}, duplicate=1, handled=1), books(received=1, stored=1, missing=7)]
    )
    assert (sums["received"], sums["stored"], sums["refused"], sums["missing"]) == (7, 4, 1, 7)
    assert ledger.balances(sums)


@pytest.mark.parametrize("wrong", [{"received": 2, "stored": 1}, {"received": 1, "stored": 1, "unaccounted": 1}])
def test_books_that_do_not_balance_are_seen(wrong: dict[str, int]) -> None:
    assert not ledger.balances(ledger.totals([books(**wrong)]))


def test_no_rows_balance() -> None:
    assert ledger.balances(ledger.totals([]))


def test_a_session_is_a_row_without_its_gaps() -> None:
    assert ledger.session({"first_seq": 1, "gaps": [[1, 2]]}) == {"First seq": 1}


# -- hosts -------------------------------------------------------------------------------------------------------------


def series(measurement: str, field: str, kind: str = "float", **values: Any) -> dict[str, Any]:
    said = {"tags": {}, "value": 1.0, "first": None, "last": None}
    return {"measurement": measurement, "field": field, "kind": kind} | said | values


def test_a_host_has_the_known_charts_with_those_fields_that_it_publishes() -> None:
    found = panels(
        [series("net", "tx_bytes_per_s"), series("cpu", "usage"), series("cpu", "usage", tags={"core": "0"})]
    )
    assert [(panel.title, panel.fields, panel.unit) for panel in found] == [
        ("Processor, by core", ("usage",), "%"),
        ("Network, by interface", ("tx_bytes_per_s",), "bytes/s"),
    ]


def test_other_measurements_follow_a_chart_a_field_and_words_have_none() -> None:
    found = panels([series("room", "humidity"), series("room", "door", "text"), series("cpu", "usage")])
    assert [panel.title for panel in found] == ["Processor, by core", "room.humidity"]


def test_there_are_not_endlessly_many_charts() -> None:
    assert len(panels([series(f"m{i}", "x") for i in range(500)])) <= 20


def test_a_node_that_publishes_nothing_has_no_charts() -> None:
    assert panels([]) == []


def test_every_host_chart_says_what_of() -> None:
    assert len({panel.title for panel in HOST}) == len(HOST)


def test_what_is_published_is_shown_with_its_newest_value() -> None:
    (row,) = published([series("cpu", "usage", tags={"core": "0"}, value=1 / 3, last="2026-01-01T00:00:00Z")], "UTC")
    assert row == {
        "Series": "cpu.usage",
        "Tags": "core=0",
        "Value": "0.333333",
        "At": "2026-01-01 00:00:00",
        "Since": "",
    }


def test_the_inventory_is_words_without_commands() -> None:
    found = inventory({"os_name": "Debian", "disks": [{"name": "a"}, "b"], "none": None, "on": True, "commands": [1]})
    assert [(row["What"], row["Value"]) for row in found] == [
        ("os name", "Debian"),
        ("disks", "name: a, b"),
        ("none", ""),
        ("on", "True"),
    ]
