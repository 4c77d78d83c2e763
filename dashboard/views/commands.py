"""**Commands**: choose a node or many and a command, fill in its form, watch what comes back; and the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard import fetch
from dashboard.data.commands import Argument, arguments, catalogue, given
from dashboard.data.times import clock
from dashboard.data.zones import zone_or_utc
from dashboard.frame import act, live, plain, said
from dashboard.session import viewer

if TYPE_CHECKING:
    from dashboard.client import Document

_SENT = "sent command"
_RUN = "fleet run"
_ENDED = frozenset({"done", "failed", "refused", "timeout", "expired", "unsent", "unanswered"})
_MOST = 500


def page() -> None:
    """Draw the page."""
    st.title("Commands")
    one, many, journal = st.tabs(["To one node", "To many nodes", "Journal"])
    with one, said():
        _to_one()
    with many, said():
        _to_many()
    with journal:
        live(_journal)


def _to_one() -> None:
    nodes = sorted(node["node"] for node in fetch.items("/nodes", slow=True))
    if not nodes:
        st.info("No node is known yet.")
        return
    wanted = st.query_params.get("node", nodes[0])
    node = st.selectbox("Node", nodes, index=nodes.index(wanted) if wanted in nodes else 0)
    about = fetch.document(f"/nodes/{node}", slow=True)
    known = catalogue(about["info"])
    if about["contact"] != "online":
        st.info(f"{plain(node)} is not connected: the broker holds what is sent until it is, or until it expires.")
    offered = list(known) or ["ping"]
    name = st.selectbox("Command", offered, format_func=lambda name: _labelled(name, known))
    fields = arguments(known.get(name, {}).get("args"))
    with st.form(f"send {node} {name}"):
        values = {field.name: _widget(field, f"{node} {name}") for field in fields}
        timeout = st.number_input("Seconds it may run", min_value=1, max_value=86_400, value=30)
        send = st.form_submit_button("Send", type="primary", icon=":material/send:", disabled=not viewer().may_operate)
    if send:
        try:
            args = given(fields, values)
        except ValueError as error:
            st.error(str(error))
            return
        answer = act("POST", f"/nodes/{node}/commands/{name}", {"args": args, "timeout_s": timeout})
        if answer is not None:
            st.session_state[_SENT] = answer["id"]
    if _SENT in st.session_state:
        live(_sent, st.session_state[_SENT])


def _labelled(name: str, known: dict[str, Document]) -> str:
    text = known.get(name, {}).get("help", "")
    return f"{name}: {text}" if text else name


def _widget(field: Argument, where: str) -> Any:
    label, key = field.name + (" *" if field.required else ""), f"{where} {field.name}"
    if field.kind == "choice":
        return st.selectbox(label, field.choices, key=key, help=field.help)
    if field.kind == "boolean":
        return st.checkbox(label, value=bool(field.default), key=key, help=field.help)
    if field.kind in ("number", "whole"):
        step = 1 if field.kind == "whole" else None
        return st.number_input(label, value=field.default, step=step, key=key, help=field.help)
    shown = "" if field.default is None else str(field.default)
    hint = "JSON, such as [1, 2]" if field.kind == "json" else ""
    return st.text_input(label, value=shown, key=key, help=field.help or hint or None)


def _sent(number: str) -> None:
    command = fetch.document(f"/commands/{number}")
    _state(command)
    chunks = fetch.items(f"/commands/{number}/output", most=2_000)
    if chunks:
        st.code("".join(chunk["data"] for chunk in chunks), language=None)
    if not command["output_whole"]:
        st.caption("Only the beginning of the output is kept.")
    if command["result"] is not None:
        st.json(command["result"])
    running = command["state"] not in _ENDED
    if running and viewer().may_operate and st.button("Cancel", icon=":material/cancel:"):
        act("POST", f"/commands/{number}/cancel")


def _state(command: Document) -> None:
    text = f"**{plain(command['command'])}** on **{plain(command['node'])}**: {command['state']}"
    if command["error"]:
        text += f". {plain(str(command['error']))}"
    show = {"done": st.success}.get(command["state"], st.error if command["state"] in _ENDED else st.info)
    show(text)


def _to_many() -> None:
    everyone = fetch.items("/nodes", slow=True)
    groups = sorted({group for node in everyone for group in node["groups"]})
    with st.form("fleet"):
        first, second = st.columns(2)
        chosen = first.multiselect(
            "Nodes", [*(f"group:{group}" for group in groups), *sorted(node["node"] for node in everyone)]
        )
        pattern = second.text_input("Or a pattern", placeholder="lab-*")
        third, fourth, fifth = st.columns(3)
        name = third.text_input("Command", value="ping")
        stages = fourth.text_input("Stages", placeholder="1,10%,all", help="How many nodes have it after each stage.")
        failures = fifth.number_input("Stop after so many failures (0: never)", min_value=0, value=0)
        args = st.text_input("Arguments, as JSON", value="{}")
        send = st.form_submit_button("Send to all", type="primary", disabled=not viewer().may_operate)
    if send:
        _fleet([*chosen, *([pattern] if pattern else [])], name, args, stages, int(failures))
    if _RUN in st.session_state:
        live(_run, st.session_state[_RUN])


def _fleet(nodes: list[str], name: str, args: str, stages: str, failures: int) -> None:
    try:
        body = {
            "command": name,
            "nodes": nodes,
            **given([Argument("args", "json", required=True)], {"args": args}),
            "stages": [stage.strip() for stage in stages.split(",") if stage.strip()],
            "stop_after_failures": failures or None,
        }
    except ValueError as error:
        st.error(str(error))
        return
    if not nodes:
        st.error("Choose nodes, or give a pattern.")
        return
    answer = act("POST", "/commands", body)
    if answer is not None:
        st.session_state[_RUN] = answer["id"]


def _run(number: str) -> None:
    run = fetch.document(f"/fleet-runs/{number}")
    states = ", ".join(f"{count} {state}" for state, count in sorted(run["states"].items()))
    st.info(f"**{plain(run['command'])}** to {run['nodes']} nodes: {run['state']}. {states} {plain(run['why'])}")
    rows = fetch.items("/commands", {"run": number}, most=2_000)
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


def _journal() -> None:
    found = fetch.items("/commands", most=_MOST)
    if not found:
        st.info("No command has been seen yet. Whoever sends one, by page, CLI or broker: it is recorded here.")
        return
    zone = zone_or_utc(st.context.timezone)
    st.dataframe(
        [
            {
                "Requested": clock(one["requested"], zone),
                "Node": one["node"],
                "Command": one["command"],
                "State": one["state"],
                "By": _sender(one["sender"]),
                "Seen": {"api": "sent by the hub", "mqtt": "on the broker"}.get(one["origin"], "replies only"),
                "Arguments": str(one["args"] or ""),
                "Ended": clock(one["ended"], zone),
                "Output, SHA-256": one["output_sha256"][:16],
            }
            for one in found
        ],
        width="stretch",
        hide_index=True,
        height=560,
    )
    if viewer().role != "admin":
        return
    head = fetch.document("/audit/head")
    st.caption(
        f"The journal has {head['number']:,} rows; its digest is `{head['digest'][:32]}…`. Keep it elsewhere: "
        "`iothub audit verify` finds every change to what came before."
    )


def _sender(sender: Document) -> str:
    known = [sender["user"] or "", f"signed by {sender['signer']}" if sender["signer"] else ""]
    return ", ".join(filter(None, known)) or (f"says: {sender['claimed']}" if sender["claimed"] else "unknown")
