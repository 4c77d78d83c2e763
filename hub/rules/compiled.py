"""Rules made ready for the engine, and the index that says which conditions a series is watched by.

The index is by measurement, then by node where a rule names nodes one by one, so that finding the conditions of a new
series does not look at the rules of other measurements and nodes. It is asked once a series key; the engine remembers.
"""

from __future__ import annotations

import enum
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from hub.rules.conditions import judge_of, ranges, steps
from hub.rules.durations import duration_text
from hub.rules.events import Severity
from hub.rules.metric import is_glob, matches, parse_metric
from hub.store.select import glob_matcher
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.rules.model import Condition, Rule, RuleSet
    from wire.point import SeriesKey, Value

#: Keys that say nothing about what is watched: changing them keeps the state.
_NO_MATTER: Final = {"description", "message", "notify", "mute", "nodes", "groups", "enabled"}


class Kind(enum.IntEnum):
    """How a condition takes a sample."""

    VALUE = 0
    WINDOW = 1
    CHANGED = 2
    ABSENT = 3


class Watch:
    """One condition of one rule."""

    def __init__(self, rule: Ready, at: int, condition: Condition | Rule) -> None:
        self.rule = rule
        #: Place among the conditions of its rule.
        self.at = at
        self.condition = condition
        self.metric = parse_metric(condition.metric or "")
        self.severity = (condition.severity if condition.severity is not None else rule.rule.severity) or Severity.INFO
        self.rank = self.severity.rank
        self.judge = judge_of(condition, self.severity)
        self.window = condition.window
        self.over_ns = _ns(condition.window.over) if condition.window else 0
        self.ahead_ns = _ns(condition.window.ahead or 0) if condition.window else 0
        self.least = (condition.window.least or 1) if condition.window else 1
        self.auto = condition.absent == "auto"
        self.absent_ns = _ns(condition.absent) if isinstance(condition.absent, float) else 0
        self.kind = _kind(condition)
        #: A change is over at once; how long that is remembered is ``clear_for``, from the last change on.
        self.passes = self.kind is Kind.CHANGED and rule.join is None and rule.clear_for_ns > 0 and not rule.for_ns
        self._limits = _limits(condition, self.severity)
        self._tags = [(name, glob_matcher(glob) if glob else None) for name, glob in condition.tags.items()]

    def limit(self, rank: int) -> Value | None:
        """What a value is compared with at a severity, for messages."""
        return self._limits.get(rank, self._limits.get(self.rank))

    def fits(self, key: SeriesKey) -> bool:
        """Whether measurement and tags are meant; the node is the rule's business."""
        if not matches(self.metric.measurement, key.measurement):
            return False
        if not self._tags:
            return True
        tags = dict(key.tags)
        return all(
            name not in tags if matcher is None else name in tags and matcher(tags[name])
            for name, matcher in self._tags
        )

    def fits_field(self, field: str) -> bool:
        return matches(self.metric.field, field)


class Ready:
    """One enabled rule."""

    def __init__(self, name: str, rule: Rule, order: int) -> None:
        self.name = name
        self.rule = rule
        self.order = order
        self.for_ns = _ns(rule.hold)
        self.clear_for_ns = _ns(rule.clear_for)
        #: None for a rule of one condition, else how its conditions join.
        self.join: Callable[..., int] | None = min if rule.all_of else max if rule.any_of else None
        self.spreads = bool(rule.all_of)
        self.watches = tuple(Watch(self, at, condition) for at, condition in enumerate(rule.conditions))
        self.fingerprint = json.dumps(rule.model_dump(mode="json", exclude=_NO_MATTER), sort_keys=True)
        self._nodes = [glob_matcher(glob) for glob in rule.nodes]
        self._groups = [glob_matcher(glob) for glob in rule.groups]

    def means(self, node: str, groups: Callable[[str], frozenset[str]]) -> bool:
        """Whether the rule is about this node."""
        if not any(matcher(node) for matcher in self._nodes):
            return False
        return not self._groups or any(matcher(group) for group in groups(node) for matcher in self._groups)


class Index:
    """Which conditions watch a series."""

    def __init__(self, rules: RuleSet, groups_of: Callable[[str], frozenset[str]]) -> None:
        self.ready = {name: Ready(name, rule, at) for at, (name, rule) in enumerate(rules) if rule.enabled}
        self._groups_of = groups_of
        #: By measurement and node where both are named, by measurement where it is; the rest.
        self._by_node: dict[tuple[str, str], list[Watch]] = defaultdict(list)
        self._by_measurement: dict[str, list[Watch]] = defaultdict(list)
        self._others: list[Watch] = []
        self._named: set[str] = set()
        for ready in self.ready.values():
            for watch in ready.watches:
                self._enter(watch)

    def watches(self, key: SeriesKey) -> list[Watch]:
        """The conditions that watch some field of this key, in the order of their rules."""
        candidates = (
            *self._by_node.get((key.measurement, key.node), ()),
            *self._by_measurement.get(key.measurement, ()),
            *self._others,
        )
        found = [watch for watch in candidates if self.applies(watch, key)]
        return sorted(found, key=lambda watch: (watch.rule.order, watch.at))

    def may_watch(self, measurement: str) -> bool:
        """Whether some condition watches this measurement, of whatever node."""
        return measurement in self._named or any(
            matches(watch.metric.measurement, measurement) for watch in self._others
        )

    def applies(self, watch: Watch, key: SeriesKey) -> bool:
        """Whether this condition watches this key."""
        return watch.fits(key) and watch.rule.means(key.node, self._groups_of)

    def _enter(self, watch: Watch) -> None:
        if is_glob(watch.metric.measurement):
            self._others.append(watch)
            return
        self._named.add(watch.metric.measurement)
        if any(is_glob(node) for node in watch.rule.rule.nodes):
            self._by_measurement[watch.metric.measurement].append(watch)
        else:
            for node in dict.fromkeys(watch.rule.rule.nodes):
                self._by_node[watch.metric.measurement, node].append(watch)


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


def _kind(condition: Condition | Rule) -> Kind:
    if condition.absent is not None:
        return Kind.ABSENT
    if condition.changed:
        return Kind.CHANGED
    return Kind.WINDOW if condition.window else Kind.VALUE


def _limits(condition: Condition | Rule, severity: Severity) -> dict[int, Value]:
    if condition.above is not None or condition.below is not None:
        return {rank: threshold for threshold, _, rank in steps(condition, severity)}
    if condition.outside is not None:
        return {rank: f"{low:g} to {high:g}" for low, high, _, _, rank in ranges(condition, severity)}
    wanted: Any = condition.equals or condition.differs
    if wanted:
        return {severity.rank: wanted[0] if len(wanted) == 1 else " or ".join(str(each) for each in wanted)}
    if isinstance(condition.absent, float):
        return {severity.rank: duration_text(condition.absent)}
    return {}
