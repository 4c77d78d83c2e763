"""``iothub up``: everything on this machine as children of one process.

    lock ─▶ leftovers of a killed run ended ─▶ keeper
      │
      ├─ mosquitto   managed mode only        ready: its port accepts
      ├─ hub         python -m hub.cli hub    ready: says so, with the address of its API
      ├─ agent       python -m agent          ready: the hub sees it online
      │                                       (one line in ``Plan.specs`` each; one starts when the one before is ready)
      ▼
    on_ready ─▶ wait for Ctrl-C or SIGTERM ─▶ stop the last started first ─▶ exit 0
                a second Ctrl-C kills what is left

Children find the settings in the same file, and what is known only now (a port, a state directory) in ``IOTHUB_…``
variables laid over it. Passwords travel in files of mode 0600 only, never in arguments or the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from hub.broker.credentials import for_agent
from hub.broker.errors import BrokerError
from hub.broker.prepare import prepare
from hub.config import BrokerMode, default_hub_id
from hub.lock import Locked, held
from hub.online import until_online
from hub.paths import StatePaths, read_secret
from hub.runfile import Announcement, parse_announcement
from hub.supervise.child import ChildSpec
from hub.supervise.keeper import MARK, Keeper, end_all
from hub.supervise.logs import ChildLogs
from hub.supervise.supervisor import ChildFailed, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hub.broker.child import MosquittoChild
    from hub.config import Settings
    from hub.supervise.child import Child, Sink
    from wire.settings import MqttSettings

#: The agent may take this long to be seen; a broker elsewhere that is down must not hold up the rest.
_ONLINE_LIMIT_S: Final = 10.0
_HUB_START_LIMIT_S: Final = 60.0
#: The hub writes what is in flight before it goes.
_HUB_STOP_LIMIT_S: Final = 30.0
_AGENT_STOP_LIMIT_S: Final = 10.0
_BROKER_STOP_LIMIT_S: Final = 15.0
_FAILED: Final = 1
_USAGE: Final = 2


class UpFailed(Exception):  # noqa: N818  the name says what happened
    """``up`` cannot run: readable text that says what to do, and the exit code."""

    def __init__(self, message: str, code: int = _FAILED) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Up:
    """Everything runs; what there is to tell."""

    settings: Settings
    config: Path | None
    announcement: Announcement
    agent_node: str
    agent_online: bool
    #: From the start of ``up`` to now.
    seconds: float


class Plan:
    """What runs here, in order of starting. Specs are made one by one: each may need what the one before said.

    Args:
        settings: ``state`` is absolute, and the directory exists.
        config: the settings file that the children read, too.
    """

    def __init__(self, settings: Settings, config: Path | None) -> None:
        self.paths = StatePaths(settings.state)
        self._settings = settings
        self._config = config
        self._started = time.monotonic()
        self._node = str(settings.agent.get("node") or default_hub_id())
        self._port = settings.mqtt.port
        self._announcement: Announcement | None = None
        self._online = False

    def specs(self) -> Iterator[ChildSpec]:
        """One line a child."""
        if self._settings.broker.mode is BrokerMode.MANAGED:
            yield self._broker()
        yield self._hub()
        yield self._agent()

    def result(self) -> Up:
        if self._announcement is None:
            raise AssertionError("the hub is ready")
        seconds = time.monotonic() - self._started
        return Up(self._settings, self._config, self._announcement, self._node, self._online, seconds)

    def _broker(self) -> ChildSpec:
        broker: MosquittoChild = prepare(self._settings, self.paths, agent_node=self._node)
        self._port = broker.port

        async def ready(_: Child) -> None:
            await broker.ready()

        return ChildSpec(
            "mosquitto",
            broker.argv,
            environment=broker.env,
            ready=ready,
            explain=broker.explain_exit,
            stop_limit_s=_BROKER_STOP_LIMIT_S,
        )

    def _hub(self) -> ChildSpec:
        async def ready(child: Child) -> None:
            line = await child.line(lambda line: parse_announcement(line) is not None)
            self._announcement = parse_announcement(line)

        return ChildSpec(
            "hub",
            (
                sys.executable,
                "-m",
                "hub.cli",
                *self._config_argument(),
                "--state",
                str(self.paths.root),
                "hub",
                "--json",
            ),
            environment={"IOTHUB_MQTT__PORT": str(self._port)},
            ready=ready,
            start_limit_s=_HUB_START_LIMIT_S,
            stop_limit_s=_HUB_STOP_LIMIT_S,
        )

    def _agent(self) -> ChildSpec:
        mqtt = for_agent(self._settings, self.paths, self._node, port=self._port)

        async def ready(_: Child) -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ONLINE_LIMIT_S):
                    token = read_secret(self.paths.cli_token)
                    self._online = await until_online(self._api_url(), token, self._node)

        return ChildSpec(
            "agent",
            (
                sys.executable,
                "-m",
                "agent",
                *self._config_argument(),
                "--state",
                str(self.paths.agent),
                "--node",
                self._node,
            ),
            environment=_mqtt_environment(mqtt),
            ready=ready,
            stop_limit_s=_AGENT_STOP_LIMIT_S,
        )

    def _config_argument(self) -> tuple[str, ...]:
        return ("--config", str(self._config)) if self._config is not None else ()

    def _api_url(self) -> str:
        if self._announcement is None:
            raise AssertionError("the hub is ready before the agent is started")
        return self._announcement.running.api_url


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


def _end_leftovers(paths: StatePaths, say: Callable[[str], None]) -> str:
    """End what a killed run of this state directory may have left; the mark of this run."""
    prefix = f"{paths.root}#"
    ended = end_all(lambda mark: mark.startswith(prefix), looks=1)
    if ended:
        say(f"ended what an earlier run had left: {', '.join(ended)}")
    return prefix + uuid.uuid4().hex


def _mqtt_environment(mqtt: MqttSettings) -> dict[str, str]:
    """``[mqtt]`` as variables; the password as the name of its file."""
    values = {
        "HOST": mqtt.host,
        "PORT": str(mqtt.port),
        "USERNAME": mqtt.username,
        "PASSWORD_FILE": str(mqtt.password_file) if mqtt.password_file else None,
        "CLIENT_ID": mqtt.client_id,
    }
    return {f"IOTHUB_MQTT__{key}": value for key, value in values.items() if value is not None}


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
