"""The hot path in tests: messages without a broker, a clock that is set by hand, and an intake with all its parts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hub.broker_watch import BrokerWatch
from hub.clocks import Clocks
from hub.control import Controls
from hub.group import Group
from hub.guard import Guard, GuardLimits
from hub.intake import Intake
from hub.metrics import Metrics
from hub.nodes.presence import Presence
from hub.routes import Routes
from wire.formats.base import Limits
from wire.point import NS_PER_S
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hub.config import SourceSettings
    from hub.guard import Clash
    from hub.messages import Incoming
    from hub.nodes.model import Transition

NOW_NS = 1_763_750_000 * NS_PER_S
NOW_MS = 1_763_750_000_000


@dataclass(frozen=True)
class Sent:
    """A message as the link brings it."""

    topic: str
    payload: bytes
    retain: bool = False
    packet_id: int | None = None


def telemetry(content: object, *, node: str = "n1", measurement: str = "room", retain: bool = False) -> Sent:
    """A telemetry message: bytes as they are, anything else as its JSON."""
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Sent(f"iot/v1/{node}/telemetry/{measurement}", payload, retain)


def timed(value: object = 1, *, ago_ms: int = 0, node: str = "n1") -> Sent:
    """A telemetry message of one field ``a`` that says when it was taken."""
    return telemetry({"ts": NOW_MS - ago_ms, "values": {"a": value}}, node=node)


def status(state: str, *, node: str = "n1", retain: bool = False, **more: object) -> Sent:
    return Sent(f"iot/v1/{node}/status", json.dumps({"state": state, **more}).encode(), retain)


@dataclass
class Clock:
    """Says what it is told to."""

    ns: int = NOW_NS

    def __call__(self) -> int:
        return self.ns


@dataclass
class ScriptedRegistry:
    """Keeps what it is told in memory; raises ``errors`` one by one first."""

    errors: list[Exception] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    last_seen: dict[str, int] = field(default_factory=dict)

    async def record(self, transitions: Sequence[Transition], last_seen: Mapping[str, int]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.transitions += transitions
        self.last_seen |= last_seen


class Rig:
    """An intake with everything it needs, and what it said."""

    def __init__(
        self, *sources: SourceSettings, limits: Limits | None = None, guard_limits: GuardLimits | None = None
    ) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.clashes: list[tuple[str, Clash]] = []
        self.registry = ScriptedRegistry()
        self.presence = Presence(90)
        self.announced: list[Transition] = []
        self.controls = Controls(self.presence, self.registry, self.announced.extend)  # type: ignore[arg-type]  # plays it
        self.watch = BrokerWatch(self.metrics)
        self.clocks = Clocks()
        self.intake = Intake(
            Routes(Topics(), limits or Limits(), sources, 1000),
            Guard(guard_limits or GuardLimits()),
            self.controls,
            self.watch,
            self.clocks,
            on_clash=lambda topic, clash: self.clashes.append((topic, clash)),
            clock_ns=self.clock,
        )

    def decode(self, *messages: Incoming, arrival_ns: int | None = None) -> Group:
        """What becomes of these messages."""
        group = Group()
        self.intake.decode(messages, group, arrival_ns=arrival_ns)
        return group
