"""Keeps children running: ready in time, started again with growing delays, stopped in order.

start(spec) ─▶ spawn ─▶ wait for ready ─▶ runs ─▶ ends ─▶ say why ─▶ back-off ─┐
                 ▲                                                            │
                 └────────────────────────────────────────────────────────────┘
stop(): last started first; each gets SIGTERM, its own limit, then SIGKILL
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Final

from hub.supervise.child import running
from wire.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from hub.supervise.child import Child, ChildSpec
    from hub.supervise.logs import ChildLogs

_BACKOFF_FIRST_S: Final = 0.5
_BACKOFF_LONGEST_S: Final = 60.0
#: A child that ran this long counts as stable: the next failure starts with the short delay again.
STABLE_S: Final = 60.0
_SHOWN_LINES: Final = 5


class ChildFailed(Exception):  # noqa: N818  the name says what happened
    """A child could not be brought up for the first time; the message says why and shows its last lines."""

    def __init__(self, name: str, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.code = code


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


class Supervisor:
    """Runs children until :meth:`stop`. All methods are for one event loop.

    ``say`` gets what people should know, ``started`` the process id of everything that is started.
    """

    def __init__(
        self,
        logs: ChildLogs,
        say: Callable[[str], None],
        *,
        environment: Mapping[str, str],
        started: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._logs = logs
        self._say = say
        self._environment = environment
        self._started = started
        self._clock = clock
        self._sleep = sleep
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._children: dict[str, Child] = {}
        self._killed: list[str] = []
        #: Restarts so far, by name.
        self.restarts: dict[str, int] = {}

    async def start(self, spec: ChildSpec) -> None:
        """Start a child and return when it is ready; from then on it is started again whenever it ends.

        Raises:
            ChildFailed: it could not be started, ended before it was ready, or was not ready in time.
        """
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        keeper = asyncio.create_task(self._keep(spec, ready), name=f"keep {spec.name}")
        self._keepers[spec.name] = keeper
        await asyncio.wait({keeper, ready}, return_when=asyncio.FIRST_COMPLETED)
        if keeper.done():
            del self._keepers[spec.name]
            await keeper

    def pid(self, name: str) -> int | None:
        """Process id of a child that runs now."""
        child = self._children.get(name)
        return child.pid if child else None

    async def failed(self) -> None:
        """Wait until supervising itself breaks (a bug), and raise that."""
        if self._keepers:
            await asyncio.wait(self._keepers.values(), return_when=asyncio.FIRST_COMPLETED)
            for keeper in self._keepers.values():
                if keeper.done():
                    await keeper
        else:
            await asyncio.get_running_loop().create_future()

    async def stop(self) -> list[str]:
        """Stop all, the last started first; names of those that had to be killed."""
        while self._keepers:
            _name, keeper = self._keepers.popitem()
            keeper.cancel()
            await asyncio.wait({keeper})
            if not keeper.cancelled() and (error := keeper.exception()) is not None:
                raise error
        return self._killed

    def kill(self) -> None:
        """Kill every child now; :meth:`stop` then returns at once."""
        for child in self._children.values():
            child.kill()

    async def _keep(self, spec: ChildSpec, first_ready: asyncio.Future[None]) -> None:
        failures, backoff = 0, Backoff(_BACKOFF_FIRST_S, _BACKOFF_LONGEST_S)
        while True:
            started = self._clock()
            try:
                problem, code, lines = await self._run(spec, first_ready)
            except OSError as error:
                problem, code, lines = f"{spec.argv[0]}: {error.strerror or error}", None, []
            if not first_ready.done():
                raise ChildFailed(spec.name, "\n".join([f"{spec.name}: {problem}", *lines]), code)
            if self._clock() - started >= STABLE_S:
                failures = 0
                backoff.reset()
            failures += 1
            wait_s = backoff.next_s()
            # The last lines are shown once; a child that fails again and again says so in one line each time.
            shown = [f"  {line}" for line in lines] if failures == 1 else []
            again = "" if failures == 1 else f", for the {failures}th time in a row" if failures > 3 else ", again"  # noqa: PLR2004
            self._say("\n".join([f"{spec.name}: {problem}{again}; started again in {wait_s:.1f} s", *shown]))
            await self._sleep(wait_s)
            self.restarts[spec.name] = self.restarts.get(spec.name, 0) + 1

    async def _run(self, spec: ChildSpec, first_ready: asyncio.Future[None]) -> tuple[str, int | None, list[str]]:
        """Run it once: what ended it, the exit code, and its last lines."""
        async with running(spec, self._environment, self._logs.sink(spec.name)) as child:
            self._children[spec.name] = child
            self._started(child.pid)
            try:
                is_ready = await self._until_ready(spec, child)
                child.release()
                if is_ready:
                    if first_ready.done():
                        self._say(f"{spec.name}: runs again (pid {child.pid})")
                    else:
                        first_ready.set_result(None)
                    code = await child.wait()
                    problem = f"ended unexpectedly ({how_it_ended(code)})"
                elif is_ready is None:
                    code = await child.wait()
                    problem = f"ended before it was ready ({how_it_ended(code)})"
                else:
                    problem, code = f"not ready within {spec.start_limit_s:.0f} s", None
            except asyncio.CancelledError:
                # Ordered stop: ended here, so that its name is at hand when it has to be killed.
                await child.end(spec.stop_limit_s)
                if child.killed:
                    self._killed.append(spec.name)
                raise
            finally:
                del self._children[spec.name]
        if code is not None and (explanation := spec.explain(code, list(child.last_lines))) is not None:
            return explanation, code, []
        return problem, code, [self._logs.readable(line) for line in list(child.last_lines)[-_SHOWN_LINES:]]

    async def _until_ready(self, spec: ChildSpec, child: Child) -> bool | None:
        """True: ready. False: not in time. None: it ended first."""
        if spec.ready is None:
            return True
        ready = asyncio.ensure_future(spec.ready(child))
        ended = asyncio.ensure_future(child.wait())
        try:
            await asyncio.wait({ready, ended}, timeout=spec.start_limit_s, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                await ready
                return True
            return None if ended.done() else False
        finally:
            ready.cancel()
            ended.cancel()
            await asyncio.wait({ready, ended})
