"""The engine's state to plain data and back, and the agreement with what the alert layer holds to be open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hub.rules.cadence import Cadence
from hub.rules.compiled import Kind
from hub.rules.conditions import CLEAR
from hub.rules.events import EventKind, RuleEvent, Severity, Subject
from hub.rules.joints import joint_subject
from hub.rules.state import CellState, EngineState, TrackState, WindowState
from hub.rules.tables import subject_of
from hub.rules.tracks import NEVER_NS, Phase
from wire.point import NS_PER_S, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hub.rules.compiled import Ready
    from hub.rules.tables import Tables
    from hub.rules.tracks import Cell, Track

#: Timers that ended while the hub was away wait for so long, so that what the broker kept comes first.
GRACE_NS: Final = 5 * NS_PER_S
#: Cells, and samples of windows, that are frozen at once.
_CELLS: Final = 2_000
_SAMPLES: Final = 50_000


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert that the alert layer holds to be firing (or acknowledged)."""

    rule: str
    subject: Subject
    severity: Severity
    #: When it fired, ns.
    since_ns: int


def freeze(tables: Tables) -> Iterator[EngineState]:
    """All that must outlive a restart, in parts that take a few ms each; samples may be taken between two parts."""
    yield EngineState(rules={name: ready.fingerprint for name, ready in tables.index.ready.items()})
    cells = list(tables.cells.values())
    for at in range(0, len(cells), _CELLS):
        yield EngineState(cells=[_frozen_cell(cell) for cell in cells[at : at + _CELLS]])
    part: list[WindowState] = []
    samples = 0
    for window in tables.windows.ruled():
        part.append(WindowState(window.key, window.field, window.over_ns, *window.columns()))
        samples += len(window)
        if samples > _SAMPLES or len(part) >= _CELLS:
            yield EngineState(windows=part)
            part, samples = [], 0
    tracks = [_frozen_track(track) for track in tables.tracks.values() if _matters(track)]
    yield EngineState(windows=part, tracks=tracks)


def together(parts: Iterable[EngineState]) -> EngineState:
    """The parts as one."""
    whole = EngineState(rules={}, cells=[], tracks=[], windows=[])
    for part in parts:
        whole.rules.update(part.rules)
        whole.cells.extend(part.cells)
        whole.tracks.extend(part.tracks)
        whole.windows.extend(part.windows)
    return whole


def thaw(tables: Tables, state: EngineState, now_ns: int, grace_ns: int = GRACE_NS) -> list[RuleEvent]:
    """Take a saved state into empty tables; what no longer has a rule is ended."""
    out: list[RuleEvent] = []
    same = {name for name, ready in tables.index.ready.items() if state.rules.get(name) == ready.fingerprint}
    for cell in state.cells:
        if cell.rule in same:
            _thaw_cell(tables, cell, now_ns)
    for window in state.windows:
        found = tables.windows.find(window.key, window.field, window.over_ns)
        if found is not None:
            for ts_ns, value in zip(window.times_ns, window.values, strict=True):
                found.add(ts_ns, value)
    for each in state.tracks:
        subject = Subject(each.node, each.key, each.field)
        track = tables.tracks.get((each.rule, subject))
        if track is None:
            if each.phase == Phase.IDLE:
                continue
            kind = EventKind.RESOLVED if each.phase == Phase.FIRING else EventKind.CANCELLED
            severity = list(Severity)[max(each.rank, 0)]
            out.append(RuleEvent(kind, each.rule, subject, severity, now_ns, None, _GONE))
            continue
        _thaw_track(tables, track, each, now_ns + grace_ns)
    for track in tables.tracks.values():
        # Cells and tracks may have been saved at different moments: the next sample looks at what does not agree.
        track.settled = track.due_ns is None and track.level() == track.rank
    return out


def adopt(tables: Tables, alerts: Iterable[OpenAlert], now_ns: int) -> list[RuleEvent]:
    """Make tracks and open alerts agree."""
    out: list[RuleEvent] = []
    known: set[tuple[str, Subject]] = set()
    for alert in alerts:
        known.add((alert.rule, alert.subject))
        track = tables.tracks.get((alert.rule, alert.subject)) or _track_for(tables, alert)
        if track is None:
            out.append(RuleEvent(EventKind.RESOLVED, alert.rule, alert.subject, alert.severity, now_ns, None, _GONE))
        elif track.phase is not Phase.FIRING:
            _adopt(track, alert)
    for place, track in tables.tracks.items():
        if place not in known and (event := track.again()) is not None:
            out.append(event)
    return out


# -- private -----------------------------------------------------------------------------------------------------------

_GONE: Final = "its rule was removed or changed"


def _matters(track: Track) -> bool:
    """Whether what comes next could tell it from a new one: idle ones matter where a condition lags behind them."""
    if track.phase is not Phase.IDLE:
        return True
    at_ns = track.at_ns
    return at_ns != NEVER_NS and any(cell is None or cell.last_ns < at_ns for cell in track.cells)


def _frozen_cell(cell: Cell) -> CellState:
    cadence = cell.cadence
    learned = (cadence.count, cadence.typical_ns, cadence.longest_ns) if cadence is not None else None
    return CellState(
        cell.watch.rule.name,
        cell.watch.at,
        cell.key,
        cell.field,
        cell.level,
        cell.last_ns,
        cell.value,
        learned,
        cell.wall_ns is not None,
    )


def _frozen_track(track: Track) -> TrackState:
    subject = track.subject
    return TrackState(
        track.ready.name,
        subject.node,
        subject.key,
        subject.field,
        int(track.phase),
        track.rank,
        track.at_ns,
        track.due_ns,
        track.wall_ns,
    )


def _thaw_cell(tables: Tables, saved: CellState, now_ns: int) -> None:
    watch = tables.index.ready[saved.rule].watches[saved.at]
    if not tables.index.applies(watch, saved.key):
        return
    cell = tables.cell(watch, saved.key, saved.field)
    cell.level, cell.last_ns, cell.value = saved.level, saved.last_ns, saved.value
    if watch.kind is Kind.ABSENT:
        cell.heard_ns = now_ns
        if saved.cadence is not None:
            cell.cadence = Cadence(*saved.cadence)
        if saved.awaited and (deadline_ns := tables.silent_until(cell)) is not None:
            tables.wake(cell, deadline_ns)


def _thaw_track(tables: Tables, track: Track, saved: TrackState, earliest_ns: int) -> None:
    track.phase, track.rank, track.at_ns = Phase(saved.phase), saved.rank, saved.at_ns
    track.due_ns = saved.due_ns
    if saved.wall_ns is not None:
        track.wall_ns = max(saved.wall_ns, earliest_ns)
        tables.timers.push(track.wall_ns, track)


def _track_for(tables: Tables, alert: OpenAlert) -> Track | None:
    """The track of an alert that the engine did not know of; None where no rule stands for it."""
    ready = tables.index.ready.get(alert.rule)
    if ready is None:
        return None
    watch = ready.watches[0]
    key = alert.subject.key or SeriesKey(alert.subject.node, watch.metric.measurement)
    field = alert.subject.field or watch.metric.field
    if (
        not (tables.index.applies(watch, key) and watch.fits_field(field))
        or _subject(ready, key, field) != alert.subject
    ):
        return None
    cell = tables.cell(watch, key, field)
    return next((track for track in cell.tracks if track.subject == alert.subject), None)


def _subject(ready: Ready, key: SeriesKey, field: str) -> Subject:
    if ready.join is not None:
        return joint_subject(ready, key)
    return subject_of(key, field)


def _adopt(track: Track, alert: OpenAlert) -> None:
    """Fire without a word; the next sample decides."""
    track.phase, track.rank = Phase.FIRING, alert.severity.rank
    track.at_ns = max(track.at_ns, alert.since_ns)
    track.due_ns = track.wall_ns = None
    track.settled = False
    for cell in track.cells:
        # Of ``any`` it may be another condition that holds, of which nothing came yet.
        if cell is not None and cell.level == CLEAR and (cell.heard or track.ready.join is not max):
            cell.level = alert.severity.rank
