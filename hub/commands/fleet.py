"""Fleet runs: one command to many nodes, in stages, stopped after so many failures. They go on when nobody looks.

start ─▶ recorded ─▶ stage: send ─▶ all final? ─▶ failures < limit? ─▶ next stage … ─▶ ended
▲                │ no: stopped
hub starts again ───────┘ those that have the command already are not sent it again

Whoever began it must have the right to command all nodes of a stage when that stage begins, not only at the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import structlog

from hub.commands.model import Entry, State
from hub.commands.sender import Wanted
from hub.commands.stages import boundaries
from hub.nodes.database import RegistryError
from hub.statefile import StateUnavailable
from wire.messages import Command as Body
from wire.point import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from hub.commands.book import Book
    from hub.commands.model import Progress
    from hub.commands.sender import Sender

#: A run is looked at again after this long even when nothing was heard; commands end by their time, too.
_LOOK_AGAIN_S: Final = 5.0
_MOST_RUNS: Final = 100
_MS_PER_S: Final = 1000

_log: Final = structlog.get_logger("hub.commands")


class TooManyRuns(Exception):  # noqa: N818  the name says what the caller is told
    """As many runs go on as are allowed."""


class Run(msgspec.Struct):
    """One command to many nodes; changed only by :class:`Fleet`."""

    id: str
    user: str
    command: str
    #: As it was asked for; each node gets it with an id of its own.
    body: Body
    selectors: list[str]
    #: In the order in which they get it.
    nodes: list[str]
    stages: list[str]
    requested_ns: int
    #: The command may wait so long for a node, from when its stage begins; None: as ``body`` says.
    expires_s: float | None
    stop_after_failures: int | None = None
    #: Signed for each node.
    signed: dict[str, Body] = {}
    state: Literal["running", "done", "stopped"] = "running"
    #: Stages that have begun.
    stage: int = 0
    why: str = ""
    ended_ns: int | None = None

    @property
    def bounds(self) -> list[int]:
        """How many nodes have it after each stage."""
        return boundaries(self.stages, len(self.nodes))


class Fleet:
    """Carries out runs.

    Args:
        book: keeps them.
        sender: sends their commands.
        clock_ns: wall clock.
        refusal: why a user may not (any more) command these nodes; None: it may.
    """

    def __init__(
        self,
        book: Book,
        sender: Sender,
        clock_ns: Callable[[], int],
        refusal: Callable[[str, Sequence[str]], Awaitable[str | None]],
    ) -> None:
        self._book = book
        self._refusal = refusal
        self._sender = sender
        self._clock_ns = clock_ns
        self._tasks: asyncio.TaskGroup | None = None
        #: Set once, and then another one takes its place: each run waits for the one it saw before it counted.
        self._ended = asyncio.Event()
        self._going: dict[str, Run] = {}

    async def run(self) -> None:
        """Carry out what was begun before, and what is started, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for _, text in reversed(await self._book.runs([("NOT ended",)], _MOST_RUNS)):
                run = msgspec.json.decode(text, type=Run)
                _log.info("a fleet run goes on", run=run.id, stage=run.stage, nodes=len(run.nodes))
                self._begin(run)
            await asyncio.get_running_loop().create_future()

    async def start(self, run: Run) -> Run:
        """Record a run and begin it; it gets its id here.

        Raises:
            TooManyRuns: nothing was begun.
            StateUnavailable: nothing was begun.
        """
        if self._tasks is None or len(self._going) >= _MOST_RUNS:
            raise TooManyRuns(f"{_MOST_RUNS} fleet runs go on already")
        run.id = secrets.token_hex(16)
        await self._record(run, "run-started", selectors=run.selectors, nodes=run.nodes, stages=run.stages)
        self._begin(run)
        return run

    async def stop(self, run_id: str, user: str) -> bool:
        """Begin no further stage; commands that are out stay out. False: it has ended, or there is none."""
        run = self._going.get(run_id)
        if run is None or run.state != "running":
            return False
        run.state, run.why = "stopped", f"by {user}"
        self._look()
        return True

    async def find(self, run_id: str) -> Run | None:
        """A run; None when there is none."""
        if (run := self._going.get(run_id)) is not None:
            return run
        found = await self._book.runs([("id = ?", run_id)], 1)
        return msgspec.json.decode(found[0][1], type=Run) if found else None

    async def list(self, *, before: int | None, limit: int) -> list[tuple[int, Run]]:
        """Numbers and runs, newest first."""
        where = [("number < ?", before)] if before is not None else []
        found = await self._book.runs(where, limit)
        return [(number, msgspec.json.decode(text, type=Run)) for number, text in found]

    async def counts(self, run_id: str) -> dict[str, int]:
        """How many of its commands are in each state."""
        return await self._book.counts([("run = ?", run_id)])

    def told(self, progress: Sequence[Progress]) -> None:
        """Look at the runs again: something was heard of a command."""
        if self._going and any(each.state.final for each in progress):
            self._look()

    # -- private ------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        ended, self._ended = self._ended, asyncio.Event()
        ended.set()

    def _begin(self, run: Run) -> None:
        if self._tasks is None:
            raise AssertionError("runs are begun while the fleet runs")
        self._going[run.id] = run
        self._tasks.create_task(self._carry_out(run), name=f"fleet run {run.id}")

    async def _carry_out(self, run: Run) -> None:
        bounds = run.bounds
        while True:
            try:
                await self._stages(run, bounds)
                break
            except (StateUnavailable, RegistryError) as error:
                _log.error("a fleet run waits: nothing can be read or recorded", run=run.id, why=str(error))
                await asyncio.sleep(_LOOK_AGAIN_S)
        del self._going[run.id]

    async def _stages(self, run: Run, bounds: Sequence[int]) -> None:
        for number, upto in enumerate(bounds, start=1):
            if run.state != "running":
                break
            if (why := await self._refusal(run.user, run.nodes[:upto])) is not None:
                run.state, run.why = "stopped", why
                break
            if number > run.stage:
                run.stage = number
                await self._record(run, "run-stage", stage=number, nodes=upto)
            await self._send(run, run.nodes[:upto])
            failures = await self._failures(run)
            last = number == len(bounds)
            if not last and run.stop_after_failures is not None and failures >= run.stop_after_failures:
                run.state, run.why = "stopped", f"{failures} failed by stage {number} of {len(bounds)}"
        if run.state == "running":
            run.state = "done"
        run.ended_ns = self._clock_ns()
        await self._record(run, "run-ended", state=run.state, why=run.why, outcomes=await self.counts(run.id))

    async def _send(self, run: Run, nodes: Sequence[str]) -> None:
        """Send it to those that do not have it, and wait until all that have it are final or the run is stopped."""
        have = {each.node for each in await self._book.select([("run = ?", run.id)], len(run.nodes))}
        expires_ms = run.body.expires
        if run.expires_s is not None:
            expires_ms = self._clock_ns() // NS_PER_MS + int(run.expires_s * _MS_PER_S)
        body = msgspec.structs.replace(run.body, expires=expires_ms)
        wanted = [
            Wanted(node, run.command, run.signed.get(node, body), run.user, run.id)
            for node in nodes
            if node not in have
        ]
        if wanted:
            await self._sender.send(wanted)
        while run.state == "running":
            ended = self._ended
            if not _open(await self.counts(run.id)):
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await ended.wait()

    async def _failures(self, run: Run) -> int:
        counts = await self.counts(run.id)
        return sum(n for state, n in counts.items() if State(state).final and state != State.DONE)

    async def _record(self, run: Run, kind: str, /, **facts: object) -> None:
        entry = Entry(self._clock_ns(), kind, "", run.id, {"user": run.user, "command": run.command, **facts})
        await self._book.put_run(run.id, msgspec.json.encode(run).decode(), entry, ended=run.ended_ns is not None)


def _open(counts: Mapping[str, int]) -> int:
    return sum(n for state, n in counts.items() if not State(state).final)
