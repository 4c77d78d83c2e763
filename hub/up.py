"""``iothub up``: everything on this machine as children of one process.

lock ─▶ leftovers of a killed run ended ─▶ keeper
  │
  ├─ mosquitto ─▶ hub ─▶ agent      as ``hub/plan.py`` says; one starts when the one before is ready
  ▼
on_ready ─▶ wait for Ctrl-C or SIGTERM ─▶ stop the last started first ─▶ exit 0
            a second Ctrl-C kills what is left
SIGUSR1 ─▶ the broker reads its certificates again (``iothub tls`` sends it)

kill -9 of this process ─▶ the keeper ends the children (``hub/supervise/keeper.py``)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import uuid
from typing import TYPE_CHECKING, Final

import structlog

from hub.broker.child import BROKER
from hub.broker.errors import BrokerError
from hub.broker.lan import RELOAD
from hub.lock import Locked, held
from hub.plan import UpFailed
from hub.supervise.keeper import MARK, Keeper, end_all
from hub.supervise.logs import ChildLogs
from hub.supervise.supervisor import ChildFailed, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hub.paths import StatePaths
    from hub.plan import Plan, Up
    from hub.supervise.child import Sink

_FAILED: Final = 1
_USAGE: Final = 2


async def run_up(
    plan: Plan, *, say: Callable[[str], None], on_ready: Callable[[Up], None], verbose: bool = False
) -> int:
    """Run until SIGINT or SIGTERM; the exit code.

    Args:
        plan: what to run.
        say: gets what people should know.
        on_ready: called once, when everything runs.
        verbose: ``say`` everything that the children log.

    Raises:
        UpFailed: it could not be brought up; nothing is left running.
    """
    paths = plan.paths
    stop = Stop()
    try:
        with (
            held(paths.root / "up.lock"),
            ChildLogs(paths.logs, say, verbose=verbose) as logs,
            _own_log(logs.sink("up")),
            stop.on_signals(say),
        ):
            mark = _end_leftovers(paths, say)
            with Keeper(mark, logs.path("up")) as keeper:
                environment = {**os.environ, MARK: mark, "PYTHONUNBUFFERED": "1"}
                supervisor = Supervisor(logs, say, environment=environment, started=keeper.watch)
                stop.kill = supervisor.kill
                asyncio.get_running_loop().add_signal_handler(RELOAD, _reload_broker, supervisor)
                return await _run(plan, supervisor, stop, on_ready, say)
    except Locked as error:
        raise UpFailed(
            f"another `iothub up` (pid {error.pid}) uses the state directory {paths.root}. "
            "Stop that one, or give this one a directory of its own: --state DIR."
        ) from error
    except BrokerError as error:
        raise UpFailed(str(error)) from error
    except ChildFailed as error:
        raise UpFailed(
            f"{error}\n(all it said: {paths.logs / error.name}.log)", _USAGE if error.code == _USAGE else _FAILED
        ) from error
    except OSError as error:
        raise UpFailed(f"{error.filename or paths.root}: {error.strerror or error}") from error


async def _run(
    plan: Plan, supervisor: Supervisor, stop: Stop, on_ready: Callable[[Up], None], say: Callable[[str], None]
) -> int:
    """Bring up, wait, take down; the exit code."""

    async def work() -> None:
        for spec in plan.specs():
            await supervisor.start(spec)
        on_ready(plan.result())
        await supervisor.failed()

    working = asyncio.create_task(work(), name="up")
    stopping = asyncio.create_task(stop.wanted.wait(), name="stop")
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stop.wanted.is_set():
            say("stopping: agent, hub, broker …")
    finally:
        working.cancel()
        stopping.cancel()
        killed = await supervisor.stop()
        await asyncio.wait({working, stopping})
        plan.paths.run.unlink(missing_ok=True)
    if not working.cancelled() and (error := working.exception()) is not None:
        raise error
    if killed:
        say(f"did not stop in time and had to be killed: {', '.join(killed)}")
    else:
        say("stopped")
    return _FAILED if killed or stop.twice else 0


class Stop:
    """SIGINT, SIGTERM and SIGHUP: the first one asks for an ordered stop, the second kills."""

    def __init__(self) -> None:
        self.wanted = asyncio.Event()
        self.twice = False
        self.kill: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def on_signals(self, say: Callable[[str], None]) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        # nohup ignores SIGHUP for us; that has to stay so.
        hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
        signals = (signal.SIGINT, signal.SIGTERM, *hangup)
        for each in signals:
            loop.add_signal_handler(each, self._received, say)
        try:
            yield
        finally:
            for each in signals:
                loop.remove_signal_handler(each)

    def _received(self, say: Callable[[str], None]) -> None:
        if not self.wanted.is_set():
            self.wanted.set()
        else:
            self.twice = True
            say("killing what is left")
            self.kill()


def _reload_broker(supervisor: Supervisor) -> None:
    """Certificates, revocation list: the broker reads them again, its connections go on."""
    if (pid := supervisor.pid(BROKER)) is not None:
        os.kill(pid, signal.SIGHUP)


def _end_leftovers(paths: StatePaths, say: Callable[[str], None]) -> str:
    """End what a killed run of this state directory may have left; the mark of this run."""
    prefix = f"{paths.root}#"
    ended = end_all(lambda mark: mark.startswith(prefix), looks=1)
    if ended:
        say(f"ended what an earlier run had left: {', '.join(ended)}")
    return prefix + uuid.uuid4().hex


@contextlib.contextmanager
def _own_log(sink: Sink) -> Iterator[None]:
    """What this process logs goes where the children's lines go."""

    class Lines:
        def msg(self, message: str) -> None:
            sink(message)

        log = debug = info = warning = warn = error = critical = exception = fatal = msg

    before = structlog.get_config()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=lambda *_: Lines(),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
