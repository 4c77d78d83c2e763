"""Parts of **Admin**: users with their roles and access groups, tokens for programs, one's own password, logins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import streamlit as st

from dashboard import fetch
from dashboard.data.times import ago, clock
from dashboard.data.zones import zone_or_utc
from dashboard.frame import act, plain
from dashboard.session import viewer

if TYPE_CHECKING:
    from dashboard.client import Document

_ROLES: Final = {"viewer": "viewer: sees", "operator": "operator: sees and commands", "admin": "admin: may do all"}
_LIFETIMES: Final = {"7 days": 604_800, "90 days": 7_776_000, "1 year": 31_536_000}
_SCOPES: Final = {"read": "read", "full": "do all that I may"}
_MOST_LOGINS: Final = 200


def users() -> None:
    """All users; add, change, remove."""
    found = fetch.items("/users")
    st.dataframe([_row(one) for one in found], width="stretch", hide_index=True)
    groups = sorted({group for node in fetch.items("/nodes", slow=True) for group in node["groups"]})
    _add(groups)
    # The command line of the hub's own machine has neither, and stays as it is.
    names = [one["name"] for one in found if one["has_password"] or one["issuer"]]
    if names:
        name = st.selectbox("Change a user", names)
        _change(next(one for one in found if one["name"] == name), groups)
    st.markdown("**Logins**")
    zone = zone_or_utc(st.context.timezone)
    st.dataframe(
        [
            {
                "Time": clock(one["at"], zone),
                "User": one["user"] or "(a token)",
                "From": one["address"],
                "Accepted": "yes" if one["accepted"] else "no",
            }
            for one in fetch.items("/audit/logins", most=_MOST_LOGINS)
        ],
        width="stretch",
        hide_index=True,
        height=240,
    )


def _row(user: Document) -> Document:
    return {
        "Name": user["name"],
        "Role": user["role"],
        "Sees": "all nodes" if user["groups"] is None else ", ".join(user["groups"]) or "no node",
        "Logs in": user["issuer"] or ("by password" if user["has_password"] else "on the hub's machine"),
        "Tokens": user["tokens"],
        "Last login": ago(user["last_login"]),
        "Since": user["created"][:10],
    }


def _add(groups: list[str]) -> None:
    with st.form("add user", clear_on_submit=True):
        st.markdown("**Add a user**")
        first, second = st.columns(2)
        name = first.text_input("Name", max_chars=64)
        role = second.selectbox("Role", list(_ROLES), format_func=_ROLES.__getitem__)
        seen = _seen(groups, None, "new")
        added = st.form_submit_button("Add", type="primary", icon=":material/person_add:")
    if not added:
        return
    if not name:
        st.warning("Give it a name.")
        return
    answer = act("POST", "/users", {"name": name, "role": role, "groups": seen})
    if answer is not None:
        st.success("The password is shown this once:", icon=":material/key:")
        st.code(answer["password"], language=None)


def _seen(groups: list[str], now: list[str] | None, key: str) -> list[str] | None:
    """Ask whose nodes a user sees: None for all, an empty list for none."""
    every = st.checkbox("Sees all nodes", value=now is None, key=f"all nodes {key}")
    only = st.multiselect(
        "If not all: only nodes of these groups",
        sorted({*groups, *(now or [])}),
        default=now,
        placeholder="no node",
        key=f"groups {key}",
    )
    return None if every else only


def _change(user: Document, groups: list[str]) -> None:
    path, roles = f"/users/{user['name']}", list(_ROLES)
    with st.form(f"change {user['name']}"):
        role = st.selectbox("Role", roles, index=roles.index(user["role"]), format_func=_ROLES.__getitem__)
        seen = _seen(groups, user["groups"], user["name"])
        password = ""
        if user["issuer"]:
            st.caption(f"Logs in at {plain(user['issuer'])}, which says the role anew at each login; no password here.")
        else:
            password = st.text_input("New password (empty: stays)", type="password", max_chars=1024)
        saved = st.form_submit_button("Save")
    if saved:
        change: Document = {"role": role, "groups": seen} | ({"password": password} if password else {})
        if act("PATCH", path, change) is not None:
            st.rerun()
    first, second = st.columns(2)
    if first.button("End all sessions and tokens", icon=":material/logout:"):
        answer = act("DELETE", f"{path}/tokens")
        if answer is not None:
            st.success(f"{answer['revoked']} ended.")
    with second.popover("Remove user", icon=":material/delete:"):
        st.write(f"{plain(user['name'])} cannot log in any more, and all its tokens end.")
        if st.button("Remove the user", type="primary") and act("DELETE", path) is not None:
            st.rerun()


def tokens() -> None:
    """One's own tokens and sessions, and the password."""
    with st.form("new token", clear_on_submit=True):
        st.markdown("**A token for a program**")
        first, second, third = st.columns(3)
        name = first.text_input("What for", max_chars=64, placeholder="backup script")
        scope = second.selectbox("It may", list(_SCOPES), format_func=_SCOPES.__getitem__)
        lifetime = third.selectbox("Ends after", list(_LIFETIMES), index=1)
        made = st.form_submit_button("Make a token", type="primary", icon=":material/key:")
    if made and not name:
        st.warning("Say what it is for.")
    elif made:
        answer = act("POST", "/tokens", {"name": name, "scope": scope, "lifetime_s": _LIFETIMES[lifetime]})
        if answer is not None:
            st.success("It is shown this once:", icon=":material/key:")
            st.code(answer["token"], language=None)
    zone = zone_or_utc(st.context.timezone)
    for one in fetch.items("/tokens", {"user": viewer().user}):
        left, right = st.columns([5, 1], vertical_alignment="center")
        what = f"session from {one['address'] or 'here'}" if one["kind"] == "session" else plain(one["name"])
        ends = clock(one["expires"], zone) or "it is revoked"
        left.markdown(f"**{what}** ({one['scope']}), made {ago(one['created'])}, until {ends}")
        ended = right.button("End", key=f"end token {one['id']}")
        if ended and act("DELETE", f"/tokens/{one['id']}") is not None:
            st.rerun()
    _password()


def _password() -> None:
    with st.form("own password", clear_on_submit=True):
        st.markdown("**My password**")
        first, second = st.columns(2)
        current = first.text_input("Now", type="password", max_chars=1024)
        new = second.text_input("New, at least 10 characters", type="password", max_chars=1024)
        changed = st.form_submit_button("Change it", help="All your sessions and tokens end; log in again.")
    if changed and act("PUT", "/password", {"current": current, "new": new}) is not None:
        st.success("Changed. [Log in again](/login)")
