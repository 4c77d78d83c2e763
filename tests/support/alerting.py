"""Events of rules and alerts made up for tests, and a desk over a real registry."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from hub.alerts.book import AlertBook
from hub.alerts.clerk import Clerk
from hub.alerts.desk import Desk, Silences
from hub.alerts.lifecycle import FlapLimits, Lifecycle
from hub.alerts.model import BrokenLink
from hub.link import LinkDown
from hub.nodes.database import Database, sqlite_url
from hub.rules.events import EventKind, RuleEvent, Severity, Subject
from hub.store.base import StoreUnavailable, WriteResult
from wire.point import SeriesKey
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from hub.alerts.model import AlertChange
    from wire.point import Point, Value

S = 1_000_000_000
T0 = 1_763_750_000 * S
FLAP = FlapLimits(changes=3, window_ns=600 * S, quiet_ns=300 * S)


def event(
    kind: EventKind,
    at_s: float = 0,
    *,
    rule: str = "hot",
    node: str = "boiler",
    tags: tuple[tuple[str, str], ...] = (),
    severity: Severity = Severity.WARNING,
    value: Value | None = 31.5,
    message: str = "it is hot",
) -> RuleEvent:
    """What the engine says ``at_s`` seconds after :data:`T0`."""
    subject = Subject(node, SeriesKey(node, "room", tags), "temperature")
    return RuleEvent(kind, rule, subject, severity, T0 + int(at_s * S), value, message)


def lifecycle() -> Lifecycle:
    return Lifecycle(FLAP, lambda _event: (BrokenLink.AGENT, "boiler is offline"))


class Broker:
    """Takes what is published; ``down`` while it does not."""

    def __init__(self) -> None:
        self.down = False
        self.said: list[tuple[str, Any, int | None]] = []

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: int | None = None
    ) -> int:
        if self.down:
            raise LinkDown("no broker")
        assert qos == 1
        assert retain == ("/alert/" in topic)
        self.said.append((topic, msgspec.json.decode(payload), expiry_s))
        return 0

    def states(self) -> list[str]:
        return [said["state"] for _, said, _ in self.said]


class Office:
    """A desk and its clerk over a registry in a file, with a broker and a store that can fail."""

    def __init__(self, database: Database) -> None:
        self.now_ns = T0
        self.broker = Broker()
        self.points: list[Point] = []
        self.store_down = False
        self.told: list[AlertChange] = []
        self.book = AlertBook(database)
        self.silences = Silences(self._clock)
        self.life = lifecycle()
        self.clerk = Clerk(
            self.book,
            self.broker,
            Topics(),
            store=self._store,
            silenced_until_ns=self.silences.until_ns,
            tell=self.told.extend,
            clock_ns=self._clock,
        )
        self.desk = Desk(self.life, self.book, self.clerk, self.silences, self._clock)

    def fire(self, **values: Any) -> None:
        """An alert that fires."""
        self.desk.apply([event(EventKind.FIRING, **values)])

    def _clock(self) -> int:
        return self.now_ns

    async def _store(self, points: Sequence[Point]) -> WriteResult:
        if self.store_down:
            raise StoreUnavailable("no database", retry_after_s=0.01)
        self.points += points
        return WriteResult(len(points))


@contextlib.asynccontextmanager
async def office(folder: Path) -> AsyncIterator[Office]:
    """A running office that begins with what the one before left in ``folder``; it ends as a killed hub does."""
    async with Database(sqlite_url(folder / "hub.db")) as database:
        made = Office(database)
        await made.desk.restore(await made.book.load(T0 - FLAP.window_ns))
        work = asyncio.create_task(made.clerk.run())
        try:
            yield made
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
