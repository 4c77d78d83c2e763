"""The rule engine: (state, points, clock) → events. No I/O, no clock of its own, no awaiting.

    points ─▶ plan of the series key (one look-up; none: next) ─▶ windows ─▶ cells ─▶ tracks ─▶ RuleEvent …
    tick   ─▶ timers (for, clear_for, absence) ───────────────────────────────▲─────────▲

    plan   what to do with the fields of one series key          cell   what one condition knows of one series
    track  the life of one (rule, subject)                       tables.py keeps them, freezing.py saves and restores

Times. A sample counts at its own time (event time): ``for`` has passed when samples that far apart hold, or when the
clock says that it has passed since the first of them *arrived* and nothing said otherwise (series that are constant or
report changes only). ``absent`` is about arrival, hence runs by the clock alone. docs/rules.md says more.

System inputs are points of measurements that begin with ``$``, which only :meth:`Engine.observe_system` takes; the
composition makes them (from presence, clocks, pipeline), at each change and every few seconds:

    node's id  ``$node``  state        text: hub.nodes.model.Contact, and "lost" for OFFLINE where its will said so
                          clock_offset number: seconds that the node's clock is ahead of ours
    hub's id   ``$hub``   storing      boolean: false while what arrives cannot be stored
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hub.rules.compiled import Kind
from hub.rules.conditions import CLEAR
from hub.rules.freezing import GRACE_NS, OpenAlert, adopt, freeze, thaw, together
from hub.rules.pruning import Pruning
from hub.rules.tables import Tables
from hub.rules.tracks import Cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hub.rules.events import RuleEvent, Subject
    from hub.rules.model import RuleSet
    from hub.rules.state import EngineState
    from hub.rules.tables import Plan
    from hub.rules.windows import Windows
    from wire.point import Point, Value

__all__ = ["HUB_MEASUREMENT", "NODE_MEASUREMENT", "Engine", "OpenAlert"]

NODE_MEASUREMENT: Final = "$node"
HUB_MEASUREMENT: Final = "$hub"
#: Attributes of an enumeration are slow to look up.
_VALUE: Final = Kind.VALUE


class Engine:
    """Watches points for what rules ask.

    Args:
        rules: enabled and disabled ones; disabled ones are as if they were not there.
        groups_of: groups of a node; asked when one of its series is first seen, and again after :meth:`regroup`.
    """

    def __init__(self, rules: RuleSet, groups_of: Callable[[str], frozenset[str]] = lambda _node: frozenset()) -> None:
        self._tables = Tables(rules, groups_of)
        self._pruning = Pruning(self._tables)
        #: Samples that were older than the newest of their series, hence passed over, or were there already.
        self.late = 0

    @property
    def rules(self) -> RuleSet:
        """The rules in force."""
        return self._tables.rules

    @property
    def windows(self) -> Windows:
        """Window statistics of whoever subscribes."""
        return self._tables.windows

    def observe(self, points: Sequence[Point], now_ns: int) -> list[RuleEvent]:
        """Take samples in order of arrival; ``now_ns`` is when they arrived. The same again changes nothing.

        Measurements that begin with ``$`` are passed over: nodes cannot speak for the hub.
        """
        return self._observe(points, now_ns, system=False)

    def observe_system(self, points: Sequence[Point], now_ns: int) -> list[RuleEvent]:
        """As :meth:`observe`, for the hub's own points of ``$node`` and ``$hub``."""
        return self._observe(points, now_ns, system=True)

    def tick(self, now_ns: int) -> list[RuleEvent]:
        """What time alone brings about: ``for``, ``clear_for``, absence. Cheap; call it once a second or more."""
        out: list[RuleEvent] = []
        for what in self._tables.timers.due(now_ns):
            if isinstance(what, Cell):
                self._look_for(what, now_ns, out)
            else:
                what.wall_ns = None
                what.run_out(out)
        return out

    def next_deadline_ns(self) -> int | None:
        """When :meth:`tick` will next have something to do, at the earliest; None: never, as things are."""
        return self._tables.timers.next_ns()

    def heard_ns(self, rule: str, subject: Subject) -> int | None:
        """When what ``rule`` misses last arrived, or the hub began to listen; None: the rule waits for nothing."""
        track = self._tables.tracks.get((rule, subject))
        cells = [cell for cell in track.cells if cell is not None] if track is not None else []
        return max((cell.heard_ns for cell in cells if cell.watch.kind is Kind.ABSENT), default=None)

    def replace(self, rules: RuleSet, now_ns: int) -> list[RuleEvent]:
        """Use other rules from now on.

        Rules of which only message, receivers, mute, nodes or groups changed keep their state. What a removed, disabled
        or otherwise changed rule had firing is resolved; what it had pending, cancelled.
        """
        out: list[RuleEvent] = []
        self._tables.replace(rules, now_ns, out)
        return out

    def resume(self, now_ns: int) -> None:
        """The hub heard nothing for a while through no fault of the nodes (broker away): absence counts from now."""
        for cell in self._tables.cells.values():
            if cell.watch.kind is Kind.ABSENT:
                cell.heard_ns, cell.exact = now_ns, False

    def regroup(self, node: str, now_ns: int) -> list[RuleEvent]:
        """The groups of a node changed. What rules that no longer mean it had firing is resolved."""
        out: list[RuleEvent] = []
        self._tables.keep(lambda cell: cell.key.node != node or self._tables.applies(cell), now_ns, out)
        return out

    def prune(self, before_ns: int) -> int:
        """Forget series whose newest sample is of before, here and at the call before; returns how many conditions.

        What is pending, firing or waited for stays.
        """
        return self._pruning.sweep(before_ns)

    def forget(self, node: str, now_ns: int) -> list[RuleEvent]:
        """A node was removed: its state is dropped, what was firing is resolved."""
        out: list[RuleEvent] = []
        self._tables.keep(lambda cell: cell.key.node != node, now_ns, out)
        return out

    def adopt(self, alerts: Iterable[OpenAlert], now_ns: int) -> list[RuleEvent]:
        """After :meth:`restore`: agree with the alert layer, whose registry may know more than the last saved state.

        What is open there and unknown here fires on from here (and is resolved by the next sample that is clear);
        what no rule stands for any more is resolved. What fires or is pending here and is not open there is said again.
        """
        return adopt(self._tables, alerts, now_ns)

    def state(self) -> EngineState:
        """All that must outlive a restart."""
        return together(freeze(self._tables))

    def state_parts(self) -> Iterator[EngineState]:
        """As :meth:`state`, in parts of a few ms each; samples may be taken in between."""
        return freeze(self._tables)

    def restore(self, state: EngineState, now_ns: int, *, grace_ns: int = GRACE_NS) -> list[RuleEvent]:
        """Go on where ``state`` was saved, with today's rules; call it once, before the first points.

        Timers of ``for`` and ``clear_for`` go on (those that ended meanwhile end ``grace_ns`` from now, so that what
        the broker kept comes first); absence counts from now. What changed rules had firing is resolved.
        """
        return thaw(self._tables, state, now_ns, grace_ns)

    # -- private -----------------------------------------------------------------------------------------------------

    def _observe(self, points: Sequence[Point], now_ns: int, *, system: bool) -> list[RuleEvent]:
        out: list[RuleEvent] = []
        plans, unwatched = self._tables.plans[system], self._tables.unwatched
        for point in points:
            if point.key.measurement in unwatched:
                continue
            try:
                plan = plans[point.key]
            except KeyError:
                plan = self._tables.plan(point.key, system=system)
            if plan is not None:
                self._take(plan, point, now_ns, out)
        return out

    def _take(  # noqa: C901, PLR0912  the hot path: calls would cost as much as what they do
        self, plan: Plan, point: Point, now_ns: int, out: list[RuleEvent]
    ) -> None:
        """One point of a series key that something watches."""
        fields, ts_ns = point.fields, point.ts_ns
        if plan.open:
            plan.find(fields, self._tables)
        timers = self._tables.timers
        for field, (cells, windows, over_windows) in plan.slots.items():
            value = fields.get(field)
            if value is None:
                continue
            for cell in cells:
                watch = cell.watch
                if ts_ns <= cell.last_ns:
                    self.late += 1
                    if watch.kind is Kind.ABSENT and ts_ns < cell.last_ns:
                        self._still_comes(cell, ts_ns, now_ns, out)
                    continue
                if watch.kind is _VALUE:
                    level = watch.judge(value, cell.level)
                else:
                    level = self._special(cell, point, value, now_ns)
                if level is None:
                    continue
                for track in cell.tracks:
                    if track.due_ns is not None and track.due_ns < ts_ns:
                        track.run_out(out)  # with the value that held until now
                cell.last_ns, cell.value = ts_ns, value
                if level != cell.level:
                    cell.level = level
                    for track in cell.tracks:
                        track.advance(ts_ns, now_ns, timers, out)
                else:
                    for track in cell.tracks:
                        if not track.settled:
                            track.advance(ts_ns, now_ns, timers, out)
                if level != CLEAR and watch.passes:
                    cell.level = CLEAR
                    for track in cell.tracks:
                        track.advance(ts_ns, now_ns, timers, out)
            if windows and not isinstance(value, str):
                fresh = self._tables.fill(windows, ts_ns, float(value))
                for cell in over_windows:
                    if cell.window in fresh:
                        self._over_window(cell, now_ns, out)

    def _over_window(self, cell: Cell, now_ns: int, out: list[RuleEvent]) -> None:
        """The window took a sample: judge what it comes to now."""
        window, watch = cell.window, cell.watch
        if window is None:
            raise AssertionError(cell.key)
        value = cell.read()
        level = None if value is None else watch.judge(value, cell.level)
        if level is None:
            return
        for track in cell.tracks:
            if track.due_ns is not None and track.due_ns < window.newest_ns:
                track.run_out(out)
        same = level == cell.level
        cell.last_ns, cell.value, cell.level = window.newest_ns, value, level
        for track in cell.tracks:
            if not (same and track.settled):
                track.advance(window.newest_ns, now_ns, self._tables.timers, out)

    def _special(self, cell: Cell, point: Point, value: Value, now_ns: int) -> int:
        watch = cell.watch
        if watch.kind is Kind.CHANGED:
            return CLEAR if cell.value is None or cell.value == value else watch.rank
        self._tables.hear(cell, point.ts_ns, now_ns)
        return CLEAR

    def _still_comes(self, cell: Cell, ts_ns: int, now_ns: int, out: list[RuleEvent]) -> None:
        """A late sample is no news of the value, but its series is not absent: a clock that was set back, a backlog."""
        self._tables.hear(cell, ts_ns, now_ns)
        if cell.level != CLEAR:
            cell.level = CLEAR
            for track in cell.tracks:
                track.advance(now_ns, now_ns, self._tables.timers, out)

    def _look_for(self, cell: Cell, now_ns: int, out: list[RuleEvent]) -> None:
        """The deadline of an absence, or one that samples have moved since."""
        cell.wall_ns = None
        deadline_ns = self._tables.silent_until(cell)
        if deadline_ns is None or cell.level != CLEAR:
            return
        if deadline_ns > now_ns:
            self._tables.wake(cell, deadline_ns)
            return
        cell.level = cell.watch.rank
        cell.value = None
        for track in cell.tracks:
            track.advance(deadline_ns, now_ns, self._tables.timers, out)
