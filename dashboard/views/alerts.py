"""**Alerts**: what is wrong now, who looks after it, what is kept quiet, and what has been."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from dashboard import fetch
from dashboard.choice import choose_row
from dashboard.data import alerts as alert_rows
from dashboard.data.times import clock
from dashboard.data.zones import zone_or_utc
from dashboard.frame import act, live, plain, said
from dashboard.session import viewer

if TYPE_CHECKING:
    from dashboard.client import Document, Params

_MOST = 500
_CHOSEN = "chosen alert"


def page() -> None:
    """Draw the page."""
    st.title("Alerts")
    now, past, quiet = st.tabs(["Open", "History", "Silences"])
    with now:
        live(_open)
        _one()
    with past, said():
        _history()
    with quiet:
        _silences()


def _open() -> None:
    found = fetch.items("/alerts", most=_MOST)
    if not found:
        st.success("No alert is open.", icon=":material/check_circle:")
        return
    rows = alert_rows.rows(found)
    before = st.session_state.get(_CHOSEN)
    number = choose_row(rows, [row["Number"] for row in rows], _CHOSEN)
    if number != before:
        st.rerun()  # what is below the table is not part of it: it keeps what is being typed
    if number is None:
        st.caption("Choose a row to acknowledge, comment or silence it.")


def _one() -> None:
    """The alert that was chosen, and what can be done about it."""
    number = st.session_state.get(_CHOSEN)
    if number is None:
        return
    with said():
        alert = fetch.document(f"/alerts/{number}")
        with st.container(border=True):
            st.subheader(f"{alert['rule']} on {alert['node']}")
            taken = f", taken by {plain(alert['assignee'] or alert['acknowledged_by'] or 'nobody')}"
            st.caption(f"Number {alert['id']}, {alert['state']}{taken}")
            st.markdown(plain(alert["message"]))
            if alert["broken"]:
                st.markdown(f"Broken link: **{alert['broken']}**. {plain(alert['broken_detail'])}")
            if viewer().may_operate:
                _actions(alert)
            _events(alert)


def _actions(alert: Document) -> None:
    path = f"/alerts/{alert['id']}"
    with st.form(f"act on {alert['id']}", border=False):
        why = st.text_input("Comment", max_chars=2000, placeholder="what is known, what is being done")
        first, second, third, fourth = st.columns(4)
        taken = first.form_submit_button("Acknowledge", icon=":material/check:", type="primary", width="stretch")
        noted = second.form_submit_button("Comment", icon=":material/chat:", width="stretch")
        mine = third.form_submit_button("Assign to me", icon=":material/person:", width="stretch")
        quiet = fourth.form_submit_button("Silence for 2 hours", icon=":material/notifications_off:", width="stretch")
    done = None
    if taken:
        done = act("POST", f"{path}/ack", {"why": why})
    elif noted and not why:
        st.warning("Write the comment first.")
    elif noted:
        done = act("POST", f"{path}/comment", {"why": why})
    elif mine:
        done = act("POST", f"{path}/assign", {"to": viewer().user, "why": why})
    elif quiet:
        silence = {"rule": alert["rule"], "node": alert["node"], "ends": "+2h", "why": why or "from the page"}
        done = act("POST", "/silences", silence)
    if done is not None:
        st.rerun()


def _events(alert: Document) -> None:
    zone = zone_or_utc(st.context.timezone)
    st.dataframe(
        [
            {
                "Time": clock(one["at"], zone),
                "What": one["change"],
                "By": one["by"] or "hub",
                "Why": one["why"],
                "Severity": one["severity"],
                "Message": one["message"],
            }
            for one in alert["history"]
        ],
        width="stretch",
        hide_index=True,
        column_config={"Message": st.column_config.TextColumn(width="medium")},
    )
    if alert["notifications"]:
        st.markdown("**Who was told**")
        st.dataframe(alert["notifications"], width="stretch", hide_index=True)


def _history() -> None:
    first, second, third = st.columns(3)
    spans = ["-1d", "-7d", "-30d", "-90d"]
    since = first.selectbox("Fired in the last", spans, index=1, format_func=lambda text: text[1:])
    nodes = ["", *sorted(node["node"] for node in fetch.items("/nodes", slow=True))]
    node = second.selectbox("Node", nodes, format_func=lambda name: name or "all nodes", key="history node")
    rules = ["", *sorted(rule["name"] for rule in fetch.items("/rules", slow=True))]
    rule = third.selectbox("Rule", rules, format_func=lambda name: name or "all rules")
    wanted: Params = {"state": "all", "since": since, "node": node or None, "rule": rule or None}
    found = fetch.items("/alerts", wanted, most=_MOST)
    if not found:
        st.info("Nothing fired in this time.")
        return
    st.dataframe(alert_rows.rows(found), width="stretch", hide_index=True)


def _silences() -> None:
    with said():
        found = fetch.items("/silences")
        zone = zone_or_utc(st.context.timezone)
        if not found:
            st.info("Nothing is kept quiet.")
        for one in found:
            left, right = st.columns([5, 1], vertical_alignment="center")
            left.markdown(
                f"Rule **{plain(one['rule'])}** on **{plain(one['node'])}** until {clock(one['ends'], zone)}: "
                f"{plain(one['why'])} ({plain(one['by'])})"
            )
            ended = viewer().may_operate and right.button("End", key=f"end silence {one['id']}")
            if ended and act("DELETE", f"/silences/{one['id']}") is not None:
                st.rerun()
    if viewer().may_operate:
        _new_silence()


def _new_silence() -> None:
    with st.form("new silence", clear_on_submit=True):
        st.markdown("**Keep quiet**")
        first, second, third = st.columns(3)
        rule = first.text_input("Rules", value="*", help="A name, or a pattern such as disk-*", max_chars=128)
        node = second.text_input("Nodes", value="*", help="A name, or a pattern such as lab-*", max_chars=128)
        ends = third.selectbox("For", ["+1h", "+2h", "+8h", "+1d", "+7d"], format_func=lambda text: text[1:])
        why = st.text_input("Why", max_chars=2000)
        if st.form_submit_button("Silence", icon=":material/notifications_off:"):
            if not why:
                st.warning("Say why: who wonders later will be glad.")
            elif act("POST", "/silences", {"rule": rule, "node": node, "ends": ends, "why": why}) is not None:
                st.rerun()
