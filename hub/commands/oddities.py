"""How many rows about what should not happen one node may cause: a flood of them must not fill the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hub.commands.life import ODD
from hub.commands.model import Entry
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable

_WINDOW_NS: Final = 60 * NS_PER_S
_A_WINDOW: Final = 100


class Oddities:
    """Lets 100 odd entries a minute and node through and counts the others; the count is an entry of its own."""

    def __init__(self, *, a_window: int = _A_WINDOW) -> None:
        self._a_window = a_window
        #: Node → (begin of its window, entries in it).
        self._windows: dict[str, tuple[int, int]] = {}

    def passed(self, entries: Iterable[Entry]) -> list[Entry]:
        """Those that are written, in order."""
        return [entry for entry in entries if entry.kind not in ODD or self._passes(entry)]

    def full(self, node: str, at_ns: int) -> bool:
        """Whether no more of ``node`` are let through now."""
        began_ns, n = self._windows.get(node, (at_ns, 0))
        return n >= self._a_window and 0 <= at_ns - began_ns < _WINDOW_NS

    def closed(self, now_ns: int) -> list[Entry]:
        """Entries about what was left out in windows that have ended; call it every second or so."""
        found = []
        for node, (began_ns, n) in list(self._windows.items()):
            if not 0 <= now_ns - began_ns < _WINDOW_NS:
                del self._windows[node]
                if n > self._a_window:
                    facts = {"rows": n - self._a_window, "since_ns": began_ns}
                    found.append(Entry(now_ns, "left-out", node, "", facts))
        return found

    def _passes(self, entry: Entry) -> bool:
        began_ns, n = self._windows.get(entry.node, (entry.at_ns, 0))
        self._windows[entry.node] = (began_ns, n + 1)
        return n < self._a_window
