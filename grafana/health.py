"""Hub health: rates, the ledger, latency, the broker; all of it from the hub's ``/metrics``, through Prometheus."""

from __future__ import annotations

from typing import Final

from grafana.dashboard import Dashboard, Row
from grafana.model import Prom
from grafana.panels import GREEN_RED, RED_GREEN, lines, stat, value_texts


def _rate(metric: str, by: str = "") -> str:
    return f"sum{f' by ({by})' if by else ''} (rate({metric}[$__rate_interval]))"


def _quantiles(metric: str) -> tuple[Prom, ...]:
    return tuple(
        Prom(f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket[$__rate_interval])))", f"p{share * 100:g}")
        for share in (0.5, 0.95, 0.99)
    )


HEALTH: Final = Dashboard(
    "health",
    "iothub: hub health",
    "What the hub says about itself at /metrics.",
    version=1,
    start="now-3h",
    rows=(
        Row(
            "Now",
            (
                stat(
                    "Broker link",
                    Prom("min(iothub_link_up)"),
                    thresholds=RED_GREEN,
                    mappings=(value_texts({"0": ("down", "red"), "1": ("up", "green")}),),
                ),
                stat(
                    "Subscribed",
                    Prom("min(iothub_link_subscribed)"),
                    thresholds=RED_GREEN,
                    mappings=(value_texts({"0": ("no", "red"), "1": ("yes", "green")}),),
                ),
                stat("Connections made", Prom("sum(iothub_link_connects)"), thresholds=((None, "blue"),)),
                stat(
                    "Since data was stored",
                    Prom("time() - max(iothub_last_stored_timestamp_seconds)"),
                    unit="s",
                    thresholds=((None, "green"), (60, "orange"), (300, "red")),
                ),
                stat(
                    "Dropped by the broker",
                    Prom("sum(iothub_broker_dropped_messages)"),
                    description="Since the hub started. Raise broker.max_queued_messages, and look for clients that do "
                    "not keep up.",
                    thresholds=GREEN_RED,
                ),
                stat(
                    "Version", Prom("max by (version) (iothub_build_info)", "{{version}}"), thresholds=((None, "blue"),)
                ),
            ),
        ),
        Row(
            "Ledger: received = stored + duplicate + handled + refused",
            (
                lines("Received", Prom(_rate("iothub_messages_received_total"), "received"), unit="ops"),
                lines(
                    "What became of them",
                    Prom(_rate("iothub_messages_total", "outcome"), "{{outcome}}"),
                    unit="ops",
                    stacked=True,
                ),
                lines(
                    "Refused messages by reason",
                    Prom(_rate("iothub_refused_total", "reason"), "{{reason}}"),
                    description="What each reason means: docs/payloads.md; the messages: `iothub rejects list`.",
                    unit="ops",
                    stacked=True,
                ),
                lines(
                    "Refused values by reason",
                    Prom(_rate("iothub_values_refused_total", "reason"), "{{reason}}"),
                    description="Single values of messages that were stored otherwise.",
                    unit="ops",
                    stacked=True,
                ),
                stat(
                    "Not accounted for",
                    Prom("sum(iothub_unaccounted_messages)"),
                    description="Received, and nobody said what became of them. Anything but 0 is a fault: please "
                    "report it.",
                    thresholds=GREEN_RED,
                ),
                stat(
                    "Missing",
                    Prom("sum(iothub_missing_messages)"),
                    description="Sequence numbers of nodes that never arrived; `iothub ledger` says whose.",
                    thresholds=((None, "green"), (1, "orange")),
                ),
                stat(
                    "Given up by nodes",
                    Prom("sum(iothub_dropped_by_nodes)"),
                    description="Their outbox was full, or what was in it was refused.",
                    thresholds=((None, "green"), (1, "orange")),
                ),
                stat(
                    "Rejects that wait",
                    Prom("sum(iothub_rejects_kept)"),
                    description="Refused messages that nobody has looked at: `iothub rejects list`.",
                    thresholds=((None, "green"), (1, "orange")),
                ),
                stat(
                    "Series that met another type",
                    Prom("sum(increase(iothub_type_clashes_total[$__range]))", instant=True),
                    thresholds=((None, "green"), (1, "orange")),
                ),
            ),
        ),
        Row(
            "Latency and load",
            (
                lines(
                    "Arrival to acknowledgement",
                    *_quantiles("iothub_ingest_latency_seconds"),
                    description="Of the first message of each group: it is stored durably when it is acknowledged.",
                    unit="s",
                ),
                lines("One write to the store", *_quantiles("iothub_store_write_seconds"), unit="s"),
                lines("Values stored", Prom(_rate("iothub_values_stored_total"), "values"), unit="ops"),
                lines(
                    "In flight",
                    Prom("sum(iothub_in_flight_messages)", "messages"),
                    description="Read and not yet acknowledged; at ingest.max_in_flight_messages no more is read.",
                ),
                lines(
                    "Spooled",
                    Prom("sum by (store) (iothub_spool_bytes)", "{{store}}"),
                    description="On disk until the database takes it; at spool.max_bytes no more is acknowledged.",
                    unit="bytes",
                ),
                lines(
                    "Spooled, as time",
                    Prom("max by (store) (iothub_spool_hours)", "{{store}}"),
                    unit="h",
                ),
                lines("Held by the broker", Prom("sum(iothub_broker_held_messages)", "messages")),
                lines("Held by the broker, bytes", Prom("sum(iothub_broker_held_bytes)", "bytes"), unit="bytes"),
                lines(
                    "Nodes",
                    Prom("sum by (state) (iothub_nodes_by_state)", "{{state}}"),
                    stacked=True,
                    width=24,
                ),
            ),
        ),
    ),
)
