"""Views that were saved: open one, save this one, remove one of one's own. A view is a page and its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from dashboard import fetch
from dashboard.frame import act, plain, said
from dashboard.session import viewer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dashboard.client import Document

_MOST = 1_000


def saved(page: str, params: Mapping[str, str | list[str]]) -> dict[str, list[str]] | None:
    """Draw the control of ``page``, whose parameters are now ``params``.

    Returns:
        The parameters of the view that is to be opened; None unless somebody just chose one.
    """
    opened: dict[str, list[str]] | None = None
    with st.popover("Saved views", icon=":material/bookmark:"), said():
        offered = fetch.items("/views", {"of": page}, most=_MOST, slow=True)
        if offered:
            opened = _offer(offered)
        else:
            st.caption("No view has been saved yet.")
        _save(page, params)
    return opened


def _offer(offered: list[Document]) -> dict[str, list[str]] | None:
    who = viewer()
    by_number = {view["id"]: view for view in offered}
    number = st.selectbox("View", list(by_number), format_func=lambda number: _title(by_number[number], who.user))
    view = by_number[number]
    first, second = st.columns(2)
    is_own = view["owner"] == who.user
    if second.button("Remove", icon=":material/delete:", width="stretch", disabled=not (is_own or who.may_change)):
        with said():
            if act("DELETE", f"/views/{number}") is not None:
                st.rerun()
    if first.button("Open", icon=":material/open_in_new:", type="primary", width="stretch"):
        params: dict[str, list[str]] = view["params"]
        return params
    return None


def _save(page: str, params: Mapping[str, str | list[str]]) -> None:
    with st.form("save view", clear_on_submit=True, border=False):
        name = st.text_input("Save this view as", max_chars=64, placeholder="name")
        shared = st.checkbox("Offer it to everybody", disabled=viewer().role == "viewer")
        wanted = st.form_submit_button("Save", icon=":material/bookmark_add:", width="stretch")
    if not wanted:
        return
    if not name.strip():
        st.warning("Give it a name.")
        return
    body = {
        "page": page,
        "name": name,
        "params": {key: [value] if isinstance(value, str) else value for key, value in params.items()},
        "shared": shared,
    }
    made = act("POST", "/views", body)
    if made is not None:
        st.success(f"Saved as {plain(made['name'])}.", icon=":material/check:")


def _title(view: Document, user: str) -> str:
    return view["name"] if view["owner"] == user else f"{view['name']} (by {view['owner']})"
