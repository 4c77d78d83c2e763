"""Choose one row of a table that changes meanwhile: the choice is of what the row shows, never of its place.

A row that comes or goes moves the others. The table is then another one for the browser, with the row of that number
chosen; a click on rows that are not there any more chooses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

if TYPE_CHECKING:
    from collections.abc import Sequence


def choose_row(rows: Sequence[dict[str, Any]], numbers: Sequence[int], key: str) -> int | None:
    """Draw ``rows`` as a table of which one can be chosen.

    Args:
        rows: what is shown.
        numbers: what each row is about; no two are the same.
        key: of the choice; ``st.session_state[key]`` has it.

    Returns:
        The number that is chosen, also while none of the rows is about it; None: nobody chose any.
    """
    chosen: int | None = st.session_state.get(key)
    place = [numbers.index(chosen)] if chosen in numbers else []
    shown = f"{key}, rows"
    numbers_before, tables = st.session_state.get(shown, ([], 0))
    if numbers_before != list(numbers):
        tables += 1
        st.session_state[shown] = (list(numbers), tables)
    event = st.dataframe(
        rows,
        width="stretch",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": place}},
        key=f"{key}, table {tables}",
    )
    selected = event["selection"]["rows"]
    if selected:
        chosen = numbers[selected[0]]
    elif place:
        chosen = None  # it is there, and somebody took the mark away
    st.session_state[key] = chosen
    return chosen
