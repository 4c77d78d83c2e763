"""**Rules**: what is watched for; edit with validation, and see what a rule would have done before it is in force."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import streamlit as st

from dashboard import fetch
from dashboard.address import Address
from dashboard.frame import act, height, said, tabs
from dashboard.session import viewer
from dashboard.views.backtest import backtest

if TYPE_CHECKING:
    from dashboard.client import Document

_NEW = "a new rule …"
_EXAMPLE: dict[str, Any] = {"metric": "cpu.usage", "above": {"warning": 90, "critical": 98}, "for": "5m"}
_EDIT, _TEST = "Edit", "What would it have done?"
_TABS = "rules tabs"
#: What was typed and not saved, by name of the rule; what is wrong with it; the name of a new one.
_DRAFTS, _WRONG, _NAMED = "rule drafts", "wrong rule", "name of the new rule"


def page() -> None:
    """Draw the page."""
    st.title("Rules")
    found = {rule["name"]: rule for rule in fetch.items("/rules")}
    st.dataframe(
        [
            {"Rule": name, "On": rule["enabled"], "From": rule["source"], "Asks": rule["asks"]}
            for name, rule in found.items()
        ],
        width="stretch",
        hide_index=True,
        height=height(len(found), 320),
    )
    names = [*found, _NEW]
    address = Address("rules")
    wanted = st.query_params.get("rule", names[0])
    name = st.selectbox("Rule", names, key=address.one("rule", wanted if wanted in names else names[0], names))
    address.write({"rule": name})
    table: dict[str, Any] = found[name]["rule"] if name in found else _EXAMPLE
    drafts: dict[str, dict[str, Any]] = st.session_state.setdefault(_DRAFTS, {})
    (edit, in_edit), (test, in_test) = tabs([_EDIT, _TEST], _TABS)
    if in_edit:
        with edit:
            _edit(name, drafts.get(name, table), found)
    if in_test:
        with test, said():
            if name in drafts:
                _drafted(name)
            tried = backtest(name if name != _NEW else "test", drafts.get(name, table))
            if name in found and tried != table and viewer().may_change:
                _keep(name, tried)


def _keep(name: str, tried: dict[str, Any]) -> None:
    wanted = st.button("Save it so", type="primary", help="From then on the rule is as it was run here.")
    if wanted and act("PUT", _path(name), tried) is not None:
        _forget(name)
        st.rerun()


def _edit(name: str, table: dict[str, Any], found: dict[str, Document]) -> None:
    is_new = name not in found
    with st.form(f"edit {name}"):
        typed = st.session_state.get(_NAMED, "") if is_new else name
        chosen = st.text_input("Name", value=typed, disabled=not is_new, max_chars=64, key=f"name {name}")
        text = st.text_area("The rule, as JSON", value=json.dumps(table, indent=2), height=260, key=f"text {name}")
        st.caption("As a table of the rules file: metric, nodes, above, below, clear, for, window, absent, notify, …")
        first, second, third, _ = st.columns([1, 1, 1, 3])
        first.form_submit_button("Try it", width="stretch", on_click=_try, args=(name,), help="Over what is stored.")
        save = second.form_submit_button("Save", type="primary", disabled=not viewer().may_change, width="stretch")
        label = "Remove" if is_new or found[name]["source"] == "file" else "As shipped"
        remove = third.form_submit_button(label, disabled=is_new or not viewer().may_change, width="stretch")
    wrong = st.session_state.pop(_WRONG, None)
    if wrong is not None:
        st.error(wrong)
    if save:
        _save(name, chosen if is_new else name, text)
    elif remove and act("DELETE", _path(name)) is not None:
        _forget(name)
        st.rerun()


def _try(name: str) -> None:
    """Look at what was typed over history; nothing is saved."""
    if name == _NEW:
        st.session_state[_NAMED] = st.session_state[f"name {name}"]
    try:
        st.session_state[_DRAFTS][name] = _read(st.session_state[f"text {name}"])
    except ValueError as error:
        st.session_state[_WRONG] = str(error)
    else:
        st.session_state[_TABS] = _TEST


def _drafted(name: str) -> None:
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.info(f"This is what was typed under *{_EDIT}*; it is not saved.", icon=":material/edit:")
    if right.button("Drop it", width="stretch"):
        _forget(name)
        st.rerun()


def _save(name: str, chosen: str, text: str) -> None:
    try:
        table = _read(text)
    except ValueError as error:
        st.error(str(error))
        return
    if not chosen:
        st.error("Give it a name.")
    elif act("PUT", _path(chosen), table) is not None:
        _forget(name)
        st.query_params["rule"] = chosen
        st.rerun()


def _path(name: str) -> str:
    return f"/rules/{quote(name, safe='')}"


def _read(text: str) -> dict[str, Any]:
    """Raises ValueError with what is wrong with ``text``."""
    try:
        table = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"No JSON, line {error.lineno}, column {error.colno}: {error.msg}.") from error
    if not isinstance(table, dict):
        raise ValueError("A rule is a table, such as " + json.dumps(_EXAMPLE) + ".")  # noqa: TRY004  what is wrong is said on the page
    return table


def _forget(name: str) -> None:
    """What was typed and is not saved."""
    st.session_state[_DRAFTS].pop(name, None)
