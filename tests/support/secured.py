"""The broker as ``iothub up`` runs it: its configuration, accounts and rights, on a free loopback port.

``with Secured(tmp_path) as broker`` runs it; ``broker.hub()`` and its sisters say how each account connects, and
``arguments(broker.hub())`` says it to mosquitto_pub and mosquitto_sub.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hub.broker.accounts import Accounts
from hub.broker.credentials import for_admin, for_agent, for_hub, for_operator, password_of
from hub.broker.prepare import prepare
from hub.config import Settings
from hub.paths import StatePaths
from tests.support.mosquitto import Process

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hub.broker.accounts import Credentials
    from wire.settings import MqttSettings

#: Node id of the agent that ``iothub up`` would run.
AGENT_NODE = "agent-host"


class Secured(Process):
    """A managed broker below ``root / "var"``; ``changes`` are laid over the default settings."""

    def __init__(self, root: Path, changes: Mapping[str, object] | None = None) -> None:
        self.settings = Settings.model_validate({"mqtt": {"port": 0}, **(changes or {})})
        self.paths = StatePaths(root / "var")
        self.paths.make()
        self.child = prepare(self.settings, self.paths, agent_node=AGENT_NODE)
        super().__init__(self.child.argv, port=self.child.port, log=root / "mosquitto.log")

    def admin(self) -> MqttSettings:
        return for_admin(self.settings, self.paths, port=self.port)

    def hub(self) -> MqttSettings:
        return for_hub(self.settings, self.paths, port=self.port)

    def operator(self) -> MqttSettings:
        return for_operator(self.settings, self.paths, port=self.port)

    def agent(self) -> MqttSettings:
        return for_agent(self.settings, self.paths, AGENT_NODE, port=self.port)

    def node(self, credentials: Credentials) -> MqttSettings:
        """How a node connects that was added live."""
        return self.settings.mqtt.model_copy(
            update={
                "port": self.port,
                "username": credentials.username,
                "password": None,
                "password_file": self._file(credentials),
                "client_id": credentials.client_id,
            }
        )

    def add_node(self, node: str) -> Credentials:
        return asyncio.run(Accounts(self.admin()).add_node(node))

    def _file(self, credentials: Credentials) -> Path:
        path = self.paths.root / f"password-{credentials.node}-{credentials.password[:8]}"
        path.write_text(credentials.password, encoding="utf-8")
        return path


def arguments(mqtt: MqttSettings, *, client_id: str | None = None) -> list[str]:
    """Arguments of mosquitto_pub and mosquitto_sub for these credentials."""
    argv = ["-V", "5", "-h", mqtt.host, "-p", str(mqtt.port)]
    password = password_of(mqtt)
    if mqtt.username is not None and password is not None:
        argv += ["-u", mqtt.username, "-P", password]
    client_id = client_id or mqtt.client_id
    return [*argv, *(["-i", client_id] if client_id else [])]
