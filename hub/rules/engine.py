"""The rule engine: (state, points, clock) → events. No I/O, no clock of its own, no awaiting.

    points ─▶ plan of the series key (one look-up; none: next) ─▶ windows ─▶ conditions ─▶ tracks ─▶ RuleEvent …
    tick   ─▶ heap of deadlines (for, clear_for, absence) ────────────────────────────────▲

Times. A sample counts at its own time (event time): ``for`` has passed when samples that far apart hold, or when the
clock says that it has passed since the first of them *arrived* and nothing said otherwise (series that are constant or
report changes only). ``absent`` is about arrival, hence runs by the clock alone. docs/rules.md says more.

System inputs are points of measurements that begin with ``$``, which only :meth:`Engine.observe_system` takes; the
composition makes them (from presence, clocks, pipeline), at each change and every few seconds:

    node's id  ``$node``  state        text: online, silent, offline, never (hub.nodes.model.Contact)
                          clock_offset number: seconds that the node's clock is ahead of ours
    hub's id   ``$hub``   storing      boolean: false while what arrives cannot be stored
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hub.rules.model import RuleSet
from hub.rules.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hub.rules.events import RuleEvent, Severity, Subject
    from hub.rules.state import EngineState
    from wire.point import Point

NODE_MEASUREMENT: Final = "$node"
HUB_MEASUREMENT: Final = "$hub"


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert that the alert layer holds to be firing (or acknowledged)."""

    rule: str
    subject: Subject
    severity: Severity
    #: When it fired, ns.
    since_ns: int


class Engine:
    """Watches points for what rules ask.

    Args:
        rules: enabled and disabled ones; disabled ones are as if they were not there.
        groups_of: groups of a node; asked when one of its series is first seen, and again after :meth:`regroup`.
    """

    def __init__(self, rules: RuleSet, groups_of: Callable[[str], frozenset[str]] = lambda _node: frozenset()) -> None:
        self.rules = rules
        self.windows = Windows()
        self._groups_of = groups_of

    def observe(self, points: Sequence[Point], now_ns: int) -> list[RuleEvent]:
        """Take samples in order of arrival; ``now_ns`` is when they arrived. The same again changes nothing.

        Measurements that begin with ``$`` are passed over: nodes cannot speak for the hub.
        """
        raise NotImplementedError

    def observe_system(self, points: Sequence[Point], now_ns: int) -> list[RuleEvent]:
        """As :meth:`observe`, for the hub's own points of ``$node`` and ``$hub``."""
        raise NotImplementedError

    def tick(self, now_ns: int) -> list[RuleEvent]:
        """What time alone brings about: ``for``, ``clear_for``, absence. Cheap; call it once a second or more often."""
        raise NotImplementedError

    def next_deadline_ns(self) -> int | None:
        """When :meth:`tick` will next have something to do, at the earliest; None: never, as things are."""
        raise NotImplementedError

    def replace(self, rules: RuleSet, now_ns: int) -> list[RuleEvent]:
        """Use other rules from now on. Unchanged rules keep their state; what a removed, disabled or changed rule had
        firing is resolved (and pending: cancelled)."""
        raise NotImplementedError

    def resume(self, now_ns: int) -> None:
        """The hub heard nothing for a while through no fault of the nodes (broker away): absence counts from now."""
        raise NotImplementedError

    def regroup(self, node: str, now_ns: int) -> list[RuleEvent]:
        """The groups of a node changed. What rules that no longer mean it had firing is resolved."""
        raise NotImplementedError

    def forget(self, node: str, now_ns: int) -> list[RuleEvent]:
        """A node was removed: its state is dropped, what was firing is resolved."""
        raise NotImplementedError

    def adopt(self, alerts: Iterable[OpenAlert], now_ns: int) -> list[RuleEvent]:
        """After :meth:`restore`: agree with the alert layer, whose registry may know more than the last saved state.

        What is open there and unknown here fires on from here (and is resolved by the next sample that is clear);
        what no rule stands for any more is resolved. What fires here and is not open there is said again.
        """
        raise NotImplementedError

    def state(self) -> EngineState:
        """All that must outlive a restart."""
        raise NotImplementedError

    def restore(self, state: EngineState, now_ns: int) -> list[RuleEvent]:
        """Go on where ``state`` was saved, with today's rules; call it once, before the first points.

        Timers of ``for`` and ``clear_for`` go on (those that ended meanwhile end a few seconds from now, so that what
        the broker kept comes first); absence counts from now. What changed rules had firing is resolved.
        """
        raise NotImplementedError
