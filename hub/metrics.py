"""Prometheus metrics about the hub itself; counted once a group, never once a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from wire.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hub.ledger import Ledger, Settled
    from hub.rejects import Rejects
    from hub.store.base import WriteResult

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The hub's metrics, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's own gap
        self._registry = CollectorRegistry()
        registry = self._registry
        self.received = Counter("iothub_messages_received", "MQTT messages received", registry=registry)
        self.messages = Counter("iothub_messages", "Messages by what became of them", ["outcome"], registry=registry)
        self.refused = Counter("iothub_refused", "Refused messages by reason", ["reason"], registry=registry)
        self.values_refused = Counter(
            "iothub_values_refused", "Single values refused in stored messages", ["reason"], registry=registry
        )
        self.values_stored = Counter("iothub_values_stored", "Values newly stored", registry=registry)
        self.denied = Counter(
            "iothub_broker_denied", "Clients that the broker turned away, by why", ["kind"], registry=registry
        )
        self.type_clashes = Counter("iothub_type_clashes", "Series that met a value of another type", registry=registry)
        self.write_seconds = Histogram(
            "iothub_store_write_seconds", "Time of one durable write", buckets=_SECONDS, registry=registry
        )
        self.latency_seconds = Histogram(
            "iothub_ingest_latency_seconds",
            "Arrival of a group's first message to its acknowledgement",
            buckets=_SECONDS,
            registry=registry,
        )
        self.http_requests = Counter(
            "iothub_http_requests",
            "Requests at the HTTP API, by the status they were answered with",
            ["status"],
            registry=registry,
        )
        build = Gauge("iothub_build_info", "Version", ["version"], registry=registry)
        build.labels(__version__).set(1)

    def requested(self, status: int) -> None:
        """Count one HTTP request."""
        self.http_requests.labels(str(status)).inc()

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge whose value is asked for at each scrape."""
        Gauge(name, text, registry=self._registry).set_function(value)

    def gauge_of_each(self, name: str, text: str, label: str, values: Mapping[str, Callable[[], float]]) -> None:
        """Add a gauge with one label, and what to ask for each of its values at each scrape."""
        made = Gauge(name, text, [label], registry=self._registry)
        for of, value in values.items():
            made.labels(of).set_function(value)

    def books(self, ledger: Ledger, rejects: Rejects) -> None:
        """Add what the ledger and the dead-letter store hold; ``iothub_unaccounted_messages`` must stay 0."""
        self.gauge(
            "iothub_unaccounted_messages", "Received, and nobody said what became of them", _of(ledger, "unaccounted")
        )
        self.gauge("iothub_missing_messages", "Sequence numbers that never arrived, so far", _of(ledger, "missing"))
        self.gauge("iothub_late_messages", "Sequence numbers that were missing and came after all", _of(ledger, "late"))
        self.gauge("iothub_dropped_by_nodes", "Sequence numbers that nodes gave up", _of(ledger, "dropped_by_node"))
        self.gauge("iothub_repeated_messages", "Sequence numbers that came again", _of(ledger, "repeats"))
        self.gauge("iothub_rejects_kept", "Refused messages that wait for somebody", lambda: rejects.stats().kept)
        self.gauge("iothub_rejects_bytes", "What they and their records take", lambda: rejects.stats().size_bytes)
        self.gauge("iothub_rejects_evicted", "Refused messages that had to go unseen", lambda: rejects.stats().evicted)

    def settled(self, settled: Settled, result: WriteResult, latency_s: float) -> None:
        """Count one group."""
        self.received.inc(settled.received.total())
        for outcome, count in (
            ("stored", settled.stored.total()),
            ("duplicate", settled.duplicate.total()),
            ("handled", settled.handled.total()),
            ("refused", settled.refused.total()),
        ):
            self.messages.labels(outcome).inc(count)
        for (_, reason), count in settled.refused.items():
            self.refused.labels(reason).inc(count)
        for (_, reason), count in settled.values_refused.items():
            self.values_refused.labels(reason).inc(count)
        self.values_stored.inc(result.accepted)
        self.latency_seconds.observe(latency_s)

    def text(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self._registry)


def _of(ledger: Ledger, figure: str) -> Callable[[], float]:
    return lambda: float(getattr(ledger.totals(), figure))
