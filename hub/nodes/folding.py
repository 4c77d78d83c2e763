"""Folds a run of transitions into the few statements that write them: pure, order kept.

A node that connects and goes five times within one run gives five connection rows, one change of its own row, and one
statement about the connection that was open before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.nodes.model import Change, Contact, Why

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.nodes.model import Birth, Transition

#: An inventory larger than this is replaced by a note; pages that show nodes must stay small.
_MAX_INFO_BYTES: Final = 64 << 10
_CONTACT: Final = {
    Change.ONLINE: Contact.ONLINE,
    Change.SILENT: Contact.SILENT,
    Change.OFFLINE: Contact.OFFLINE,
}

#: Column values of one row; ``of`` is the node in statements that change rows.
Values = dict[str, Any]


class Folded(msgspec.Struct):
    """What is to be written, in this order; within one list all rows have the same keys."""

    #: Every node concerned → when it was first heard in this run.
    nodes: dict[str, int] = {}
    #: Sessions of connections that were open before the run and began without a birth.
    adopted: list[Values] = []
    #: Ends of connections that were open before the run.
    closed: list[Values] = []
    #: Connections that began in the run, and mostly last.
    opened: list[Values] = []
    contacts: list[Values] = []
    births: list[Values] = []


def fold(transitions: Iterable[Transition]) -> Folded:
    """Fold ``transitions``."""
    folded = Folded()
    opened: dict[str, Values] = {}
    closed: set[str] = set()
    adopted: dict[str, Values] = {}
    contacts: dict[str, Values] = {}
    births: dict[str, Values] = {}
    for change in transitions:
        node = change.node
        folded.nodes.setdefault(node, change.at_ns)
        if change.birth is not None:
            births[node] = _birth_values(node, change.session, change.birth)
        if change.change is Change.UPDATED:
            if node in opened:
                opened[node]["session"] = change.session
            else:
                adopted[node] = {"of": node, "session": change.session}
        if (contact := _CONTACT.get(change.change)) is None:
            continue
        contacts[node] = {
            "of": node,
            "contact": contact,
            "since_ns": change.at_ns,
            "reason": change.reason,
            "connected_ns": change.at_ns if contact is Contact.ONLINE else None,
        }
        # A connection that is open here although presence does not know it was left by a crash.
        ended_ns = change.at_ns if change.ended_ns is None else change.ended_ns
        reason = Why.UNRECORDED if contact is Contact.ONLINE else change.reason
        end = {"disconnected_ns": ended_ns, "reason_disconnected": reason}
        if (row := opened.pop(node, None)) is not None:
            row.update(end)
        elif node not in closed:
            closed.add(node)
            folded.closed.append({"of": node, **end})
        if contact is Contact.ONLINE:
            opened[node] = _connection_values(change)
            folded.opened.append(opened[node])
    folded.adopted, folded.contacts, folded.births = (
        list(adopted.values()),
        list(contacts.values()),
        list(births.values()),
    )
    return folded


def _connection_values(change: Transition) -> Values:
    return {
        "node": change.node,
        "connected_ns": change.at_ns,
        "disconnected_ns": None,
        "reason_connected": change.reason,
        "reason_disconnected": None,
        "session": change.session,
    }


def _birth_values(node: str, session: str | None, birth: Birth) -> Values:
    info = birth.info
    size = len(msgspec.json.encode(info))
    if size > _MAX_INFO_BYTES:
        info = {"left_out": f"{size} bytes of inventory are more than {_MAX_INFO_BYTES}"}
    return {
        "of": node,
        "session": session,
        "birth_ms": birth.ts_ms,
        "version": birth.version,
        "outbox": birth.outbox,
        "info": info,
    }
