"""Parts of the hub made from its settings; they open nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import URL

from hub.broker.credentials import password_of
from hub.broker_watch import BrokerWatch, SeenFile
from hub.config import BrokerMode
from hub.guard import GuardLimits
from hub.link import LinkOptions, Will
from hub.link_options import tls_of
from hub.subscriptions import Subscriptions
from wire.formats.base import Limits
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from hub.config import Settings
    from hub.metrics import Metrics
    from hub.paths import StatePaths
    from wire.settings import MqttSettings


def registry_url(settings: Settings, paths: StatePaths) -> str | URL:
    """Where the registry is: what the settings say, or SQLite in the state directory."""
    return settings.nodes.database_url or URL.create("sqlite", database=str(paths.registry))


def watch_of(settings: Settings, paths: StatePaths, mqtt: MqttSettings, metrics: Metrics) -> BrokerWatch:
    """The watch on the broker's own figures, with what it saw last."""
    seen = SeenFile(paths.broker_seen, _broker(settings, mqtt.host, mqtt.port))
    managed = settings.broker.mode is BrokerMode.MANAGED
    room = settings.broker.max_queued_messages if managed else None
    return BrokerWatch(metrics, seen=seen.read(), remember=seen.write, room=room)


def limits(settings: Settings) -> Limits:
    """What one message may hold."""
    bounds = settings.limits
    return Limits(
        payload_bytes=bounds.payload_bytes,
        values_per_message=bounds.values_per_message,
        depth=bounds.depth,
        key_bytes=bounds.key_bytes,
        text_bytes=bounds.text_bytes,
        tag_bytes=bounds.tag_bytes,
    )


def guard_limits(settings: Settings) -> GuardLimits:
    """What the guard goes by."""
    return GuardLimits(
        series_per_node=settings.limits.series_per_node,
        future_ns=int(settings.limits.future * NS_PER_S),
        past_ns=int(settings.store.retention.raw * NS_PER_S),
    )


def link_options(settings: Settings, mqtt: MqttSettings, will: Will) -> LinkOptions:
    """How the link connects, and how much it holds."""
    ingest = settings.ingest
    return LinkOptions(
        host=mqtt.host,
        port=mqtt.port,
        client_id=mqtt.client_id or f"iothub-{settings.hub.id}",
        username=mqtt.username,
        password=password_of(mqtt),
        keep_alive_s=mqtt.keep_alive_s,
        receive_max=ingest.receive_max,
        session_expiry_s=int(ingest.session_expiry),
        tls=tls_of(mqtt),
        will=will,
        max_in_flight_messages=ingest.max_in_flight_messages,
        max_in_flight_bytes=ingest.max_in_flight_bytes,
    )


def subscribed(settings: Settings, paths: StatePaths, options: LinkOptions) -> Subscriptions:
    """What the session of these options subscribed to last."""
    return Subscriptions(paths.subscribed, f"{options.client_id} at {_broker(settings, options.host, options.port)}")


def manages_accounts(settings: Settings, paths: StatePaths) -> bool:
    """Whether the broker's accounts are ours to change."""
    return settings.broker.mode is BrokerMode.MANAGED or (paths.secrets / "mqtt-admin").exists()


def _broker(settings: Settings, host: str, port: int) -> str:
    """Which broker it is; ours may have another port at each start."""
    return "managed" if settings.broker.mode is BrokerMode.MANAGED else f"{host}:{port}"
