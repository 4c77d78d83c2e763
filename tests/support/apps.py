"""Pages of the dashboard drawn without a browser, before a real API that runs in a thread of its own (served.py)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Element

from dashboard import fetch
from dashboard.identity import COOKIE
from dashboard.names import API_URL
from dashboard.session import client
from tests.support.served import HOSTILE, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pytest

__all__ = ["HOSTILE", "Served", "cells", "drawing", "opened", "page", "press", "serving", "widget", "words"]

#: Draws one page as ``dashboard.main`` does.
_SCRIPT = """
from dashboard.frame import said
from dashboard.views import {view}
with said():
    {view}.page()
"""
_PAGE_S = 60.0


@contextlib.contextmanager
def drawing(monkeypatch: pytest.MonkeyPatch, url: str, token: str | None) -> Iterator[None]:
    """Pages ask ``url`` in the name of whom ``token`` belongs to."""
    monkeypatch.setenv(API_URL, url)
    monkeypatch.setattr(ContextProxy, "cookies", property(lambda _: {COOKIE: token} if token else {}))
    st.cache_resource.clear()
    try:
        yield
    finally:
        # Nobody else ends what a process of the dashboard keeps as long as it lives.
        fetch._shared()._pool.shutdown()
        client().close()
        st.cache_resource.clear()


def page(view: str, **params: str) -> AppTest:
    """Page ``view`` of ``dashboard/views``, drawn; ``params`` as in its address."""
    app = AppTest.from_string(_SCRIPT.format(view=view), default_timeout=_PAGE_S)
    for name, value in params.items():
        app.query_params[name] = value
    return app.run()


def opened(view: str, state: Mapping[str, object], **params: str) -> AppTest:
    """As :func:`page`, with ``state`` of an earlier drawing, e.g. which tab is open."""
    app = AppTest.from_string(_SCRIPT.format(view=view), default_timeout=_PAGE_S)
    for name, value in params.items():
        app.query_params[name] = value
    for name, what in state.items():
        app.session_state[name] = what
    return app.run()


def widget(found: Iterable[Any], label: str) -> Any:
    """The one of ``found`` with this label."""
    (only,) = [one for one in found if one.label == label]
    return only


def press(app: AppTest, label: str) -> AppTest:
    """Press the button with this label."""
    drawn: AppTest = widget(app.button, label).click().run()
    assert not drawn.exception, drawn.exception
    return drawn


def words(app: AppTest) -> str:
    """All that the page says in running text, figures and boxes."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "success", "warning", "error", "code")
    said = [str(one.value) for kind in kinds for one in app.get(kind) if isinstance(one, Element)]
    return "\n".join([*said, *(f"{one.label}: {one.value}" for one in app.metric)])


def cells(app: AppTest) -> str:
    """All that stands in tables."""
    return "\n".join(one.value.to_string(max_colwidth=None) for one in app.dataframe)
