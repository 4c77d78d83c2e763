"""Says that rights changed: whoever looks on for long asks anew then."""

from __future__ import annotations

import asyncio


class Revision:
    """One for all users, tokens and groups of nodes: they change rarely, and asking anew is cheap."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Set once anything changes; take it before looking, then wait."""
        return self._next

    def changed(self) -> None:
        """Users, their tokens, or the groups of nodes are others now."""
        changed, self._next = self._next, asyncio.Event()
        changed.set()
