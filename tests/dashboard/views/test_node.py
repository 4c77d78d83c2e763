"""**Node**: each tab of a host's page, and nodes whose names would be paths."""

from __future__ import annotations

import pytest

from tests.support.apps import HOSTILE, cells, opened, page, words

pytestmark = pytest.mark.usefixtures("as_viewer")


def tab(name: str, node: str = "host1") -> tuple[str, str]:
    """Words and cells with the tab ``name`` open."""
    app = opened("node", {"node tabs": name}, node=node)
    assert not app.exception, app.exception
    assert not app.error, words(app)
    assert len(app.get("plotly_chart")) == (name == "Connections")
    return words(app), cells(app)


def test_what_it_publishes_is_listed_with_its_newest_value() -> None:
    _, shown = tab("What it publishes")
    assert "cpu.usage" in shown


def test_the_inventory_is_what_the_node_says_of_itself() -> None:
    _, shown = tab("Inventory")
    assert "Linux" in shown
    assert "commands" not in shown


def test_connections_are_a_timeline_and_a_table_with_what_ended_them() -> None:
    _, shown = tab("Connections")
    assert "will" in shown
    assert "30 min" in shown
    assert "now" in shown
    assert "1 min" in shown  # it lasts


def test_its_logs_are_cells() -> None:
    said, shown = tab("Logs")
    assert HOSTILE in shown
    assert HOSTILE not in said


def test_its_alerts_are_listed_and_those_of_others_are_not() -> None:
    _, shown = tab("Alerts", "boiler")
    assert "hot" in shown
    assert shown.count("critical") == 1
    said, _ = tab("Alerts")
    assert "No alert fired" in said


def test_its_ledger_is_its_own() -> None:
    _, shown = tab("Ledger", "boiler")
    assert "not-json: 1" in shown


@pytest.mark.parametrize("name", ["../users", "..%2fusers", "a/../../token"])
def test_a_name_that_would_be_a_path_is_only_a_name(name: str) -> None:
    app = page("node", node=name)
    assert not app.exception, app.exception
    assert "There is n" in words(app)  # no node of that name, or nothing at that path
