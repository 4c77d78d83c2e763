"""Who may command: the one place that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.nodes.callers import Caller


def may_command(caller: Caller, node: str) -> bool:
    """Whether ``caller`` may send commands to ``node``: operators and administrators, to nodes that they see."""
    return caller.may_operate and caller.may_see(node)
