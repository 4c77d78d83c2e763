"""What ``iothub up`` runs, in order of starting; a further child is one method and one line in :meth:`Plan.specs`.

    mosquitto   managed mode only        ready: its port accepts
    hub         python -m hub.cli hub    ready: says so, with the address of its API
    agent       python -m agent          ready: the hub sees it online
    dashboard   python -m dashboard      ready: says so, with its address; not where Streamlit is not installed

Children find the settings in the same file, and what is known only now (a port, a state directory) in arguments and in
``IOTHUB_…`` variables laid over it. Passwords travel in files of mode 0600 only.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from hub.broker.credentials import for_agent
from hub.broker.ports import listener
from hub.broker.prepare import prepare
from hub.broker.sieve import Sieve
from hub.config import BrokerMode, default_hub_id
from hub.online import until_online
from hub.paths import StatePaths, read_secret
from hub.runfile import Announcement, parse_announcement
from hub.supervise.child import ChildSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hub.broker.child import MosquittoChild
    from hub.config import Settings
    from hub.supervise.child import Child
    from wire.settings import MqttSettings

#: The agent may take this long to be seen; a broker elsewhere that is down must not hold up the rest.
_ONLINE_LIMIT_S: Final = 10.0
_HUB_START_LIMIT_S: Final = 60.0
#: The hub writes what is in flight before it goes.
_HUB_STOP_LIMIT_S: Final = 30.0
_AGENT_STOP_LIMIT_S: Final = 10.0
_BROKER_STOP_LIMIT_S: Final = 15.0
_DASHBOARD_START_LIMIT_S: Final = 60.0
#: ``dashboard/names.py`` has the same: the hub imports nothing of the dashboard.
_DASHBOARD_READY: Final = "dashboard ready "


class UpFailed(Exception):  # noqa: N818  the name says what happened
    """``up`` cannot run: readable text that says what to do, and the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
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
    #: Address of the dashboard; None where it does not run.
    dashboard_url: str | None
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
        self._dashboard_url: str | None = None

    def specs(self) -> Iterator[ChildSpec]:
        """One line a child.

        Raises:
            UpFailed, BrokerError: a port is taken or a program is missing; before anything is started, if possible.
        """
        _check_api_port(self._settings.api.host, self._settings.api.port)
        if self._settings.broker.mode is BrokerMode.MANAGED:
            yield self._broker()
        yield self._hub()
        yield self._agent()
        if self._runs_dashboard():
            yield self._dashboard()

    def result(self) -> Up:
        if self._announcement is None:
            raise AssertionError("the hub is ready")
        seconds = time.monotonic() - self._started
        return Up(
            self._settings, self._config, self._announcement, self._node, self._online, self._dashboard_url, seconds
        )

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
            sieve=Sieve(self._settings.mqtt.root) if self._settings.broker.record_denied else None,
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
            explain=_what_iothub_said,
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

    def _runs_dashboard(self) -> bool:
        """Unless the settings say no; a hub without the extra ``dashboard`` simply has none."""
        return _is_on(self._settings.dashboard) and find_spec("streamlit") is not None

    def _dashboard(self) -> ChildSpec:
        async def ready(child: Child) -> None:
            line = await child.line(lambda line: line.startswith(_DASHBOARD_READY))
            self._dashboard_url = url = line.removeprefix(_DASHBOARD_READY).strip()
            # Any free port is chosen once: started again, it is where browsers look for it.
            environment["IOTHUB_DASHBOARD__PORT"] = str(urlsplit(url).port)

        environment = {} if self._settings.dashboard.get("api_url") else {"IOTHUB_DASHBOARD__API_URL": self._api_url()}
        if not self._settings.dashboard.get("proxy_token_file"):
            environment["IOTHUB_DASHBOARD__PROXY_TOKEN_FILE"] = str(self.paths.dashboard_token)
        return ChildSpec(
            "dashboard",
            (sys.executable, "-m", "dashboard", *self._config_argument()),
            environment=environment,
            ready=ready,
            explain=_what_iothub_said,
            start_limit_s=_DASHBOARD_START_LIMIT_S,
            stop_limit_s=_AGENT_STOP_LIMIT_S,
        )

    def _config_argument(self) -> tuple[str, ...]:
        return ("--config", str(self._config)) if self._config is not None else ()

    def _api_url(self) -> str:
        if self._announcement is None:
            raise AssertionError("the hub is ready before the agent is started")
        return self._announcement.running.api_url


def _check_api_port(host: str, port: int) -> None:
    """The hub would find out, too, but after seconds."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return  # the hub explains it better
        owner = listener(port)
        who = f"{owner.name()} (pid {owner.pid})" if owner is not None else "another process"
        raise UpFailed(
            f"port {port} is taken by {who}. Choose another port for the API: api.port in iothub.toml or "
            "IOTHUB_API__PORT (0 = any free one)."
        ) from error


def _is_on(dashboard: dict[str, Any]) -> bool:
    """``dashboard.enabled``; what is neither true nor false is for the dashboard itself to complain about."""
    with contextlib.suppress(ValidationError):
        return TypeAdapter(bool).validate_python(dashboard.get("enabled", True))
    return True


def _what_iothub_said(_: int, lines: Sequence[str]) -> str | None:
    """The last thing that a command of ours said to people."""
    said = [line.removeprefix("iothub: ") for line in lines if line.startswith("iothub: ")]
    return said[-1] if said else None


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
