"""Words and values of the node registry: what a node is, how it is reached, and what changed."""

from __future__ import annotations

import enum
from typing import Any

import msgspec


class Standing(enum.StrEnum):
    """Whether somebody declared the node."""

    #: Appeared by itself, by publishing.
    NEW = "new"
    DECLARED = "declared"


class Contact(enum.StrEnum):
    """What is known about the connection of a node."""

    ONLINE = "online"
    #: Announced no end and sends nothing.
    SILENT = "silent"
    #: Said so, or its will did.
    OFFLINE = "offline"
    #: Declared and not heard of yet.
    NEVER = "never"


class Change(enum.StrEnum):
    """What a :class:`Transition` is about."""

    NEW = "new"
    ONLINE = "online"
    SILENT = "silent"
    OFFLINE = "offline"
    #: A further birth within the same connection.
    UPDATED = "updated"


class Why(enum.StrEnum):
    """Reasons the hub itself gives; those of nodes and wills are free text."""

    BIRTH = "birth"
    DATA = "data without birth"
    BACK = "back from silence"
    SILENCE = "silence"
    REPLACED = "replaced by a new session"
    WILL = "offline"
    UNRECORDED = "end not recorded"


class Birth(msgspec.Struct, frozen=True):
    """What a birth said; strings are bounded, see :func:`hub.nodes.presence.Presence.observe_status`."""

    session: str | None
    version: str | None
    outbox: bool
    info: dict[str, Any]
    #: The node's own time, Unix ms; None when it gave none or an impossible one.
    ts_ms: int | None


class Transition(msgspec.Struct, frozen=True):
    """One change of one node. Made by presence, written by the registry, shown by live subscribers."""

    node: str
    change: Change
    #: When the hub noticed, ns.
    at_ns: int
    reason: str
    session: str | None = None
    #: Start of the connection that ends; None where there was none.
    connected_ns: int | None = None
    #: When that connection ended: for silence the time the node was last heard.
    ended_ns: int | None = None
    birth: Birth | None = None

    @property
    def duration_ns(self) -> int | None:
        """How long the connection lasted that ends here."""
        if self.connected_ns is None or self.ended_ns is None:
            return None
        return self.ended_ns - self.connected_ns


class NodeRow(msgspec.Struct, frozen=True):
    """A node as the registry keeps it. Times are ns."""

    node: str
    standing: Standing
    contact: Contact
    first_seen_ns: int | None
    last_seen_ns: int | None
    #: Since when ``contact`` is what it is, and why.
    since_ns: int | None
    reason: str | None
    #: Start of the connection that is open.
    connected_ns: int | None
    session: str | None
    birth_ms: int | None
    version: str | None
    outbox: bool
    info: dict[str, Any]
    groups: tuple[str, ...] = ()


class ConnectionRow(msgspec.Struct, frozen=True):
    """One stay of a node. Times are ns."""

    id: int
    node: str
    connected_ns: int
    disconnected_ns: int | None
    reason_connected: str
    reason_disconnected: str | None
    session: str | None
