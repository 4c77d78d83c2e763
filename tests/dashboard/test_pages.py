"""Each page drawn before a real API: what it says when there is something, when there is nothing, and who may what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from streamlit.testing.v1 import AppTest

import dashboard.main
from tests.support.apps import HOSTILE, Served, cells, drawing, opened, page, serving, words

if TYPE_CHECKING:
    from collections.abc import Iterator

VIEWS = ("overview", "node", "explore", "logs", "alerts", "rules", "commands", "ingest", "admin")
TITLES = {view: view.capitalize() for view in VIEWS}
#: This hub looks after no broker; the page of administrators says so.
NO_ACCOUNTS = "The hub does not manage the accounts of this broker."


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("bare"), empty=True) as served:
        yield served


# -- all pages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", TITLES)
@pytest.mark.parametrize("role", ["admin", "viewer"])
def test_every_page_is_drawn_for_every_role(api: Served, monkeypatch: pytest.MonkeyPatch, view: str, role: str) -> None:
    with drawing(monkeypatch, api.url, api.tokens[role]):
        app = page(view)
    assert not app.exception, app.exception
    assert [title.value for title in app.title] == [TITLES[view]]
    assert [error.value for error in app.error if error.value != NO_ACCOUNTS] == []


@pytest.mark.parametrize("view", TITLES)
def test_every_page_of_a_hub_that_knows_nothing_yet_says_so_in_words(
    bare: Served, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    with drawing(monkeypatch, bare.url, bare.tokens["admin"]):
        app = page(view)
    assert not app.exception, app.exception
    assert app.title[0].value == TITLES[view]
    assert "Traceback" not in words(app)


@pytest.mark.parametrize("view", TITLES)
def test_while_the_api_is_away_every_page_says_so(monkeypatch: pytest.MonkeyPatch, view: str) -> None:
    with drawing(monkeypatch, "http://127.0.0.1:1", "a token"):
        app = page(view)
    assert not app.exception, app.exception
    assert app.error
    assert all("is the hub running?" in error.value for error in app.error)


@pytest.mark.parametrize(("view", "token"), [*((view, None) for view in TITLES), ("overview", "made up")])
def test_who_is_signed_out_is_led_to_the_login(
    api: Served, monkeypatch: pytest.MonkeyPatch, view: str, token: str | None
) -> None:
    with drawing(monkeypatch, api.url, token):
        app = page(view)
    assert not app.exception, app.exception
    assert "[Log in again](/login)" in app.warning[0].value
    assert not app.dataframe


@pytest.mark.usefixtures("as_viewer")
def test_the_whole_app_opens_with_the_overview_and_says_who_is_signed_in() -> None:
    app = AppTest.from_file(str(Path(dashboard.main.__file__)), default_timeout=20).run()
    assert not app.exception, app.exception
    assert app.title[0].value == "Overview"
    assert "Signed in as **a\\-viewer** (viewer)" in [caption.value for caption in app.sidebar.caption]
    assert app.toggle(key="paused").value is False


# -- one by one --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("as_admin")
def test_the_overview_counts_and_lists_nodes() -> None:
    app = page("overview")
    figures = {one.label: one.value for one in app.metric}
    assert figures["Nodes online"] == "1 of 2"
    assert figures["Open alerts"] == "1"
    assert app.dataframe[0].value["Node"].tolist() == ["/node?node=boiler", "/node?node=host1"]


@pytest.mark.usefixtures("as_admin")
def test_the_overview_is_searched_by_name_and_group() -> None:
    app = page("overview")
    app.text_input(key="search").set_value("HOST").run()
    assert app.dataframe[0].value["Node"].tolist() == ["/node?node=host1"]
    app.text_input(key="search").set_value("nowhere").run()
    assert "No node fits." in words(app)
    app.text_input(key="search").set_value("").run()
    app.selectbox(key="group").set_value("lab").run()
    assert app.dataframe[0].value["Node"].tolist() == ["/node?node=boiler"]


@pytest.mark.usefixtures("as_admin")
def test_the_page_of_a_node_shows_its_charts_and_alerts_as_text() -> None:
    app = page("node", node="boiler")
    assert app.selectbox[0].value == "boiler"
    assert "**room\\.temperature**" in words(app)
    assert len(app.get("plotly_chart")) == 1
    assert HOSTILE not in words(app)
    assert "<script>" not in words(app).replace("\\<script\\>", "")


@pytest.mark.usefixtures("as_admin")
def test_a_node_that_is_not_there_is_said_in_words() -> None:
    app = page("node", node="ghost")
    assert not app.exception
    assert "ghost" in app.error[0].value


@pytest.mark.usefixtures("as_admin")
def test_explore_draws_what_a_link_asks_for() -> None:
    app = page("explore", m="room", f="temperature", n="boiler")
    assert not app.error, words(app)
    assert len(app.get("plotly_chart")) == 1
    assert app.dataframe[0].value.iloc[:, 1].max() == 79.0


@pytest.mark.usefixtures("as_admin")
@pytest.mark.parametrize(
    "link",
    [
        {"m": HOSTILE, "f": HOSTILE},
        {"m": "room", "f": "nothing", "n": "nobody"},
        {"m": "room", "f": "temperature", "from": "soon", "to": "-5"},
        {"m": "room", "f": "temperature", "fn": "mean", "every": "wrong"},
        {"m": "room", "f": "temperature", "tag.x": HOSTILE, "compare": "1"},
    ],
    ids=["hostile", "unknown", "range", "step", "tag"],
)
def test_no_link_breaks_explore(link: dict[str, str]) -> None:
    app = page("explore", **link)
    assert not app.exception, app.exception
    assert app.title[0].value == "Explore"


@pytest.mark.usefixtures("as_admin")
def test_log_lines_are_cells_of_a_table() -> None:
    app = page("logs")
    assert HOSTILE in cells(app)
    assert HOSTILE not in words(app)


@pytest.mark.usefixtures("as_admin")
def test_logs_are_searched() -> None:
    app = page("logs", text="no such line")
    assert app.text_input[0].value == "no such line"
    assert "No record fits." in words(app)


@pytest.mark.usefixtures("as_admin")
def test_open_alerts_are_listed_with_their_severity_in_words() -> None:
    app = page("alerts")
    row = app.dataframe[0].value.iloc[0]
    assert (row["Rule"], row["Node"], row["Severity"]) == ("hot", "boiler", "▲▲ critical")
    assert row["Message"] == HOSTILE


@pytest.mark.usefixtures("as_admin")
def test_a_chosen_alert_is_commented_and_its_message_is_text() -> None:
    app = opened("alerts", {"chosen alert": 1})
    assert "\\<script\\>" in words(app)
    assert HOSTILE not in words(app)
    comment = next(one for one in app.text_input if one.label == "Comment")
    comment.set_value("a fan is stuck")
    next(one for one in app.button if one.label == "Comment").click().run()
    assert not app.exception
    assert "a fan is stuck" in cells(app)
    assert "admin" in cells(app)


@pytest.mark.usefixtures("as_admin")
def test_a_silence_needs_a_reason() -> None:
    app = page("alerts")
    next(one for one in app.button if one.label == "Silence").click().run()
    assert "Say why" in words(app)


@pytest.mark.usefixtures("as_admin")
def test_no_command_has_been_seen_yet() -> None:
    app = opened("commands", {"commands tabs": "Journal"})
    assert "No command has been seen yet." in words(app)


@pytest.mark.usefixtures("as_viewer")
def test_a_viewer_is_offered_neither_commands_nor_changes() -> None:
    buttons = {one.label: one for one in page("commands").button}
    assert buttons["Send"].disabled
    assert "Silence" not in [one.label for one in page("alerts").button]
    assert "Add a node" not in words(page("admin"))


@pytest.mark.usefixtures("as_admin")
def test_ingest_shows_that_every_message_is_accounted_for() -> None:
    app = page("ingest")
    assert "3 received = 1 stored + 1 refused + 0 duplicate + 1 handled" in words(app)
    assert "not-json" in cells(app)
    assert "Broker" in words(app)


@pytest.mark.usefixtures("as_admin")
def test_admin_adds_a_node_and_shows_its_password_once() -> None:
    app = page("admin")
    app.text_input[0].set_value("new-node")
    next(one for one in app.button if one.label == "Add").click().run()
    assert not app.exception
    assert "This is shown once" in words(app)
    assert "password  first" in words(app)
    app.run()
    assert "password  first" not in words(app)


@pytest.mark.usefixtures("as_admin")
def test_a_name_that_the_api_refuses_is_refused_in_its_words() -> None:
    app = page("admin")
    app.text_input[0].set_value("no/slashes")
    next(one for one in app.button if one.label == "Add").click().run()
    assert not app.exception
    assert app.error, words(app)
