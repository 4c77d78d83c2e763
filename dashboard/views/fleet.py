"""**Commands**, to many nodes: by name, group or pattern, in stages; the form is that of a node which takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from dashboard import fetch
from dashboard.data.commands import catalogue, given, meant, ping_first
from dashboard.frame import act, live, plain
from dashboard.session import viewer
from dashboard.views.arguments import asked_values, chosen_form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboard.client import Document
    from dashboard.data.commands import Argument

_RUN: Final = "fleet run"
#: Nodes that are asked what they take, of many.
_MOST_ASKED: Final = 20
_MOST: Final = 2_000
_MOST_NAMED: Final = 10


def to_many() -> None:
    """Choose nodes and a command, send it, and watch what becomes of it."""
    everyone = fetch.items("/nodes", slow=True)
    groups = sorted({group for node in everyone for group in node["groups"]})
    first, second = st.columns(2)
    chosen = first.multiselect(
        "Nodes and groups",
        [*(f"group:{group}" for group in groups), *sorted(node["node"] for node in everyone)],
        placeholder="choose",
    )
    pattern = second.text_input("Or a pattern", placeholder="lab-*")
    selectors = [*chosen, *([pattern] if pattern else [])]
    nodes = meant(selectors, everyone)
    known = _taken(nodes or [node["node"] for node in everyone])
    name = st.selectbox(
        "Command of the nodes",
        list(known) or ["ping"],
        format_func=lambda name: labelled(name, known),
        accept_new_options=True,
        help="What the nodes say they take; another name can be typed.",
    )
    where = f"fleet {name}"
    fields = chosen_form(known.get(name), where)
    with st.form(where):
        values = asked_values(fields, where)
        third, fourth, fifth = st.columns(3)
        stages = third.text_input("Stages", placeholder="1,10%,all", help="How many nodes have it after each stage.")
        failures = fourth.number_input("Stop after so many failures (0: never)", min_value=0, value=0)
        timeout = fifth.number_input("Seconds it may run on each", min_value=1, max_value=86_400, value=30)
        if selectors:
            more = " …" if len(nodes) > _MOST_NAMED else ""
            st.caption(f"For {len(nodes):,} nodes: {plain(', '.join(nodes[:_MOST_NAMED]))}{more}")
        send = st.form_submit_button("Send to all", type="primary", disabled=not viewer().may_operate)
    if send:
        _send(
            {"command": name, "nodes": selectors, "timeout_s": timeout, "stop_after_failures": int(failures) or None},
            stages,
            fields,
            values,
        )
    if _RUN in st.session_state:
        live(_run, st.session_state[_RUN])


def labelled(name: str, known: dict[str, Document]) -> str:
    """A command with its help."""
    text = known.get(name, {}).get("help", "")
    return f"{name}: {text}" if text else name


def _taken(nodes: list[str]) -> dict[str, Document]:
    """Commands that some of these nodes take, by name; the first node's word about each counts."""
    paths = [f"/nodes/{node}" for node in nodes[:_MOST_ASKED]]
    fetch.ahead(fetch.of_document(path, slow=True) for path in paths)
    known: dict[str, Document] = {}
    for path in paths:
        known = {**catalogue(fetch.document(path, slow=True)["info"]), **known}
    return ping_first(known)


def _send(body: Document, stages: str, fields: Sequence[Argument], values: dict[str, Any]) -> None:
    if not body["nodes"]:
        st.error("Choose nodes, or give a pattern.")
        return
    try:
        args = given(fields, values)
    except ValueError as error:
        st.error(str(error))
        return
    answer = act(
        "POST",
        "/commands",
        {
            **body,
            "args": args,
            "stages": [stage.strip() for stage in stages.split(",") if stage.strip()],
        },
    )
    if answer is not None:
        st.session_state[_RUN] = answer["id"]


def _run(number: str) -> None:
    run = fetch.document(f"/fleet-runs/{number}")
    states = ", ".join(f"{count} {state}" for state, count in sorted(run["states"].items()))
    st.info(f"**{plain(run['command'])}** to {run['nodes']} nodes: {run['state']}. {states} {plain(run['why'])}")
    rows = fetch.items("/commands", {"run": number}, most=_MOST)
    st.dataframe(
        [
            {
                "Node": one["node"],
                "State": one["state"],
                "Code": one["code"],
                "Why": one["error"] or "",
                "Result": str(one["result"] or ""),
            }
            for one in rows
        ],
        width="stretch",
        hide_index=True,
    )
    if run["state"] == "running" and viewer().may_operate and st.button("Stop"):
        act("POST", f"/fleet-runs/{number}/stop")
