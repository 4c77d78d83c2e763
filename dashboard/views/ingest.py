"""**Ingest**: what became of every message, what was refused and why, and whether broker and store keep up."""

from __future__ import annotations

import base64
import time

import streamlit as st

from dashboard import fetch
from dashboard.choice import choose_row
from dashboard.data import ledger
from dashboard.data.hexdump import hexdump
from dashboard.data.metrics import broker_and_store, spool
from dashboard.data.times import ago
from dashboard.errors import Refused
from dashboard.frame import act, live, plain, tabs
from dashboard.session import viewer

_MOST_REJECTS = 500
_CHOSEN = "chosen reject"


def page() -> None:
    """Draw the page."""
    st.title("Ingest")
    live(_chain)
    (books, in_books), (rejects, in_rejects), (flow, in_flow) = tabs(
        ["Ledger", "Refused messages", "Broker and store"], "ingest tabs"
    )
    with books:
        if in_books:
            live(_ledger)
            hours = st.expander("By hour", key="by hour", on_change="rerun")
            if hours.open:
                with hours:
                    live(_hours)
    with rejects:
        if in_rejects:
            _rejects()
    with flow:
        if in_flow:
            live(_flow)


def _chain() -> None:
    health = fetch.health()
    links = health["links"] or []
    for column, link in zip(st.columns(max(len(links), 1)), links, strict=False):
        sign = ":green-badge[:material/check: holds]" if link["ok"] else ":red-badge[:material/link_off: broken]"
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{link['name'].capitalize()}** {sign}")
            st.caption(plain(link["detail"]))


def _ledger() -> None:
    found = fetch.items("/ledger")
    sums = ledger.totals(found)
    equation = (
        f"{sums['received']:,} received = {sums['stored']:,} stored + {sums['refused']:,} refused + "
        f"{sums['duplicate']:,} duplicate + {sums['handled']:,} handled"
    )
    if ledger.balances(sums):
        st.success(f"Every message is accounted for: {equation}.", icon=":material/balance:")
    else:
        st.error(f"The books do not balance: {equation}; {sums['unaccounted']:,} unaccounted.")
    if sums["missing"]:
        st.warning(f"{sums['missing']:,} messages that nodes numbered never came.")
    st.dataframe(ledger.rows(found), width="stretch", hide_index=True)


def _hours() -> None:
    st.dataframe(ledger.rows(fetch.items("/ledger/hours", most=500)), width="stretch", hide_index=True)


def _flow() -> None:
    shown, now_s = fetch.reading().figures, time.time()
    _metrics(broker_and_store(shown, now_s), columns=3)
    st.subheader("Spool")
    waiting = spool(shown, now_s)
    if waiting is None:
        st.caption("The built-in store is on the same disk: nothing has to wait for it.")
    else:
        _metrics(waiting, columns=3)


def _metrics(figures: dict[str, str], columns: int) -> None:
    shown = list(figures.items())
    for at in range(0, len(shown), columns):
        for column, (label, value) in zip(st.columns(columns), shown[at : at + columns], strict=False):
            column.metric(label, value, border=True)


# -- rejects -----------------------------------------------------------------------------------------------------------


def _rejects() -> None:
    figures = fetch.document("/rejects/figures")
    share = figures["size_bytes"] / figures["max_bytes"] if figures["max_bytes"] else 0
    st.write(
        f"{figures['kept']:,} kept ({figures['size_bytes']:,} bytes, {share:.0%} of what may be), "
        f"{figures['replayed']:,} replayed, {figures['evicted']:,} given up because there was no room."
    )
    found = fetch.items("/rejects", most=_MOST_REJECTS)
    if not found:
        st.info("Nothing was refused. What cannot be decoded or stored is kept here, with its bytes and the reason.")
        return
    number = choose_row(
        [
            {
                "Number": one["id"],
                "Came": ago(one["arrived"]),
                "Topic": one["topic"],
                "Reason": one["reason"],
                "Detail": one["detail"],
                "Bytes": one["size_bytes"],
                "State": one["state"],
            }
            for one in found
        ],
        [one["id"] for one in found],
        _CHOSEN,
    )
    if number is None:
        st.caption("Choose a row to see its bytes.")
        return
    _reject(number)


def _reject(number: int) -> None:
    try:
        whole = fetch.document(f"/rejects/{number}")
    except Refused as error:
        st.info(str(error))  # replayed by somebody else, or given up because there was no room
        return
    st.subheader(f"Message {whole['id']}")
    st.markdown(f"{plain(whole['topic'])} · **{plain(whole['reason'])}**: {plain(whole['detail'])}")
    st.code(hexdump(base64.b64decode(whole["payload"])), language=None)
    if not viewer().may_operate:
        return
    if st.button("Replay", icon=":material/replay:", help="Today's decoder has another go, at the original time."):
        outcome = act("POST", f"/rejects/{whole['id']}/replay")
        if outcome is None:
            return
        if outcome["replayed"]:
            st.success("It is stored now, at its original time.", icon=":material/check:")
        elif outcome["refused"]:
            again = fetch.document(f"/rejects/{whole['id']}")
            st.warning(f"Refused once more: {plain(again['detail'])}")
        else:
            st.info("Somebody was faster: it is not there any more.")
