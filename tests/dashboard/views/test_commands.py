"""**Commands**: the form is that of the schema, what is sent is what was filled in, and what comes back is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.apps import HOSTILE, Served, cells, opened, page, press, widget, words

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

MANY = {"commands tabs": "To many nodes"}


def work(**state: str) -> AppTest:
    """The form of command ``work``."""
    app = opened("commands", state, node="host1")
    label = "Command of the nodes" if state else "Command"
    drawn: AppTest = widget(app.selectbox, label).set_value("work").run()
    return drawn


def sent(api: Served) -> tuple[str, str, dict[str, Any]]:
    node, name, body, _ = api.link.published[-1]
    return node, name, dict(body.args)


@pytest.mark.usefixtures("as_operator")
@pytest.mark.parametrize("state", [{}, MANY], ids=["one", "many"])
def test_the_form_has_the_fields_of_the_schema_with_its_defaults(state: dict[str, str]) -> None:
    app = work(**state)
    assert widget(app.text_input, "path *").value == ""
    assert (widget(app.selectbox, "level").value, widget(app.selectbox, "level").options) == ("low", ["low", "high"])
    assert widget(app.selectbox, "size").value is None
    assert widget(app.multiselect, "names").value == ["a"]
    assert (widget(app.number_input, "lines").value, widget(app.number_input, "lines").min) == (10, 0)
    assert widget(app.number_input, "share").value is None
    assert widget(app.checkbox, "all").value is True
    assert widget(app.text_input, "counts").value == "[1]"


@pytest.mark.usefixtures("as_operator")
def test_what_is_filled_in_is_sent_and_output_and_result_come_back_as_text(api: Served) -> None:
    app = work()
    widget(app.text_input, "path *").set_value("/data")
    widget(app.selectbox, "size").set_value(2)
    widget(app.multiselect, "names").set_value(["a", "b"])
    widget(app.number_input, "lines").set_value(0)
    widget(app.checkbox, "all").set_value(False)
    widget(app.text_input, "counts").set_value("[1, 2]")
    press(app, "Send")
    assert sent(api) == (
        "host1",
        "work",
        {"path": "/data", "size": 2, "names": ["a", "b"], "lines": 0, "all": False, "counts": [1, 2]},
    )
    assert f"{HOSTILE} of host1" in [one.value for one in app.code]
    assert "**work** on **host1**: done" in [one.value for one in app.success]


@pytest.mark.usefixtures("as_operator")
def test_what_is_left_alone_is_left_to_the_node(api: Served) -> None:
    app = work()
    widget(app.text_input, "path *").set_value("/data")
    press(app, "Send")
    assert sent(api) == ("host1", "work", {"path": "/data"})


@pytest.mark.usefixtures("as_operator")
def test_what_is_required_and_missing_is_said_and_nothing_is_sent(api: Served) -> None:
    before = len(api.link.published)
    app = work()
    press(app, "Send")
    assert "path must be given." in words(app)
    assert len(api.link.published) == before


@pytest.mark.usefixtures("as_operator")
def test_a_group_gets_a_command_with_the_arguments_of_the_form(api: Served) -> None:
    app = work(**MANY)
    widget(app.multiselect, "Nodes and groups").set_value(["group:lab"]).run()
    assert "For 1 nodes: boiler" in words(app)
    widget(app.selectbox, "Command of the nodes").set_value("ping").run()
    press(app, "Send to all")
    assert sent(api) == ("boiler", "ping", {})
    assert "**ping** to 1 nodes" in words(app)


@pytest.mark.usefixtures("as_operator")
def test_a_pattern_chooses_nodes_and_their_commands(api: Served) -> None:
    app = opened("commands", MANY)
    widget(app.text_input, "Or a pattern").set_value("host*").run()
    widget(app.selectbox, "Command of the nodes").set_value("work").run()
    widget(app.text_input, "path *").set_value("/data")
    press(app, "Send to all")
    assert sent(api) == ("host1", "work", {"path": "/data"})


@pytest.mark.usefixtures("as_operator")
def test_a_command_of_a_node_that_names_none_takes_its_arguments_as_json(api: Served) -> None:
    app = opened("commands", MANY)
    widget(app.multiselect, "Nodes and groups").set_value(["boiler"]).run()
    widget(app.text_input, "arguments").set_value('{"deep": {"er": 1}}')
    press(app, "Send to all")
    assert sent(api) == ("boiler", "ping", {"deep": {"er": 1}})


@pytest.mark.usefixtures("as_operator")
def test_a_fleet_needs_nodes() -> None:
    app = press(opened("commands", MANY), "Send to all")
    assert "Choose nodes, or give a pattern." in words(app)


@pytest.mark.usefixtures("as_admin")
def test_the_journal_says_who_sent_what() -> None:
    app = page("commands", node="host1")
    press(app, "Send")
    journal = opened("commands", {"commands tabs": "Journal"})
    row = journal.dataframe[0].value.iloc[0]
    assert (row["Node"], row["Command"], row["State"], row["By"]) == ("host1", "ping", "done", "admin")
    assert "its digest is" in words(journal)
    assert "reboot" not in cells(journal)


@pytest.mark.usefixtures("as_viewer")
@pytest.mark.parametrize("state", [{}, MANY], ids=["one", "many"])
def test_a_viewer_is_offered_no_sending(state: dict[str, str]) -> None:
    app = opened("commands", state)
    assert all(one.disabled for one in app.button if one.label.startswith("Send"))
