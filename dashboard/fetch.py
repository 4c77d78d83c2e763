"""Answers of the API, shared: viewers with the same rights who ask the same within a moment cause one request.

view ─▶ document(path, …) ─▶ cache, keyed by (rights, path, parameters) ─▶ GET with the token of whoever came first

What a viewer may see depends on the user, so nothing is shared between users of different rights.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import streamlit as st

from dashboard.data.metrics import Reading, figures
from dashboard.session import client, refresh_s, viewer

if TYPE_CHECKING:
    from dashboard.client import Document, Params

#: What changes seldom (lists of series, of groups, of commands) is shared for so long.
_SLOW_S: Final = 30.0
#: All answers that are kept.
_MOST_BYTES: Final = 256 << 20

_Key = tuple[tuple[str, str | int | float | bool], ...]


def document(path: str, params: Params | None = None, *, slow: bool = False) -> Document:
    """One document; see :meth:`Client.get` for what it raises."""
    who = viewer()
    return _document(_rights(who.user, who.role), path, _key(params), _moment(slow=slow), who.token)


def items(path: str, params: Params | None = None, *, most: int = 10_000, slow: bool = False) -> list[Document]:
    """All items of a list, at most ``most``."""
    who = viewer()
    return _items(_rights(who.user, who.role), path, _key(params), most, _moment(slow=slow), who.token)


def table(params: Params, *, slow: bool = False) -> pa.Table:
    """Samples or aggregates of ``/query``, a row each: time, node, measurement, tag.…, field, value."""
    who = viewer()
    return _table(_rights(who.user, who.role), _key(params), _moment(slow=slow), who.token)


def asked(path: str, body: dict[str, Any]) -> Document:
    """The answer to a question that is put by POST and changes nothing, e.g. ``/rules/test``."""
    who = viewer()
    return _asked(_rights(who.user, who.role), path, json.dumps(body, sort_keys=True), _moment(slow=True), who.token)


def health() -> Document:
    """The chain of ``/health``: ``{"status", "broken", "links": [{"name", "ok", "detail"}]}``."""
    return _health(_moment(slow=False), viewer().token)


def reading() -> Reading:
    """The hub's own figures."""
    return _reading(_moment(slow=False), viewer().token)


def forget() -> None:
    """After a change: the next look is at fresh answers."""
    _document.clear()
    _items.clear()


def _rights(user: str, role: str) -> str:
    return f"{role}:{user}"


def _key(params: Params | None) -> _Key:
    return tuple(sorted((name, value) for name, value in (params or {}).items() if value is not None))


def _moment(*, slow: bool) -> int:
    """Changes when an answer is too old to be shared."""
    return int(time.monotonic() / (_SLOW_S if slow else refresh_s()))


@st.cache_data(ttl=_SLOW_S, max_size=_MOST_BYTES, show_spinner=False)
def _document(rights: str, path: str, params: _Key, moment: int, _token: str) -> Document:
    del rights, moment
    return client().get(path, _token, dict(params))


@st.cache_data(ttl=_SLOW_S, max_size=_MOST_BYTES, show_spinner=False)
def _items(rights: str, path: str, params: _Key, most: int, moment: int, _token: str) -> list[Document]:
    del rights, moment
    return list(client().items(path, _token, dict(params), most=most))


@st.cache_data(ttl=_SLOW_S, max_size=_MOST_BYTES, show_spinner=False)
def _table(rights: str, params: _Key, moment: int, _token: str) -> pa.Table:
    del rights, moment
    body = client().bytes_of("/query", _token, dict(params), "application/vnd.apache.arrow.stream")
    return pa.ipc.open_stream(body).read_all()


@st.cache_data(ttl=_SLOW_S, show_spinner=False)
def _health(moment: int, _token: str) -> Document:
    del moment
    return client().health(_token)


@st.cache_data(ttl=_SLOW_S, show_spinner=False)
def _reading(moment: int, _token: str) -> Reading:
    del moment
    return Reading(time.monotonic(), figures(client().metrics(_token)))


@st.cache_data(ttl=_SLOW_S, max_size=_MOST_BYTES, show_spinner="Running it over what is stored …")
def _asked(rights: str, path: str, body: str, moment: int, _token: str) -> Document:
    del rights, moment
    return client().post(path, _token, json.loads(body))
