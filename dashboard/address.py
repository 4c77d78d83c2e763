"""The address of a page and its widgets, one for the other: a link shows its view, and what is chosen changes the link.

    opened by a link, or changed by the page itself ─▶ the widgets show what the address says
    changed by the viewer                           ─▶ the widgets show what was chosen, and the address follows

A widget whose default came from the address would lose every second choice: the address follows the first one, another
default makes another widget of it, and what is chosen there next is the value of one that is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import streamlit as st

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_T = TypeVar("_T")


class Address:
    """The address of the page that is being drawn.

    Args:
        page: its name; keys of its widgets begin with it.
    """

    def __init__(self, page: str) -> None:
        self._page = page
        self._written = f"{page} address"
        #: Query parameters.
        self.given = _given()
        self._is_new = st.session_state.get(self._written) != self.given

    def one(self, name: str, wanted: _T, options: Collection[_T] | None = None) -> str:
        """The key for a widget of one value: ``wanted``, of the address, until the viewer has chosen."""
        key = self._key(name)
        shown = wanted if self._is_new else st.session_state.get(key, wanted)
        st.session_state[key] = shown if options is None or shown in options else wanted
        return key

    def many(self, name: str, wanted: Collection[_T], options: Collection[_T]) -> str:
        """Likewise for a widget of several values."""
        key = self._key(name)
        shown = wanted if self._is_new else st.session_state.get(key, wanted)
        st.session_state[key] = [one for one in shown if one in options]
        return key

    def write(self, params: Mapping[str, str | list[str]]) -> None:
        """What the widgets say now."""
        st.query_params.from_dict(params)
        st.session_state[self._written] = _given()

    def _key(self, name: str) -> str:
        return f"{self._page} {name}"


def _given() -> dict[str, list[str]]:
    return {name: st.query_params.get_all(name) for name in st.query_params}
