"""The agent's settings: ``[mqtt]`` and ``[agent]`` of ``iothub.toml``; validated at once, opening nothing."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from agent.collectors.disk import IGNORED_FILE_SYSTEMS, IGNORED_MOUNTS
from agent.collectors.diskio import IGNORED_DEVICES
from agent.collectors.net import IGNORED_INTERFACES
from agent.config_commands import CommandSettings
from wire.outbox_model import WhenFull
from wire.settings import MqttSettings, NodeId, load, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Bounds of every interval, from the settings as from the command ``interval``.
SHORTEST_INTERVAL_S: Final = 1.0
LONGEST_INTERVAL_S: Final = 86_400.0
_LONGEST_ID: Final = 64

#: Seconds between two ticks; written as ``10s``, ``5m``.
Interval = Annotated[float, BeforeValidator(parse_duration), Field(ge=SHORTEST_INTERVAL_S, le=LONGEST_INTERVAL_S)]
Patterns = tuple[str, ...]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CollectorSettings(_Section):
    """``[agent.collectors.NAME]``: one collector."""

    enabled: bool = True
    #: The collector's own when empty; see ``agent/README.md``.
    interval: Interval | None = None


class CollectorsSettings(_Section):
    """``[agent.collectors]``: one table a collector."""

    agent: CollectorSettings = CollectorSettings()
    battery: CollectorSettings = CollectorSettings()
    cpu: CollectorSettings = CollectorSettings()
    disk: CollectorSettings = CollectorSettings()
    diskio: CollectorSettings = CollectorSettings()
    fan: CollectorSettings = CollectorSettings()
    memory: CollectorSettings = CollectorSettings()
    net: CollectorSettings = CollectorSettings()
    processes: CollectorSettings = CollectorSettings()
    system: CollectorSettings = CollectorSettings()
    temperature: CollectorSettings = CollectorSettings()
    users: CollectorSettings = CollectorSettings()

    def of(self, name: str) -> CollectorSettings:
        """The settings of the collector called ``name``."""
        found: CollectorSettings = getattr(self, name)
        return found


class OutboxSettings(_Section):
    """``[agent.outbox]``: where messages wait until the hub has them."""

    #: ``disk``: until the hub confirms that they are stored. ``memory``: until the broker takes them.
    kind: Literal["disk", "memory"] = "disk"
    #: Of messages on disk.
    max_bytes: int = Field(default=256 << 20, ge=1 << 16)
    when_full: WhenFull = WhenFull.DROP_OLDEST
    #: Whether what was sent outlives a power cut, or only the process.
    sync: bool = True
    #: Of messages in memory; then the oldest go.
    memory_bytes: int = Field(default=8 << 20, ge=1 << 16)

    @model_validator(mode="after")
    def _memory_drops(self) -> Self:
        if self.kind == "memory" and self.when_full is not WhenFull.DROP_OLDEST:
            raise ValueError('an outbox of kind "memory" always drops the oldest: leave out when_full, or use "disk"')
        return self


def default_node() -> str:
    """The host name, made to fit the grammar of node ids."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in socket.gethostname())
    return name[:_LONGEST_ID] or "node"


class AgentSettings(_Section):
    """``[agent]``: this host's agent."""

    #: The id of this host; also its client id and account.
    node: NodeId = Field(default_factory=default_node)
    #: Directory for what must outlive the process.
    state: Path = Path("var/agent")
    collectors: CollectorsSettings = CollectorsSettings()
    #: Programs with most memory, and as many with most CPU, that ``process`` names.
    top_n: int = Field(default=5, ge=0, le=50)
    #: Shell globs; giving any replaces the built-in list.
    ignored_file_systems: Patterns = IGNORED_FILE_SYSTEMS
    ignored_mounts: Patterns = IGNORED_MOUNTS
    ignored_disks: Patterns = IGNORED_DEVICES
    ignored_interfaces: Patterns = IGNORED_INTERFACES
    outbox: OutboxSettings = OutboxSettings()
    commands: CommandSettings = CommandSettings()


class Settings(_Section):
    """What the agent reads of ``iothub.toml``."""

    mqtt: MqttSettings = MqttSettings()
    agent: AgentSettings = Field(default_factory=AgentSettings)


def load_settings(
    path: Path | None,
    *,
    node: str | None = None,
    state: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read and validate; ``node`` and ``state`` come from the command line and win.

    Raises:
        SettingsError: with every problem found.
    """
    overrides: dict[str, object] = {"agent.node": node, "agent.state": state}
    return load(Settings, path, environ=environ, only={"mqtt", "agent"}, overrides=overrides)
