"""**Commands**: choose a node or many and a command, fill in its form, watch what comes back; and the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import streamlit as st

from dashboard import fetch
from dashboard.data.commands import catalogue, given
from dashboard.data.times import clock
from dashboard.data.zones import zone_or_utc
from dashboard.frame import act, live, plain, said, tabs
from dashboard.session import viewer
from dashboard.views.arguments import asked_values, chosen_form
from dashboard.views.fleet import labelled, to_many

if TYPE_CHECKING:
    from dashboard.client import Document

_SENT = "sent command"
_ENDED = frozenset({"done", "failed", "refused", "timeout", "expired", "unsent", "unanswered"})
_MOST = 500
_MOST_CHUNKS = 2_000


def page() -> None:
    """Draw the page."""
    st.title("Commands")
    (one, in_one), (many, in_many), (journal, in_journal) = tabs(
        ["To one node", "To many nodes", "Journal"], "commands tabs"
    )
    with one, said():
        if in_one:
            _to_one()
    with many, said():
        if in_many:
            to_many()
    with journal:
        if in_journal:
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
    name = st.selectbox(
        "Command", offered, format_func=lambda name: labelled(name, known), accept_new_options=not known
    )
    if not name:
        return
    where = f"{node} {name}"
    fields = chosen_form(known.get(name), where)
    with st.form(f"send {where}"):
        values = asked_values(fields, where)
        timeout = st.number_input("Seconds it may run", min_value=1, max_value=86_400, value=30)
        send = st.form_submit_button("Send", type="primary", icon=":material/send:", disabled=not viewer().may_operate)
    if send:
        try:
            args = given(fields, values)
        except ValueError as error:
            st.error(str(error))
            return
        answer = act("POST", f"/nodes/{node}/commands/{quote(name, safe='')}", {"args": args, "timeout_s": timeout})
        if answer is not None:
            st.session_state[_SENT] = answer["id"]
    if _SENT in st.session_state:
        live(_sent, st.session_state[_SENT])


def _sent(number: str) -> None:
    command = fetch.document(f"/commands/{number}")
    _state(command)
    chunks = fetch.items(f"/commands/{number}/output", most=_MOST_CHUNKS)
    if chunks:
        st.code("".join(chunk["data"] for chunk in chunks), language=None)
    if len(chunks) == _MOST_CHUNKS:
        st.caption(f"The first {_MOST_CHUNKS:,} pieces; the API has all that is kept: /commands/{number}/output.")
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
