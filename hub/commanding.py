"""Commands, composed: the book, who records into it, who sends, and the tasks beside them.

pipeline ─▶ Recorder ─┐                                    ┌─▶ live subscribers
HTTP API ─▶ Sender ───┼─▶ Book (durable) ─▶ progress ─told─┤
  ticker ─▶ expire ───┘      journal                       └─▶ Fleet (next stage?)
    link ─▶ connected ─▶ Sender.resend
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final, Never, Self

import structlog

from hub.commands.book import Book
from hub.commands.fleet import Fleet
from hub.commands.keys import OperatorKeys
from hub.commands.life import GRACE_NS
from hub.commands.recorder import Recorder
from hub.commands.rights import may_command
from hub.commands.sender import Sender
from hub.live import CommandEvent
from hub.nodes.database import RegistryError
from hub.statefile import StateUnavailable
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from hub.commands.model import Entry, Progress
    from hub.config_commands import CommandSettings
    from hub.link import Link
    from hub.live import Live
    from hub.nodes.registry import Registry
    from hub.paths import StatePaths
    from wire.topics import Topics

_TICK_S: Final = 1.0
_MAINTAIN_S: Final = 600.0
_SAY_HEAD_S: Final = 3600.0
_RETRY_S: Final = 1.0

_log: Final = structlog.get_logger("hub.commands")


class Commanding:
    """What the hub does with commands. ``async with`` opens the book; then ``use`` the link and ``run``.

    Args:
        settings: ``[commands]``.
        paths: where the book and the operators' public keys are.
        topics: topics of commands.
        live: shows progress to whoever looks on.
        registry: tells which nodes remember the ids of commands.
        clock_ns: wall clock.

    Raises:
        StateBroken, StateUnavailable: on entering.
    """

    def __init__(
        self,
        settings: CommandSettings,
        paths: StatePaths,
        topics: Topics,
        live: Live,
        registry: Registry,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._settings = settings
        self._live = live
        self._registry = registry
        self._clock_ns = clock_ns
        self._link: Link | None = None
        self._connected = asyncio.Event()
        self._hearing_since_ns: int | None = None
        self.book = Book(
            paths.commands,
            keep_bytes=settings.output_bytes,
            keep_total_bytes=settings.output_total_bytes,
            clock_ns=clock_ns,
        )
        keys = OperatorKeys(paths.operators)
        self.recorder = Recorder(self.book, topics, keys, self._told)
        self.sender = Sender(self.book, topics, self._told, keys=keys, clock_ns=clock_ns)
        self.fleet = Fleet(self.book, self.sender, clock_ns, self._refusal)
        #: Replaced whenever a command takes a step; set then.
        self._stirred = asyncio.Event()
        #: Rows that the journal is still to get.
        self._owed: list[Entry] = []
        self._paying = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.book.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._pay()
        except StateUnavailable as problem:
            _log.error("the journal lacks what was done", rows=[repr(each) for each in self._owed], why=str(problem))
        await self.book.__aexit__(kind, error, trace)

    def use(self, link: Link) -> None:
        """Send over ``link``."""
        self._link = link
        self.sender.use(link)

    def connected(self) -> None:
        """The link is up and hears everything; called at each connect."""
        self._hearing_since_ns = self._clock_ns()
        self._connected.set()

    async def note(self, entry: Entry) -> None:
        """Write a row about what was done into the journal: now, or as soon as it can be written again."""
        self._owed.append(entry)
        try:
            await self._pay()
        except StateUnavailable as error:
            _log.error("the journal gets what was done later", id=entry.id, facts=entry.facts, why=str(error))

    def stirred(self) -> asyncio.Event:
        """Set once any command takes a step; take it before looking, then wait."""
        return self._stirred

    async def run(self) -> None:
        """Send again what is not confirmed, end what is overdue, carry out fleet runs; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._resend(), name="commands: send again")
            tasks.create_task(self._tick(), name="commands: ticker")
            tasks.create_task(self._maintain(), name="commands: maintenance")
            tasks.create_task(self.fleet.run(), name="commands: fleet runs")

    # -- private ------------------------------------------------------------------------------------------------------

    def _told(self, progress: Sequence[Progress]) -> None:
        for each in progress:
            self._live.publish(CommandEvent(each))
        self.fleet.told(progress)
        if progress:
            stirred, self._stirred = self._stirred, asyncio.Event()
            stirred.set()

    async def _pay(self) -> None:
        async with self._paying:
            if owed := tuple(self._owed):
                await self.book.note(*owed)
                del self._owed[: len(owed)]

    async def _resend(self) -> Never:
        while True:
            await self._connected.wait()
            self._connected.clear()
            try:
                await self.sender.resend(self._remembering)
            except (StateUnavailable, RegistryError) as error:
                _log.error("commands cannot be sent again yet", why=str(error))
                await asyncio.sleep(_RETRY_S)
                self._connected.set()

    async def _remembering(self, nodes: set[str]) -> set[str]:
        """Those whose birth has a catalogue of commands: they run no id twice."""
        found = set()
        for node in nodes:
            row = await self._registry.node(node)
            if row is not None and "commands" in row.info:
                found.add(node)
        return found

    async def _refusal(self, user: str, nodes: Sequence[str]) -> str | None:
        """Rights that were taken away end a fleet run before its next stage."""
        caller = await self._registry.user_lists.caller(user)
        if caller is None:
            return f"there is no user {user} any more"
        gone = next((node for node in nodes if not may_command(caller, node)), None)
        return f"{user} may not command {gone} any more" if gone is not None else None

    async def _tick(self) -> Never:
        while True:
            await asyncio.sleep(_TICK_S)
            with contextlib.suppress(StateUnavailable):  # it was said when it was kept back
                await self._pay()
            now_ns = self._clock_ns()
            # What was said while we were away is heard first: only then has nobody said anything.
            if self._link is None or not self._link.subscribed or self._hearing_since_ns is None:
                continue
            if not 0 <= now_ns - self._hearing_since_ns < GRACE_NS:
                try:
                    self._told(await self.book.expire(now_ns))
                except StateUnavailable as error:
                    _log.error("commands that are overdue cannot be recorded, trying again", why=str(error))

    async def _maintain(self) -> Never:
        said_s = float("-inf")
        while True:
            if time.monotonic() - said_s >= _SAY_HEAD_S:
                said_s, head = time.monotonic(), self.book.head
                _log.info("head of the journal of commands", row=head.number, digest=head.digest)
            try:
                await self.book.maintain(int(self._settings.keep * NS_PER_S))
            except StateUnavailable as error:
                _log.error("old commands cannot be dropped, trying again", why=str(error))
            await asyncio.sleep(_MAINTAIN_S)
