"""Answers of the API, shared: viewers with the same rights who ask the same within a moment cause one request.

view ─▶ document(path, …) ─▶ Shared, by (rights, path, parameters) ─▶ GET with the token of whoever came first
     └▶ ahead(Items(path, …), Table(…)) ─▶ the same, all at once, before the page needs the first

What a viewer may see depends on the user, so nothing is shared between users of different rights. Answers are shared as
they are: views make their own rows of them and change none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pyarrow as pa
import streamlit as st

from dashboard.data.metrics import Reading, figures
from dashboard.session import client, refresh_s, viewer
from dashboard.shared import Shared

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from dashboard.client import Document, Params

#: What changes seldom (lists of series, of groups, of commands) is shared for so long.
_SLOW_S: Final = 30.0
#: Answers are a little younger than the drawing anew, so that each drawing shows new ones.
_SHARE: Final = 0.9

_T = TypeVar("_T")
#: What makes a question the same, how long its answer is shared, and how it is asked.
Asking = tuple["Hashable", float, Callable[[], _T]]


def document(path: str, params: Params | None = None, *, slow: bool = False) -> Document:
    """One document; see :meth:`Client.get` for what it raises."""
    return _shared().get(*of_document(path, params, slow=slow))


def items(path: str, params: Params | None = None, *, most: int = 10_000, slow: bool = False) -> list[Document]:
    """All items of a list, at most ``most``."""
    return _shared().get(*of_items(path, params, most=most, slow=slow))


def table(params: Params, *, slow: bool = False) -> pa.Table:
    """Samples or aggregates of ``/query``, a row each: time, node, measurement, tag.…, field, value."""
    return _shared().get(*of_table(params, slow=slow))


def whole_table(params: Params, token: str) -> pa.Table:
    """As :func:`table`, kept for nobody: it may be large."""
    return _ask_table(params, token)


def asked(path: str, body: dict[str, Any]) -> Document:
    """The answer to a question that is put by POST and changes nothing, e.g. ``/rules/test``."""
    token = viewer().token
    with st.spinner("Running it over what is stored …"):
        return _shared().get(
            _key("POST", path, json.dumps(body, sort_keys=True)), _SLOW_S, lambda: client().post(path, token, body)
        )


def health() -> Document:
    """The chain of ``/health``: ``{"status", "broken", "links": [{"name", "ok", "detail"}]}``."""
    return _shared().get(*of_health())


def reading() -> Reading:
    """The hub's own figures."""
    return _shared().get(*of_reading())


def ahead(askings: Iterable[Asking[Any]]) -> None:
    """Ask for all of these at once; the calls above then take what has come."""
    for key, fresh_s, ask in askings:
        _shared().ahead(key, fresh_s, ask)


def made(key: Hashable, make: Callable[[], _T]) -> _T:
    """What is made of answers, shared as they are: for what takes long to make."""
    return _shared().get(_key("made", "", key), _fresh_s(slow=False), make)


def forget() -> None:
    """After a change: the next look is at fresh answers."""
    _shared().forget()


# -- what can be asked ahead -------------------------------------------------------------------------------------------


def of_document(path: str, params: Params | None = None, *, slow: bool = False) -> Asking[Document]:
    """As :func:`document`."""
    token = viewer().token
    return _key("one", path, _sorted(params)), _fresh_s(slow=slow), lambda: client().get(path, token, params)


def of_items(
    path: str, params: Params | None = None, *, most: int = 10_000, slow: bool = False
) -> Asking[list[Document]]:
    """As :func:`items`."""
    token = viewer().token
    key = _key("list", path, (*_sorted(params), ("most", most)))
    return key, _fresh_s(slow=slow), lambda: list(client().items(path, token, params, most=most))


def of_table(params: Params, *, slow: bool = False) -> Asking[pa.Table]:
    """As :func:`table`."""
    return _key("table", "", _sorted(params)), _fresh_s(slow=slow), partial(_ask_table, params, viewer().token)


def of_health() -> Asking[Document]:
    """As :func:`health`."""
    token = viewer().token
    return _key("health", "", ()), _fresh_s(slow=False), lambda: client().health(token)


def of_reading() -> Asking[Reading]:
    """As :func:`reading`."""
    token = viewer().token

    def ask() -> Reading:
        return Reading(time.monotonic(), figures(client().metrics(token)))

    return _key("metrics", "", ()), _fresh_s(slow=False), ask


# -- private -----------------------------------------------------------------------------------------------------------


@st.cache_resource
def _shared() -> Shared:
    return Shared()


def _ask_table(params: Params, token: str) -> pa.Table:
    body = client().bytes_of("/query", token, params, "application/vnd.apache.arrow.stream")
    return pa.ipc.open_stream(body).read_all()


def _key(kind: str, path: str, asked_for: Hashable) -> Hashable:
    who = viewer()
    return kind, who.role, who.user, path, asked_for


def _sorted(params: Params | None) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((name, value) for name, value in (params or {}).items() if value is not None))


def _fresh_s(*, slow: bool) -> float:
    return _SLOW_S if slow else refresh_s() * _SHARE
