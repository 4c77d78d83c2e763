"""The engine on a clock of its own: samples arrive the moment they are taken, and time passes in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.rules.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hub.rules.events import RuleEvent
    from hub.rules.model import RuleSet
    from wire.point import Point


class RuleReplay:
    """Runs rules over points in order of time, exactly as they would have run live without delay."""

    def __init__(self, rules: RuleSet, groups_of: Callable[[str], frozenset[str]] = lambda _node: frozenset()) -> None:
        self.engine = Engine(rules, groups_of)

    def feed(self, points: Iterable[Point], *, system: bool = False) -> list[RuleEvent]:
        """What they bring about; points must come in order of time over all calls."""
        out: list[RuleEvent] = []
        engine = self.engine
        observe = engine.observe_system if system else engine.observe
        for point in points:
            deadline_ns = engine.next_deadline_ns()
            if deadline_ns is not None and deadline_ns < point.ts_ns:
                out += self._pass(point.ts_ns - 1)
            out += observe((point,), point.ts_ns)
        return out

    def until(self, ns: int) -> list[RuleEvent]:
        """Let time pass up to ``ns``."""
        return self._pass(ns)

    def _pass(self, ns: int) -> list[RuleEvent]:
        out: list[RuleEvent] = []
        while (deadline_ns := self.engine.next_deadline_ns()) is not None and deadline_ns <= ns:
            out += self.engine.tick(deadline_ns)
        return out
