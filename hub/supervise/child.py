"""One child process: started in a session of its own, its output read line by line, ended for certain.

spawn ──▶ stdout, stderr ──▶ lines ──▶ sink (log file, terminal)
  │                            └─────▶ waiters of Child.line()
  └──▶ end(): SIGTERM to the process ── limit ──▶ SIGKILL to its whole group
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

#: Longer lines are cut: a child that writes no newline must not fill our memory.
LONGEST_LINE_BYTES: Final = 64 << 10
_KEPT_LINES: Final = 20
_HELD_LINES: Final = 1000
_STDOUT: Final = 1
_STDERR: Final = 2
#: Output may lag behind the exit; a grandchild that keeps the pipe open must not hold us up.
_DRAIN_LIMIT_S: Final = 1.0

Sink = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run and how to know that it runs; one line in the table of ``hub/up.py``."""

    name: str
    argv: tuple[str, ...]
    #: Laid over our own environment.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Returns when the child does its work; cancelled when the child ends first.
    ready: Callable[[Child], Awaitable[None]] | None = None
    #: Why it ended, from its exit code and last lines; None where no more can be said than these.
    explain: Callable[[int, Sequence[str]], str | None] = lambda _code, _lines: None
    #: Takes whole lines of standard error, gives those that are looked at; for a child that says more than we can take.
    sieve: Callable[[bytes], list[bytes]] | None = None
    start_limit_s: float = 30.0
    #: SIGTERM to SIGKILL.
    stop_limit_s: float = 10.0


class Child(asyncio.SubprocessProtocol):
    """One running process. Made by :func:`running` only."""

    def __init__(self, sink: Sink, sieve: Callable[[bytes], list[bytes]] | None = None) -> None:
        loop = asyncio.get_running_loop()
        self._sink = sink
        self._sieve = sieve
        self._rest = {1: b"", 2: b""}
        self._waiters: list[tuple[Callable[[str], bool], asyncio.Future[str]]] = []
        #: Lines of standard output that may be waited for yet: a quick child speaks before anybody can ask.
        self._held: list[str] | None = []
        self._exited: asyncio.Future[int] = loop.create_future()
        self._drained: asyncio.Future[None] = loop.create_future()
        self._transport: asyncio.SubprocessTransport
        self.pid: int
        #: The newest lines it wrote, oldest first.
        self.last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        #: True when SIGTERM was not enough.
        self.killed = False

    async def wait(self) -> int:
        """Exit code; negative when a signal ended it."""
        return await asyncio.shield(self._exited)

    async def line(self, wanted: Callable[[str], bool]) -> str:
        """The next line on its standard output that is ``wanted``; it is not logged: it may hold a secret.

        Until :meth:`release` also one that came before.
        """
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiters.append((wanted, future))
        if self._held is not None:
            self._held = [line for line in self._held if not self._is_answer(line)]
        return await future

    def release(self) -> None:
        """It is ready or will not be: what it said until now is logged."""
        held, self._held = self._held or [], None
        for line in held:
            self._say(line)

    def kill(self) -> None:
        """Send SIGKILL to the whole group: the process and all it started."""
        self.killed = self.killed or not self._exited.done()
        # Gone already: nothing to do. EPERM: macOS says so for a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def end(self, limit_s: float) -> None:
        """SIGTERM, at most ``limit_s`` of patience, then SIGKILL to what is left of the group."""
        if not self._exited.done():
            with contextlib.suppress(ProcessLookupError):
                self._transport.terminate()
            await asyncio.wait({self._exited}, timeout=limit_s)
        self.kill()
        await asyncio.wait({self._exited})

    async def close(self) -> None:
        """Take what is left of the output, and free the pipes. Call after :meth:`end`."""
        await asyncio.wait({self._drained}, timeout=_DRAIN_LIMIT_S)
        self.release()
        self._transport.close()

    # -- called by asyncio ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self.pid = self._transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        whole, _, rest = (self._rest[fd] + data).rpartition(b"\n")
        lines = self._sieve(whole) if self._sieve is not None and fd == _STDERR else whole.split(b"\n")
        if len(rest) > LONGEST_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        self._rest[fd] = rest
        for line in lines:
            self._take(line, fd)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        del exc
        if rest := self._rest.get(fd):
            self._rest[fd] = b""
            self._take(rest, fd)

    def process_exited(self) -> None:
        if not self._exited.done():
            self._exited.set_result(self._transport.get_returncode() or 0)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self._drained.done():
            self._drained.set_result(None)

    def _take(self, raw: bytes, fd: int) -> None:
        line = raw[:LONGEST_LINE_BYTES].decode("utf-8", "replace").rstrip("\r")
        if not line:
            return
        if fd == _STDOUT and self._is_answer(line):
            return
        if fd == _STDOUT and self._held is not None:
            self._held.append(line)
            if len(self._held) <= _HELD_LINES:
                return
            line = self._held.pop(0)
        self._say(line)

    def _say(self, line: str) -> None:
        self.last_lines.append(line)
        self._sink(line)

    def _is_answer(self, line: str) -> bool:
        taken = [future for wanted, future in self._waiters if not future.done() and wanted(line)]
        for future in taken:
            future.set_result(line)
        self._waiters = [waiter for waiter in self._waiters if not waiter[1].done()]
        return bool(taken)


@contextlib.asynccontextmanager
async def running(spec: ChildSpec, environment: Mapping[str, str], sink: Sink) -> AsyncIterator[Child]:
    """Start ``spec`` and end it, with all it started, on the way out.

    A session of its own keeps the terminal's Ctrl-C away from it: the order in which things stop is ours.

    Raises:
        OSError: the program cannot be started.
    """
    _, child = await asyncio.get_running_loop().subprocess_exec(
        lambda: Child(sink, spec.sieve),
        *spec.argv,
        stdin=asyncio.subprocess.DEVNULL,
        env={**environment, **spec.environment},
        start_new_session=True,
    )
    try:
        yield child
    finally:
        await child.end(spec.stop_limit_s)
        await child.close()
