"""What the engine remembers: the plan of each series key, cells, tracks, timers. See :mod:`hub.rules.engine`.

Plans follow from rules and are made again at will; cells and tracks are state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hub.rules.cadence import Cadence
from hub.rules.compiled import Index, Kind
from hub.rules.events import Subject
from hub.rules.joints import Joints
from hub.rules.metric import is_glob
from hub.rules.tracks import Cell, Timers, Track
from hub.rules.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hub.rules.compiled import Watch
    from hub.rules.events import RuleEvent
    from hub.rules.model import RuleSet
    from hub.rules.windows import SeriesWindow
    from wire.point import SeriesKey, Value

#: Series keys that no rule names are remembered up to so many, then all are looked at anew.
_MOST_KEYS: Final = 500_000
if TYPE_CHECKING:
    #: Rule, condition, series key, field.
    CellPlace = tuple[str, int, SeriesKey, str]
    #: Cells that judge each sample, windows to fill, cells that judge what those come to.
    _Slot = tuple[tuple[Cell, ...], tuple[SeriesWindow, ...], tuple[Cell, ...]]


class Plan:
    """What to do with the fields of one series key."""

    __slots__ = ("_globs", "_key", "_names", "_nothing", "_watches", "open", "slots")

    def __init__(self, key: SeriesKey, watches: list[Watch], *, subscribed: bool) -> None:
        self._key = key
        self._watches = watches
        #: Any field may be watched, not only those that rules name.
        self._globs = subscribed or any(is_glob(watch.metric.field) for watch in watches)
        #: Named fields that did not come yet; of any fields those that nothing watches.
        self._names = {watch.metric.field for watch in watches}
        self._nothing: set[str] = set()
        #: Fields that something watches, and what.
        self.slots: dict[str, _Slot] = {}
        #: There may be fields that were not looked at yet.
        self.open = True

    def find(self, fields: Mapping[str, Value], tables: Tables) -> None:
        """Look at the fields that are new."""
        candidates = fields if self._globs else [name for name in self._names if name in fields]
        for field in candidates:
            if field in self.slots or field in self._nothing:
                continue
            self._names.discard(field)
            slot = tables.slot(self._key, field, self._watches)
            if slot is None:
                self._nothing.add(field)
            else:
                self.slots[field] = slot
        self.open = self._globs or bool(self._names)


class Tables:
    """All state. Only the engine and :mod:`hub.rules.freezing` look inside."""

    def __init__(self, rules: RuleSet, groups_of: Callable[[str], frozenset[str]]) -> None:
        self.rules = rules
        self._groups_of = groups_of
        self.index = Index(rules, groups_of)
        self.windows = Windows(self._forget_plans)
        #: By what speaks: nodes, the hub itself. None: nothing watches the key.
        self.plans: tuple[dict[SeriesKey, Plan | None], dict[SeriesKey, Plan | None]] = ({}, {})
        #: Measurements of nodes of which nothing watches any key: those need no plan.
        self.unwatched: set[str] = set()
        self.cells: dict[CellPlace, Cell] = {}
        self.tracks: dict[tuple[str, Subject], Track] = {}
        self.joints = Joints(self.track)
        self.timers = Timers()

    # -- finding -----------------------------------------------------------------------------------------------------

    def plan(self, key: SeriesKey, *, system: bool) -> Plan | None:
        """The plan of a key that was not seen yet."""
        plans = self.plans[system]
        if len(plans) >= _MOST_KEYS:
            for idle in [each for each, plan in plans.items() if plan is None]:
                del plans[idle]
        watches = self.index.watches(key) if key.measurement.startswith("$") == system else []
        subscribed = self.windows.any_subscribed and not system
        if not (system or subscribed or self.index.may_watch(key.measurement)):
            if len(self.unwatched) >= _MOST_KEYS:
                self.unwatched.clear()
            self.unwatched.add(key.measurement)
            return None
        plan = Plan(key, watches, subscribed=subscribed) if watches or subscribed else None
        plans[key] = plan
        return plan

    def slot(self, key: SeriesKey, field: str, watches: list[Watch]) -> _Slot | None:
        """What watches a field; None: nothing."""
        cells = [self.cell(watch, key, field) for watch in watches if watch.fits_field(field)]
        windows = [cell.window for cell in cells if cell.window is not None]
        if self.windows.any_subscribed and not key.measurement.startswith("$"):
            windows += self.windows.wanted(key, field)
        if not cells and not windows:
            return None
        plain = tuple(cell for cell in cells if cell.window is None)
        return plain, tuple(dict.fromkeys(windows)), tuple(cell for cell in cells if cell.window is not None)

    def cell(self, watch: Watch, key: SeriesKey, field: str) -> Cell:
        """The cell of a condition and a series; made when there is none."""
        place = (watch.rule.name, watch.at, key, field)
        cell = self.cells.get(place)
        if cell is None:
            cell = self.cells[place] = Cell(watch, key, field)
            if watch.kind is Kind.WINDOW and watch.window is not None:
                cell.window = self.windows.window(key, field, watch.over_ns)
                cell.window.ruled = True
                cell.read = cell.window.reader(watch.window.fn, least=watch.least, ahead_ns=watch.ahead_ns)
            if watch.auto:
                cell.cadence = Cadence()
            self._attach(cell)
        return cell

    def track(self, watch: Watch, subject: Subject) -> Track:
        """The track of a rule and a subject; made when there is none."""
        place = (watch.rule.name, subject)
        track = self.tracks.get(place)
        if track is None:
            track = self.tracks[place] = Track(watch.rule, subject)
        return track

    def applies(self, cell: Cell) -> bool:
        """Whether the rule of a cell is still about its node."""
        return self.index.applies(cell.watch, cell.key)

    # -- samples -----------------------------------------------------------------------------------------------------

    def fill(self, windows: Iterable[SeriesWindow], ts_ns: int, value: float) -> list[SeriesWindow]:
        """Put a sample into windows; those that it changed."""
        fresh = [window for window in windows if window.add(ts_ns, value)]
        for window in fresh:
            if window.subscribed and not window.touched:
                window.touched = True
                self.windows.touched.append(window)
        return fresh

    def hear(self, cell: Cell, ts_ns: int, now_ns: int) -> None:
        """A sample of a series that is watched for absence arrived; a late one tells nothing of its cadence."""
        if cell.cadence is not None and cell.exact and now_ns > cell.heard_ns and ts_ns > cell.last_ns:
            cell.cadence.learn(max(now_ns - cell.heard_ns, ts_ns - cell.last_ns))
        cell.heard_ns, cell.exact = now_ns, True
        if cell.wall_ns is None and (deadline_ns := self.silent_until(cell)) is not None:
            self.wake(cell, deadline_ns)

    def silent_until(self, cell: Cell) -> int | None:
        """When a silence of this series is one too many; None: not known yet."""
        lasts_ns = cell.cadence.deadline_ns() if cell.cadence is not None else cell.watch.absent_ns
        return None if lasts_ns is None else cell.heard_ns + lasts_ns

    def wake(self, cell: Cell, wall_ns: int) -> None:
        """Look at a cell then."""
        cell.wall_ns = wall_ns
        self.timers.push(wall_ns, cell)

    # -- changes -----------------------------------------------------------------------------------------------------

    def replace(self, rules: RuleSet, now_ns: int, out: list[RuleEvent]) -> None:
        """Use other rules; state of what did not change is kept."""
        before, self.rules, self.index = self.index.ready, rules, Index(rules, self._groups_of)
        prints = {name: ready.fingerprint for name, ready in before.items()}
        same = {name for name, ready in self.index.ready.items() if prints.get(name) == ready.fingerprint}
        for cell in self.cells.values():
            if cell.watch.rule.name in same:
                cell.watch = self.index.ready[cell.watch.rule.name].watches[cell.watch.at]
        for track in self.tracks.values():
            if track.ready.name in same:
                track.ready = self.index.ready[track.ready.name]
        self.keep(lambda cell: cell.watch.rule.name in same and self.applies(cell), now_ns, out)

    def keep(self, wanted: Callable[[Cell], bool], now_ns: int, out: list[RuleEvent]) -> None:
        """Drop the cells that are not wanted, and end the tracks that lose one; plans are made anew."""
        self._drop([place for place, cell in self.cells.items() if not wanted(cell)], now_ns, out)
        self.windows.drop_unused()
        self._forget_plans()

    def drop(self, places: Sequence[CellPlace], before_ns: int) -> None:
        """Forget idle cells, and statistics whose newest sample is of before."""
        self._drop(places, before_ns, [])
        keys = {place[2] for place in places} | self.windows.drop_unused(before_ns)
        for plans in self.plans:
            for key in keys:
                plans.pop(key, None)

    # -- private -----------------------------------------------------------------------------------------------------

    def _drop(self, dropped: Iterable[CellPlace], now_ns: int, out: list[RuleEvent]) -> None:
        ended: dict[tuple[str, Subject], Track] = {}
        for place in dropped:
            cell = self.cells.pop(place)
            cell.wall_ns = None
            if cell.window is not None:
                cell.window.ruled = False
            self.joints.drop(cell)
            for track in cell.tracks:
                track.cells[cell.watch.at] = None
                ended[track.ready.name, track.subject] = track
        for each, track in ended.items():
            track.end(now_ns, out)
            if not any(track.cells):
                self.tracks.pop(each, None)
        for cell in self.cells.values():
            if cell.window is not None:
                cell.window.ruled = True

    def _attach(self, cell: Cell) -> None:
        if cell.watch.rule.join is not None:
            self.joints.attach(cell)
            return
        track = self.track(cell.watch, subject_of(cell.key, cell.field))
        track.cells[0] = cell
        cell.tracks = (track,)

    def _forget_plans(self) -> None:
        for plans in self.plans:
            plans.clear()
        self.unwatched.clear()


def subject_of(key: SeriesKey, field: str) -> Subject:
    """What an alert of this series is about; the hub's own series are about the node itself."""
    return Subject(key.node) if key.measurement.startswith("$") else Subject(key.node, key, field)
