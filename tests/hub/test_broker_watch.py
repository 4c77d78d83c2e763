from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from hub.broker_watch import TOPICS, BrokerWatch
from hub.metrics import Metrics

DROPPED, HELD, BYTES = TOPICS


def watched(*figures: bytes) -> tuple[BrokerWatch, list[int]]:
    """A watch that was told these numbers of dropped messages, and by how many more it said each time."""
    watch = BrokerWatch(Metrics())
    with capture_logs() as logs:
        for figure in figures:
            watch.observe(DROPPED, figure)
    return watch, [entry["dropped"] for entry in logs]


@pytest.mark.parametrize(
    ("figures", "dropped", "said"),
    [
        ((), None, []),
        ((b"70",), 0, []),
        ((b"70", b"70", b"75"), 5, [5]),
        ((b"0", b"2", b"2", b"9"), 9, [2, 7]),
        ((b"70", b"75", b"0", b"3"), 3, [5, 3]),
        ((b"70", b"nonsense", b"-3", b"71"), 1, [1]),
    ],
)
def test_what_the_broker_drops_is_counted_from_the_start_of_the_hub_and_said(
    figures: tuple[bytes, ...], dropped: int | None, said: list[int]
) -> None:
    watch, told = watched(*figures)
    assert (watch.dropped, told) == (dropped, said)


def test_what_the_broker_holds_is_known_and_a_metric() -> None:
    metrics = Metrics()
    watch = BrokerWatch(metrics)
    watch.observe(HELD, b"12")
    watch.observe(BYTES, b"3400")
    watch.observe("$SYS/broker/uptime", b"77")
    assert (watch.held, watch.held_bytes, watch.dropped) == (12, 3400, None)
    text = metrics.text().decode()
    assert "iothub_broker_held_messages 12.0" in text
    assert "iothub_broker_held_bytes 3400.0" in text
    assert "iothub_broker_dropped_messages 0.0" in text
