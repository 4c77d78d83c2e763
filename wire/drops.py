"""Which sequence numbers were given up, and whether the hub knows. Pure.

A number that never arrives keeps the hub waiting for it, so what was given up is told: a message of measurement
``outbox`` names the range. That message can be given up too; then the range has to be told again.
"""

from __future__ import annotations

import msgspec


class Drop(msgspec.Struct, frozen=True, array_like=True):
    """The numbers from ``first`` to ``last``."""

    first: int
    last: int
    #: Number of the message that tells it; None while none does.
    told_by: int | None = None


class Drops:
    """Ranges that were given up and that the hub is not known to know."""

    def __init__(self, drops: list[Drop] | None = None) -> None:
        self._drops = list(drops or [])

    @property
    def all(self) -> list[Drop]:
        """Every range, for keeping."""
        return list(self._drops)

    @property
    def untold(self) -> tuple[int, int] | None:
        """A range that no message tells yet."""
        return next(((drop.first, drop.last) for drop in self._drops if drop.told_by is None), None)

    def add(self, first: int, last: int) -> None:
        """The message with these numbers was given up; what it told, if it told any, is untold again."""
        told = [drop for drop in self._drops if drop.told_by is not None and not first <= drop.told_by <= last]
        untold = [drop for drop in self._drops if drop not in told]
        merged: list[Drop] = []
        for drop in sorted([*untold, Drop(first, last)], key=lambda drop: drop.first):
            if merged and drop.first <= merged[-1].last + 1:
                merged[-1] = Drop(merged[-1].first, max(merged[-1].last, drop.last))
            else:
                merged.append(Drop(drop.first, drop.last))
        self._drops = [*told, *merged]

    def add_unknown(self, first: int, last: int) -> None:
        """The hub does not know that it has these; add them unless they are about to be told."""
        if not any(drop.first <= first and last <= drop.last for drop in self._drops):
            self.add(first, last)

    def tell(self, first: int, last: int, told_by: int) -> None:
        """Message ``told_by`` tells this range."""
        self._drops = [
            Drop(first, last, told_by) if (drop.first, drop.last, drop.told_by) == (first, last, None) else drop
            for drop in self._drops
        ]

    def arrived(self, seq: int) -> None:
        """Message ``seq`` is safe, and with it what it told."""
        self._drops = [drop for drop in self._drops if drop.told_by != seq]

    def covered(self, seq: int) -> None:
        """All messages up to ``seq`` are safe."""
        self._drops = [drop for drop in self._drops if drop.told_by is None or drop.told_by > seq]
