from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from hub.ledger import Settled
from hub.metrics import Metrics
from hub.store.base import WriteResult
from tests.support.hotpath import status, telemetry
from tests.support.links import run
from tests.support.pipelines import Bench
from wire.errors import Reason
from wire.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def samples(metrics: Metrics) -> Mapping[tuple[str, str], float]:
    """Name and label values to value, as a scraper reads them."""
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def settled(**counts: int) -> Settled:
    return Settled(
        arrival_ns=0,
        received=Counter({"n1": counts["received"]}),
        stored=Counter({"n1": counts.get("stored", 0)}),
        duplicate=Counter({"n1": counts.get("duplicate", 0)}),
        handled=Counter({"n1": counts.get("handled", 0)}),
        refused=Counter({("n1", Reason.NOT_JSON): counts.get("refused", 0)}),
        values_refused=Counter({("n1", Reason.NOT_FINITE): counts.get("values", 0)}),
        sequences=[],
    )


def test_groups_add_up() -> None:
    metrics = Metrics()
    metrics.settled(settled(received=10, stored=4, duplicate=3, handled=2, refused=1, values=5), WriteResult(12), 0.02)
    metrics.settled(settled(received=1, stored=1), WriteResult(3), 20.0)
    found = samples(metrics)
    assert found["iothub_messages_received_total", ""] == 11
    assert {o: found["iothub_messages_total", o] for o in ("stored", "duplicate", "handled", "refused")} == {
        "stored": 5, "duplicate": 3, "handled": 2, "refused": 1,
    }  # fmt: skip
    assert found["iothub_refused_total", "not-json"] == 1
    assert found["iothub_values_refused_total", "not-finite"] == 5
    assert found["iothub_values_stored_total", ""] == 15
    assert found["iothub_ingest_latency_seconds_count", ""] == 2
    assert found["iothub_ingest_latency_seconds_bucket", "0.025"] == 1


def test_a_gauge_is_asked_at_each_scrape() -> None:
    metrics, figures = Metrics(), iter([1.5, 2.5])
    metrics.gauge("iothub_test", "A test", lambda: next(figures))
    assert [samples(metrics)["iothub_test", ""] for _ in range(2)] == [1.5, 2.5]


def test_the_version_is_told() -> None:
    assert samples(Metrics())["iothub_build_info", __version__] == 1


def test_two_hubs_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.type_clashes.inc()
    assert samples(first)["iothub_type_clashes_total", ""] == 1
    assert samples(second)["iothub_type_clashes_total", ""] == 0


def test_every_metric_says_what_it_is() -> None:
    assert all(family.documentation for family in text_string_to_metric_families(Metrics().text().decode()))


def test_what_ledger_and_rejects_hold_is_asked_at_each_scrape(tmp_path: Path) -> None:
    async def test() -> None:
        async with Bench(tmp_path) as bench:
            metrics = bench.rig.metrics
            metrics.books(bench.ledger, bench.rejects)
            birth = status("online", session="s")
            bench.link.deliver(
                birth, telemetry({"values": {"a": 1}, "seq": 1}), telemetry({"values": {"a": 1}, "seq": 4})
            )
            bench.link.deliver(telemetry(b"junk"))
            await bench.done(2)
            found = samples(metrics)
            assert found["iothub_missing_messages", ""] == 2
            assert found["iothub_rejects_kept", ""] == 1
            assert found["iothub_rejects_bytes", ""] > 4
            assert found["iothub_unaccounted_messages", ""] == 0

    run(test)


def test_requests_are_counted_by_their_status() -> None:
    metrics = Metrics()
    for code in (200, 200, 404):
        metrics.requested(code)
    found = metrics.text().decode()
    assert 'iothub_http_requests_total{status="200"} 2.0' in found
    assert 'iothub_http_requests_total{status="404"} 1.0' in found
