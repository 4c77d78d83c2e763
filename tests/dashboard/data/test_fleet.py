"""Nodes, ledger and hosts, as pages show them."""

from __future__ import annotations

from typing import Any

import pytest

from dashboard.data import ledger, nodes
from dashboard.data.host import HOST, inventory, panels, published
from tests.support.answers import trace

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
