from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from hub.broker_watch import TOPICS, BrokerWatch, SeenFile
from hub.metrics import Metrics

if TYPE_CHECKING:
    from pathlib import Path

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
        ((b"70", b"75", b"0", b"3"), 8, [5, 3]),
        ((b"70", b"nonsense", b"-3", b"71"), 1, [1]),
    ],
)
def test_what_the_broker_drops_is_counted_from_the_start_of_the_hub_and_said(
    figures: tuple[bytes, ...], dropped: int | None, said: list[int]
) -> None:
    watch, told = watched(*figures)
    assert (watch.dropped, told) == (dropped, said)


def test_what_it_dropped_while_no_hub_looked_is_said_by_the_next_one(tmp_path: Path) -> None:
    def starts(broker: str, figure: bytes) -> int | None:
        seen = SeenFile(tmp_path / "seen.json", broker)
        watch = BrokerWatch(Metrics(), seen=seen.read(), remember=seen.write)
        watch.observe(DROPPED, figure)
        return watch.dropped

    assert starts("one", b"70") == 0
    assert starts("one", b"75") == 5
    assert starts("one", b"75") == 0
    assert starts("one", b"3") == 3, "the broker was restarted in between"
    assert starts("two", b"1000") == 0


def test_a_seen_file_that_is_damaged_or_cannot_be_written_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "seen.json").write_text("{")
    assert SeenFile(tmp_path / "seen.json", "one").read() is None
    SeenFile(tmp_path / "missing" / "seen.json", "one").write(3)


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
