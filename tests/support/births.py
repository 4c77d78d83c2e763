"""Births as presence sees them, at fixed times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.nodes.presence import Presence
from wire.messages import NodeState, Status

if TYPE_CHECKING:
    from hub.nodes.model import Transition

S = 1_000_000_000
T0 = 1_763_750_000 * S


def online(
    node: str, at_ns: int = T0, *, session: str | None = "s1", presence: Presence | None = None
) -> list[Transition]:
    """What follows from the birth of ``node``."""
    status = Status(
        NodeState.ONLINE, ts=at_ns // 1_000_000, session=session, version="1", outbox=True, info={"os": "x"}
    )
    return (presence or Presence(90)).observe_status(node, status, at_ns, retained=False)


def flapping(turns: int) -> list[Transition]:
    """A node that is born again each second, in sessions ``s0``, ``s1``, …"""
    presence = Presence(90)
    return [
        transition
        for turn in range(turns)
        for transition in online("flapping", T0 + turn * S, session=f"s{turn}", presence=presence)
    ]
