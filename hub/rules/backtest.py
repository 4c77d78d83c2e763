"""How a rule would have done: the engine over stored history, slice by slice, in bounded memory.

    Store.query (raw samples of a slice) ─▶ merged by time ─▶ RuleReplay ─▶ events ─▶ intervals

Samples arrive the moment they were taken: what the store has is what came in the end, not when.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from hub.rules.intervals import Intervals
from hub.rules.metric import parse_metric
from hub.rules.model import RuleSet
from hub.rules.replay import RuleReplay
from hub.store.base import FieldKind, Query, QueryError, SeriesFilter
from wire.point import NS_PER_S, Point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hub.rules.model import Rule
    from hub.store.base import Frame, Store
    from wire.point import Value

#: Rows of one slice over all conditions.
MOST_ROWS: Final = 100_000
_FIRST_SLICE_NS: Final = 3600 * NS_PER_S
_LONGEST_SLICE_NS: Final = 24 * 3600 * NS_PER_S
_SHORTEST_SLICE_NS: Final = NS_PER_S
#: What held already, and how often samples come, must be known before the range begins.
_WARM_UP_NS: Final = 3600 * NS_PER_S


class BacktestError(Exception):
    """The rule cannot be tested over history; the message says why."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """What came of it."""

    start_ns: int
    stop_ns: int
    #: Samples that were looked at.
    samples: int
    intervals: Intervals


async def backtest(
    store: Store,
    name: str,
    rule: Rule,
    *,
    start_ns: int,
    stop_ns: int,
    groups_of: Callable[[str], frozenset[str]] = lambda _node: frozenset(),
    node: str | None = None,
) -> Backtest:
    """Run ``rule`` over what is stored; also when it is disabled.

    Args:
        store: where the history is.
        name: of the rule, for its messages.
        rule: what to test.
        start_ns: of the range; windows and timers are warmed up with what lies before.
        stop_ns: its end, not included.
        groups_of: groups of a node, as they are today.
        node: only these nodes (glob).

    Raises:
        BacktestError: the rule is about the hub's own points, which are not stored, or a second of it is too much.
        StoreError: the store does not answer.
    """
    filters = _filters(rule, node)
    replay = RuleReplay(RuleSet({name: rule.model_copy(update={"enabled": True})}), groups_of)
    found = Intervals(start_ns, stop_ns)
    samples, at_ns, width_ns = 0, start_ns - _warm_up_ns(rule), _FIRST_SLICE_NS
    while at_ns < stop_ns:
        end_ns = min(at_ns + width_ns, stop_ns)
        try:
            frames = [frame for each in filters for frame in await _frames(store, each, at_ns, end_ns)]
        except QueryError as error:
            if width_ns <= _SHORTEST_SLICE_NS:
                raise BacktestError(f"more than {MOST_ROWS} samples a second: choose nodes with --node") from error
            width_ns = max(width_ns // 4, _SHORTEST_SLICE_NS)
            continue
        rows = sum(len(frame.ts_ns) for frame in frames)
        samples += rows
        found.take(await asyncio.to_thread(replay.feed, _points(frames)))
        at_ns = end_ns
        if rows < MOST_ROWS // 4:
            width_ns = min(width_ns * 2, _LONGEST_SLICE_NS)
    found.take(replay.until(stop_ns))
    found.finish()
    return Backtest(start_ns, stop_ns, samples, found)


# -- private -----------------------------------------------------------------------------------------------------------


def _filters(rule: Rule, node: str | None) -> list[SeriesFilter]:
    """What to read for each metric; the engine chooses more finely."""
    found: dict[str, SeriesFilter] = {}
    for condition in rule.conditions:
        metric = parse_metric(condition.metric or "")
        if metric.measurement.startswith("$"):
            raise BacktestError(
                f"{metric} is what the hub says of itself; it is not stored, so that there is no history"
            )
        nodes = node or (rule.nodes[0] if len(rule.nodes) == 1 else None)
        found[str(metric)] = SeriesFilter(node=nodes, measurement=metric.measurement, field=metric.field)
    return list(found.values())


def _warm_up_ns(rule: Rule) -> int:
    """How long before the range the rule begins to listen."""
    longest_s = max((c.window.over for c in rule.conditions if c.window is not None), default=0.0)
    return round((longest_s + rule.hold) * NS_PER_S) + _WARM_UP_NS


async def _frames(store: Store, chosen: SeriesFilter, start_ns: int, stop_ns: int) -> list[Frame]:
    return await store.query(Query(chosen, start_ns, stop_ns, limit=MOST_ROWS))


def _points(frames: Sequence[Frame]) -> Iterator[Point]:
    """All samples of the frames, by time."""
    if not frames:
        return
    times = np.concatenate([frame.ts_ns for frame in frames])
    whose = np.concatenate([np.full(len(frame.ts_ns), at) for at, frame in enumerate(frames)])
    places = np.concatenate([np.arange(len(frame.ts_ns)) for frame in frames])
    order = np.argsort(times, kind="stable")
    columns = [_values(frame) for frame in frames]
    for ts_ns, at, place in zip(times[order].tolist(), whose[order].tolist(), places[order].tolist(), strict=True):
        series = frames[at].series
        yield Point(series.key, ts_ns, {series.field: columns[at][place]})


def _values(frame: Frame) -> Sequence[Value]:
    if isinstance(frame.values, list):
        return frame.values
    numbers: list[float] = frame.values.tolist()
    return [bool(number) for number in numbers] if frame.series.kind is FieldKind.BOOLEAN else numbers
