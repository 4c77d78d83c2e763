"""What the ledger should say about sequence numbers, worked out the slow and plain way: every number by itself."""

from __future__ import annotations

from collections import Counter

SEEN, DROPPED, MISSING = "seen", "dropped", "missing"


class Numbers:
    """One session: what became of each number, and in which hour it was missed."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.top = first
        self.fate: dict[int, str] = {}
        self.missed: dict[int, int] = {}
        #: (what, hour) → how often.
        self.rows: Counter[tuple[str, int]] = Counter()

    def see(self, number: int, hour: int) -> None:
        if number < self.first or self.fate.get(number) in {SEEN, DROPPED}:
            self.rows["repeats", hour] += 1
            return
        self._reach(number, hour)
        if number in self.missed:
            self._found("late", number)
        self.fate[number] = SEEN

    def drop(self, low: int, high: int, hour: int) -> None:
        for number in range(max(low, self.first), high + 1):
            if self.fate.get(number) in {SEEN, DROPPED}:
                continue
            self._reach(number, hour)
            if number in self.missed:
                self._found("dropped", number)
            else:
                self.rows["dropped", hour] += 1
            self.fate[number] = DROPPED

    def count(self, fate: str) -> int:
        return sum(each == fate for each in self.fate.values())

    @property
    def watermark(self) -> int:
        number = self.first
        while self.fate.get(number) in {SEEN, DROPPED}:
            number += 1
        return number - 1

    def _reach(self, number: int, hour: int) -> None:
        """All numbers between the highest and this one are missing from now on."""
        for skipped in range(self.top, number):
            self.fate[skipped] = MISSING
            self.missed[skipped] = hour
            self.rows["missing", hour] += 1
        self.top = max(self.top, number + 1)

    def _found(self, what: str, number: int) -> None:
        hour = self.missed.pop(number)
        self.rows["missing", hour] -= 1
        self.rows[what, hour] += 1


class Node:
    """One node with its sessions, of which the last ``remembered`` named ones are known."""

    def __init__(self, remembered: int) -> None:
        self.remembered = remembered
        self.sessions: dict[str | None, Numbers] = {}
        self.current: str | None = None
        #: Rows of sessions that are known no more.
        self.forgotten: Counter[tuple[str, int]] = Counter()

    def take(self, what: int | str | tuple[int, int], hour: int) -> None:
        if isinstance(what, str):
            if self.sessions and what == self.current:
                return
            self.current = what
            known = self.sessions.pop(what, None)
            self.sessions[what] = known if known is not None else Numbers(1)
            if len(self.sessions) > self.remembered:
                oldest = self.sessions.pop(next(iter(self.sessions)))
                self.forgotten.update(oldest.rows)
            return
        low, high = what if isinstance(what, tuple) else (what, what)
        if not self.sessions:
            self.sessions[None] = Numbers(low)
        if isinstance(what, tuple):
            self.sessions[self.current].drop(low, high, hour)
        else:
            self.sessions[self.current].see(what, hour)

    def rows(self) -> Counter[tuple[str, int]]:
        found = Counter(self.forgotten)
        for numbers in self.sessions.values():
            found.update(numbers.rows)
        return found

    def total(self, what: str) -> int:
        return sum(n for (each, _), n in self.rows().items() if each == what)
