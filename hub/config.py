"""The hub's settings: one typed tree, validated at once, opening nothing.

Read from ``iothub.toml`` and ``IOTHUB_SECTION__KEY`` by :func:`wire.settings.load`, handed down by ``service.py``.
"""

from __future__ import annotations

import enum
import socket
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from hub.config_alerts import AlertSettings, StatsSettings
from hub.config_commands import CommandSettings
from hub.config_lan import LanSettings
from hub.config_notify import NotifySettings
from hub.config_oidc import OidcSettings
from hub.config_rules import RuleSettings
from wire.formats import FORMATS
from wire.settings import Duration, Host, MqttSettings, NodeId, Secret, TopicFilter


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


#: What must pass for time to go on: 0 would spin or never hold.
_Positive = Annotated[Duration, Field(gt=0)]


class BrokerMode(enum.StrEnum):
    """Who runs the broker."""

    #: ``iothub up`` runs Mosquitto as its child.
    MANAGED = "managed"
    #: Somebody else does; ``[mqtt]`` says where.
    EXTERNAL = "external"


class BrokerSettings(_Section):
    """``[broker]``: the Mosquitto that ``iothub up`` runs."""

    mode: BrokerMode = BrokerMode.MANAGED
    #: Program to run; found on PATH (and /usr/sbin) when it is a plain name.
    program: str = Field(default="mosquitto", min_length=1)
    max_queued_messages: int = Field(default=1_000_000, ge=1000)
    max_queued_bytes: int = Field(default=1 << 30, ge=1 << 20)
    max_packet_bytes: int = Field(default=2 << 20, ge=1 << 16)
    autosave_interval_s: int = Field(default=30, ge=1)
    #: Record refused publishes, subscriptions and wills, too: the broker then logs a few lines for every message.
    record_denied: bool = False
    lan: LanSettings = LanSettings()

    @model_validator(mode="after")
    def _own_network(self) -> Self:
        if self.lan.enabled and self.mode is BrokerMode.EXTERNAL:
            raise ValueError("lan.enabled opens the broker that iothub runs; an external one listens where it is told")
        if self.record_denied and self.mode is BrokerMode.EXTERNAL:
            raise ValueError("record_denied reads the log of the broker that iothub runs, not of an external one")
        return self


class IngestSettings(_Section):
    """``[ingest]``: the hot path."""

    #: QoS 1 messages the broker may send ahead of our acknowledgements.
    receive_max: int = Field(default=20_000, ge=1, le=65_535)
    #: A batch is written when it has this many messages, or is this old.
    batch_messages: int = Field(default=8_000, ge=1)
    linger: Duration = 0.05
    #: Messages and payload bytes held in memory before the link stops reading its socket.
    max_in_flight_messages: int = Field(default=64_000, ge=1)
    max_in_flight_bytes: int = Field(default=64 << 20, ge=1 << 20)
    #: Topics whose parsed form is kept.
    topic_cache: int = Field(default=300_000, ge=100)
    session_expiry: _Positive = 14 * 86_400.0


class LimitSettings(_Section):
    """``[limits]``: what one message, node or series may hold."""

    payload_bytes: int = Field(default=1 << 20, ge=1)
    values_per_message: int = Field(default=1000, ge=1)
    depth: int = Field(default=8, ge=1, le=64)
    key_bytes: int = Field(default=128, ge=1)
    text_bytes: int = Field(default=64 << 10, ge=1)
    tag_bytes: int = Field(default=512, ge=1)
    series_per_node: int = Field(default=100_000, ge=1)
    #: How far ahead of our clock a time may lie.
    future: Duration = 300.0


class RetentionSettings(_Section):
    """``[store.retention]``: how long each resolution is kept."""

    raw: _Positive = 30 * 86_400.0
    rollup_1m: _Positive = 365 * 86_400.0
    rollup_1h: _Positive = 5 * 365 * 86_400.0
    logs: _Positive = 30 * 86_400.0


class InfluxSettings(_Section):
    """``[store.influx]``: the InfluxDB that ``store.kind = "influx"`` writes to."""

    #: Without a password in it: it is shown in messages.
    url: str = Field(default="http://127.0.0.1:8086", pattern=r"^https?://[^/\s@]+(/\S*)?$")
    #: Database of 1.x and 3.x, bucket of 2.x.
    database: str = Field(default="iot", min_length=1)
    #: Organisation of 2.x.
    org: str = ""
    retention_policy: str = ""
    token: Secret | None = None
    token_file: Path | None = None
    username: str | None = None
    password: Secret | None = None
    password_file: Path | None = None
    generation: Literal["auto", "1", "2", "3", "victoria"] = "auto"
    timeout: _Positive = 30.0
    #: None: unless the server is on this machine.
    gzip: bool | None = None
    ca_file: Path | None = None
    #: Looked at by ``iothub doctor`` alone.
    grafana_url: str | None = Field(default=None, pattern=r"^https?://[^/\s]+(/\S*)?$")
    grafana_token_file: Path | None = None


class StoreSettings(_Section):
    """``[store]``: where points go."""

    kind: Literal["duck", "influx", "memory"] = "duck"
    #: Further stores that get every point; the first one answers what is asked.
    also: tuple[Literal["duck", "influx"], ...] = ()
    retention: RetentionSettings = RetentionSettings()
    influx: InfluxSettings = InfluxSettings()
    #: Memory DuckDB may use.
    memory_bytes: int = Field(default=1 << 30, ge=64 << 20)
    threads: int = Field(default=2, ge=1)
    maintain_every: _Positive = 60.0

    @field_validator("also")
    @classmethod
    def _other_stores(cls, also: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if len({info.data.get("kind"), *also}) != len(also) + 1:
            raise ValueError("must name each store once, and none that is store.kind")
        return also


class SpoolSettings(_Section):
    """``[spool]``: what InfluxDB cannot take yet; each store that has one has a spool of its own."""

    #: Most bytes of one spool; a full one stops the acknowledgements, and the broker holds the rest.
    max_bytes: int = Field(default=4 << 30, ge=16 << 20)
    #: Space comes back by so much at a time.
    segment_bytes: int = Field(default=16 << 20, ge=1 << 16, le=1 << 30)
    #: None: ``spool`` in the state directory.
    directory: Path | None = None


class NodeSettings(_Section):
    """``[nodes]``: registry and presence."""

    #: SQLAlchemy URL; empty = SQLite in the state directory.
    database_url: str = ""
    #: A node that announced no end and sends nothing for this long is silent.
    silent_after: _Positive = 90.0


class RejectSettings(_Section):
    """``[rejects]``: the dead-letter store."""

    max_bytes: int = Field(default=256 << 20, ge=1 << 20)
    max_messages: int = Field(default=1_000_000, ge=100)


class ApiSettings(_Section):
    """``[api]``: HTTP."""

    host: Host = "127.0.0.1"
    #: 0 = a free port.
    port: int = Field(default=8080, ge=0, le=65_535)
    docs: bool = True
    token_lifetime: _Positive = 12 * 3600.0
    #: Most rows a query returns.
    max_rows: int = Field(default=1_000_000, ge=1)
    #: File whose only line is a token that may read ``/metrics`` and nothing else.
    metrics_token_file: Path | None = None
    oidc: OidcSettings = OidcSettings()


def _known_format(name: str) -> str:
    if name not in FORMATS:
        raise ValueError(f"must be one of {', '.join(sorted(FORMATS))}")
    return name


class SourceSettings(_Section):
    """``[[sources]]``: topics of others, and how to read them.

    ``node`` and ``measurement`` may name topic levels: ``{2}`` is the second level, counted from 1.
    """

    filter: TopicFilter
    format: Annotated[str, AfterValidator(_known_format)]
    node: str = Field(min_length=1)
    measurement: str = ""


class LogSettings(_Section):
    """``[log]``: the hub's own log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    #: ``auto`` is JSON unless standard error is a terminal.
    format: Literal["auto", "json", "text"] = "auto"


def default_hub_id() -> str:
    """The host name, made to fit the grammar of ids."""
    name = "".join(c if (c.isalnum() and c.isascii()) or c in "._-" else "-" for c in socket.gethostname())
    return name[:64] or "hub"


class HubSettings(_Section):
    """``[hub]``: this hub."""

    id: NodeId = Field(default_factory=default_hub_id)


class Settings(_Section):
    """The whole tree. ``state`` may also be given as ``--state``."""

    state: Path = Path("var")
    hub: HubSettings = Field(default_factory=HubSettings)
    mqtt: MqttSettings = MqttSettings()
    broker: BrokerSettings = BrokerSettings()
    ingest: IngestSettings = IngestSettings()
    limits: LimitSettings = LimitSettings()
    store: StoreSettings = StoreSettings()
    spool: SpoolSettings = SpoolSettings()
    nodes: NodeSettings = NodeSettings()
    rejects: RejectSettings = RejectSettings()
    rules: RuleSettings = RuleSettings()
    commands: CommandSettings = CommandSettings()
    api: ApiSettings = ApiSettings()
    log: LogSettings = LogSettings()
    alerts: AlertSettings = AlertSettings()
    notify: NotifySettings = NotifySettings()
    stats: tuple[StatsSettings, ...] = ()
    sources: tuple[SourceSettings, ...] = ()
    #: Validated by the agent itself (``agent/config.py``); the hub only lets it pass.
    agent: dict[str, Any] = Field(default_factory=dict)
    #: Likewise of the dashboard (``dashboard/config.py``).
    dashboard: dict[str, Any] = Field(default_factory=dict)


__all__ = ["Secret", "Settings"]
