"""A choice in a table is of what the row shows: rows that come and go do not change it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streamlit.testing.v1 import AppTest

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCRIPT = """
import streamlit as st
from dashboard.choice import choose_row
numbers = st.session_state["numbers"]
st.write(f"chosen: {choose_row([{'Number': n} for n in numbers], numbers, 'one')}")
"""


def drawn(numbers: Sequence[int], chosen: int | None) -> AppTest:
    app = AppTest.from_string(_SCRIPT, default_timeout=60)
    app.session_state["one"] = chosen
    return again(app, numbers)


def again(app: AppTest, numbers: Sequence[int]) -> AppTest:
    app.session_state["numbers"] = list(numbers)
    return app.run()


def marked(app: AppTest) -> list[int]:
    """The numbers of the rows that the browser marks when the table is new to it."""
    (table,) = app.dataframe
    proto: Any = table.proto
    rows = json.loads(proto.selection_default)["selection"]["rows"]
    return [int(table.value["Number"].iloc[row]) for row in rows]


def said(app: AppTest) -> str:
    return str(app.markdown[0].value)


def test_nothing_is_chosen_at_first() -> None:
    app = drawn([7, 5], None)
    assert (said(app), marked(app)) == ("chosen: None", [])


def test_a_row_that_comes_above_leaves_the_choice_where_it_is() -> None:
    app = drawn([7, 5], 5)
    assert (said(app), marked(app)) == ("chosen: 5", [5])
    again(app, [9, 7, 5])
    assert (said(app), marked(app)) == ("chosen: 5", [5])
    again(app, [7, 5])
    assert (said(app), marked(app)) == ("chosen: 5", [5])


def test_a_click_on_a_table_that_has_changed_meanwhile_is_not_one_on_the_new_table() -> None:
    app = drawn([7, 5], None)
    before = app.dataframe[0].key
    assert again(app, [7, 5]).dataframe[0].key == before
    assert again(app, [9, 7, 5]).dataframe[0].key != before


def test_what_was_chosen_stays_while_its_row_is_away() -> None:
    app = drawn([7, 5], 5)
    again(app, [7])
    assert (said(app), marked(app)) == ("chosen: 5", [])
    again(app, [5, 7])
    assert (said(app), marked(app)) == ("chosen: 5", [5])
