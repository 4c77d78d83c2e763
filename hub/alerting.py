"""Rules, alerts and statistics, composed.

    pipeline's reader ─▶ observe ──┐
    presence ─▶ system points ─────┼─▶ Engine ─▶ RuleEvent ─▶ Desk (Lifecycle) ─▶ Clerk ─▶ registry, topics, points
    ticker, 10 a second ───────────┘    │                      ▲                    └─▶ live events, notifications
                                        ├─▶ state file         ├── HTTP, CLI
                                        └─▶ Stats ─▶ topics    └── commands to the hub on the broker

After a crash the registry is the truth of what has fired. The engine goes on from its last saved state, takes the
newest samples that the store has beyond it, and then agrees with the registry (``Engine.adopt``).
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import structlog

from hub.alerts.book import AlertBook
from hub.alerts.clerk import Clerk
from hub.alerts.commands import HubCommands
from hub.alerts.desk import Desk, Silences
from hub.alerts.evidence import Evidence
from hub.alerts.lifecycle import FlapLimits, Lifecycle
from hub.alerts.memory import RuleMemory
from hub.alerts.stats import Stats
from hub.alerts.system import SystemPoints
from hub.live import AlertEvent
from hub.nodes.database import RegistryError
from hub.notifying import open_notifier, warn_of_receivers
from hub.rules.book import RuleBook
from hub.rules.engine import Engine
from hub.rules.events import Severity
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from hub.alerts.commands import Record
    from hub.alerts.model import AlertChange
    from hub.clocks import Clocks
    from hub.config import Settings
    from hub.group import Group
    from hub.link import Link
    from hub.live import Live
    from hub.metrics import Metrics
    from hub.nodes.model import Transition
    from hub.nodes.presence import Presence
    from hub.nodes.registry import Registry
    from hub.paths import StatePaths
    from hub.pipeline import Pipeline
    from hub.rules.events import RuleEvent
    from hub.rules.model import RuleSet
    from hub.store.base import Store, WriteResult
    from wire.point import Point
    from wire.topics import Topics

_TICK_S: Final = 0.1
#: A tick that comes so late means that the process stood still: what was not heard meanwhile is nobody's absence.
_STOOD_STILL_NS: Final = 5 * NS_PER_S
#: Silences, flapping.
_SLOW_NS: Final = NS_PER_S
_MAINTAIN_S: Final = 3600.0
#: Of a series that sent nothing for so long nothing is remembered; docs/rules.md says so.
_FORGET_NS: Final = 30 * 86_400 * NS_PER_S
#: What the hub cannot store for longer is an alert.
_STORING_S: Final = 5.0

_log = structlog.get_logger("hub.alerting")


class Alerting:
    """What the service needs of rules and alerts: ``open`` it, let it ``observe`` and ``run``.

    The end of ``async with`` writes what is left.

    Args:
        settings: the whole tree.
        paths: where the engine's state is kept.
        topics: topics of alerts and statistics.
        registry: nodes with their groups, and the tables of alerts.
        store: points of measurement ``alert`` go there.
        writing: held while the store is written to.
        live: shows changes to whoever looks on.
        presence: which nodes are there.
        clocks: how far their clocks are off.
        clock_ns: wall clock.

    Raises:
        SettingsError: the rules are wrong.
    """

    def __init__(  # noqa: PLR0917  what the service has made, in its order
        self,
        settings: Settings,
        paths: StatePaths,
        topics: Topics,
        registry: Registry,
        store: Store,
        writing: asyncio.Lock,
        live: Live,
        presence: Presence,
        clocks: Clocks,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._registry = registry
        self._store = store
        self._writing = writing
        self._live = live
        self._presence = presence
        self._clock_ns = clock_ns
        self._groups: dict[str, frozenset[str]] = {}
        self._pipeline: Pipeline | None = None
        self._opened = False
        self.rules = RuleBook(settings.rules.file or paths.root / "rules.toml", shipped=settings.rules.shipped)
        self.rules.on_change = self._replace
        self.engine = Engine(self.rules.rules(), lambda node: self._groups.get(node, frozenset()))
        self._memory = RuleMemory(self.engine, store, paths.root, settings.rules.save_every)
        self._clocks = clocks
        #: Called with each change once it is in the registry: notifications.
        self.listeners: list[Callable[[AlertChange], None]] = []
        self._ticked_ns = self._slow_ns = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened:
            await self._clerk.finish()
            await self._memory.save()

    async def open(self, link: Link, pipeline: Pipeline, record: Record | None = None) -> None:
        """Go on where the hub stopped; before the first points. ``record`` keeps replies to commands to the hub.

        Raises:
            RegistryError: the registry does not answer.
        """
        self._pipeline = pipeline
        reasons = {row.node: row.reason or "" for row in await self._registry.everyone()}
        settings, book, silences = self._settings, AlertBook(self._registry.database), Silences(self._clock_ns)
        self._clerk = Clerk(
            book,
            link,
            self._topics,
            store=self._stored,
            silenced_until_ns=silences.until_ns,
            tell=self._told,
            clock_ns=self._clock_ns,
        )
        self._system = SystemPoints(settings.hub.id, self._presence, self._clocks.offset_s, self._is_storing, reasons)
        evidence = Evidence(self.engine, self._presence, self._system, link, pipeline, self._clock_ns)
        self.desk = Desk(
            Lifecycle(FlapLimits.of(settings.alerts), evidence), book, self._clerk, silences, self._clock_ns
        )
        self.stats = Stats(self.engine.windows, settings.stats, self._live, link, self._topics)
        self.commands = HubCommands(settings.hub.id, self.desk, link, self._topics, self._clock_ns, record)
        self._groups = await self._registry.groups()
        now_ns = self._clock_ns()
        kept = await book.load(now_ns - int(settings.alerts.flap_window * NS_PER_S))
        await self.desk.restore(kept)
        self.notifier = await open_notifier(
            settings,
            self._registry.database,
            self.desk,
            kept.open,
            rules=lambda: self.engine.rules,
            groups_of=lambda node: self._groups.get(node, frozenset()),
            clock_ns=self._clock_ns,
        )
        self.listeners.append(self.notifier.changed)
        self.desk.on_silence = self.notifier.look_again
        self._apply(await self._memory.resume(kept.open, now_ns))
        self._ticked_ns, self._opened = now_ns, True

    # -- what comes in ------------------------------------------------------------------------------------------------

    def observe(self, points: Sequence[Point]) -> None:
        """Take the points of a batch, before they are stored; once a batch."""
        if events := self.engine.observe(points, self._clock_ns()):
            self._apply(events)

    def transitions(self, transitions: Sequence[Transition]) -> None:
        """Nodes came and went."""
        now_ns = self._clock_ns()
        self._apply(self.engine.observe_system(self._system.of(transitions, now_ns), now_ns))

    def connected(self) -> None:
        """The link is (again) up: what was not heard meanwhile is no absence, and all states are said again."""
        self.engine.resume(self._clock_ns())
        self._clerk.repeat()

    def follow(self, group: Group, _duplicates: set[int], _lost: set[int]) -> None:
        """Take the commands to the hub of a group that is durable."""
        self.commands.take(group.controls)

    def say_of_hub(self, figures: Mapping[str, float]) -> None:
        """Further figures of the hub itself, ``$hub.NAME``; from now on, until others of the same names come."""
        self._system.facts.update(figures)

    async def regroup(self, node: str) -> None:
        """The groups of a node changed.

        Raises:
            RegistryError: they cannot be read.
        """
        self._groups = await self._registry.groups()
        self._apply(self.engine.regroup(node, self._clock_ns()))

    def forget(self, node: str) -> None:
        """A node was removed."""
        self._groups.pop(node, None)
        self._system.forget(node)
        self._apply(self.engine.forget(node, self._clock_ns()))

    def gauges(self, metrics: Metrics) -> None:
        """Add the figures of alerts and notifications."""
        self.notifier.gauges(metrics)
        metrics.gauge_of_each(
            "iothub_alerts",
            "Alerts that are open",
            "severity",
            {severity.value: partial(self.desk.count, severity) for severity in Severity},
        )

    # -- what goes on -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Tick, write down, save, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._clerk.run(), name="alert clerk")
            tasks.create_task(self.commands.run(), name="hub commands")
            tasks.create_task(self.notifier.run(), name="notifications")
            tasks.create_task(self.stats.run(self._clock_ns), name="statistics")
            tasks.create_task(self._memory.run(), name="rule state")
            tasks.create_task(self._maintain(), name="alert maintenance")
            while True:
                await asyncio.sleep(_TICK_S)
                self._tick(self._clock_ns())

    def _tick(self, now_ns: int) -> None:
        if not 0 <= now_ns - self._ticked_ns < _STOOD_STILL_NS:
            self.engine.resume(now_ns)
        self._ticked_ns = now_ns
        self._apply(self.engine.observe_system(self._system.step(now_ns), now_ns))
        deadline_ns = self.engine.next_deadline_ns()
        if deadline_ns is not None and deadline_ns <= now_ns:
            self._apply(self.engine.tick(now_ns))
        if not 0 <= now_ns - self._slow_ns < _SLOW_NS:
            self._slow_ns = now_ns
            self.desk.tick(now_ns)

    async def _maintain(self) -> None:
        while True:
            await asyncio.sleep(_MAINTAIN_S)
            self.engine.prune(self._clock_ns() - _FORGET_NS)
            try:
                await self.desk.book.maintain(self._clock_ns() - int(self._settings.alerts.keep * NS_PER_S))
                await self.notifier.maintain(self._clock_ns())
            except RegistryError as error:
                _log.error("old alerts cannot be dropped, trying again", why=str(error))

    # -- what the parts ask -------------------------------------------------------------------------------------------

    def _replace(self, rules: RuleSet) -> None:
        self._apply(self.engine.replace(rules, self._clock_ns()))
        self._memory.changed.set()
        self.notifier.look_again()
        warn_of_receivers(rules, self._settings)

    def _apply(self, events: Iterable[RuleEvent]) -> None:
        if events:
            self._memory.changed.set()
            self.desk.apply(events)

    def _told(self, changes: Sequence[AlertChange]) -> None:
        for change in changes:
            self._live.publish(AlertEvent(change))
            for listen in self.listeners:
                listen(change)

    async def _stored(self, points: Sequence[Point]) -> WriteResult:
        async with self._writing:
            return await self._store.write(points)

    def _is_storing(self) -> bool:
        pipeline = self._pipeline
        return pipeline is None or not pipeline.trouble or pipeline.waiting_s(self._clock_ns()) < _STORING_S
