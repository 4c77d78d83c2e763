"""**Admin**: who there is: nodes and how they join, accounts on the broker, users, tokens, and what was turned away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from dashboard import fetch
from dashboard.data.times import clock
from dashboard.data.zones import zone_or_utc
from dashboard.frame import act, plain, said
from dashboard.session import viewer
from dashboard.views.people import tokens, users

if TYPE_CHECKING:
    from dashboard.client import Document

_LIFETIMES = {"1 hour": 3600, "1 day": 86_400, "7 days": 604_800}
_MOST_DENIALS = 200


def page() -> None:
    """Draw the page."""
    st.title("Admin")
    if viewer().role != "admin":
        with said():
            tokens()
        return
    nodes, joining, people, own, broker = st.tabs(["Nodes", "Joining", "Users", "My tokens", "Broker"])
    with nodes, said():
        _nodes()
    with joining, said():
        _joining()
    with people, said():
        users()
    with own, said():
        tokens()
    with broker, said():
        _broker()


# -- nodes -------------------------------------------------------------------------------------------------------------


def _nodes() -> None:
    with st.form("add node", clear_on_submit=True):
        st.markdown("**Add a node**")
        first, second, third = st.columns([2, 2, 1], vertical_alignment="bottom")
        name = first.text_input("Name", max_chars=64, placeholder="boiler-7")
        groups = second.text_input("Groups", placeholder="lab, building-2")
        gateway = third.checkbox("It is a gateway")
        added = st.form_submit_button("Add", type="primary", icon=":material/add:")
    if added and name:
        body = {"node": name, "groups": _listed(groups), "gateway": gateway}
        answer = act("POST", "/nodes", body)
        if answer is not None:
            _credentials(answer)
    elif added:
        st.warning("Give it a name.")
    everyone = fetch.items("/nodes")
    if not everyone:
        return
    st.markdown("**Change a node**")
    node = st.selectbox("Node", sorted(one["node"] for one in everyone))
    about = next(one for one in everyone if one["node"] == node)
    with st.form(f"groups {node}"):
        wanted = st.text_input("Groups", value=", ".join(about["groups"]))
        if (
            st.form_submit_button("Save groups")
            and act("PUT", f"/nodes/{node}/groups", {"groups": _listed(wanted)}) is not None
        ):
            st.rerun()
    first, second = st.columns(2)
    if first.button("New password", icon=":material/key:", help="The old one is refused from now on."):
        answer = act("POST", f"/nodes/{node}/credentials")
        if answer is not None:
            _credentials(answer)
    with second.popover("Remove", icon=":material/delete:"):
        st.write(f"{plain(node)} is disconnected and its account goes. What it sent stays in the store.")
        if st.button("Remove it", type="primary") and act("DELETE", f"/nodes/{node}") is not None:
            st.rerun()


def _credentials(answer: Document) -> None:
    mqtt, account = answer["mqtt"], answer["credentials"]
    st.success("Written down? This is shown once.", icon=":material/key:")
    lines = [f"broker    {mqtt['host']}:{mqtt['port']}" + (" (TLS)" if mqtt["tls"] else "")]
    if account is not None:
        lines += [
            f"user      {account['username']}",
            f"password  {account['password']}",
            f"client id {account['client_id']}",
        ]
    st.code("\n".join(lines), language=None)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


# -- joining -----------------------------------------------------------------------------------------------------------


def _joining() -> None:
    with st.form("join token"):
        st.markdown("**Let a machine join**")
        first, second, third, fourth = st.columns(4)
        lifetime = first.selectbox("Good for", list(_LIFETIMES))
        uses = second.number_input("Uses", min_value=1, max_value=10_000, value=1)
        node = third.text_input("Only as node", placeholder="any")
        groups = fourth.text_input("Groups")
        made = st.form_submit_button("Make a token", type="primary", icon=":material/vpn_key:")
    if made:
        body = {
            "lifetime_s": _LIFETIMES[lifetime],
            "uses": int(uses),
            "node": node or None,
            "groups": _listed(groups),
        }
        answer = act("POST", "/join-tokens", body)
        if answer is not None:
            st.success("On the new machine; the token is shown this once:", icon=":material/terminal:")
            st.code(
                f"echo '{answer['token']}' | iothub-agent join {answer['address']} && iothub-agent",
                language="shell",
                wrap_lines=True,
            )
    found = fetch.items("/join-tokens")
    zone = zone_or_utc(st.context.timezone)
    for one in found:
        left, right = st.columns([5, 1], vertical_alignment="center")
        left.markdown(
            f"Number {one['id']}: {one['uses_left']} uses left until {clock(one['expires'], zone)}, "
            f"by {plain(one['by'])}"
        )
        ended = right.button("Revoke", key=f"revoke join {one['id']}")
        if ended and act("DELETE", f"/join-tokens/{one['id']}") is not None:
            st.rerun()


# -- broker ------------------------------------------------------------------------------------------------------------


def _broker() -> None:
    st.markdown("**Accounts**")
    st.dataframe(
        [
            {"Name": one["name"], "Role": one["role"], "Client id": one["client_id"] or "any"}
            for one in fetch.items("/accounts")
        ],
        width="stretch",
        hide_index=True,
    )
    st.markdown("**Turned away lately**")
    zone = zone_or_utc(st.context.timezone)
    denials = fetch.items("/denials", most=_MOST_DENIALS)
    if not denials:
        st.caption("Nobody.")
        return
    st.dataframe(
        [
            {
                "Time": clock(one["at"], zone),
                "What": one["kind"],
                "Client": one["client"],
                "From": ", ".join(one["addresses"]),
                "In the words of the broker": one["text"],
            }
            for one in denials
        ],
        width="stretch",
        hide_index=True,
    )
