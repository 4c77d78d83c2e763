"""Turns samples and log records into messages of the contract, numbered, and puts them into the outbox."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agent.collectors.base import Sample
from wire.errors import OutboxFull
from wire.point import OUTBOX_MEASUREMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from wire.outgoing import Outbox
    from wire.point import Value
    from wire.topics import Topics

_LOG: Final = logging.getLogger("agent")
_SOURCE: Final = "iothub-agent"
#: Half of what a hub takes in one message unless its settings say otherwise.
_VALUES_PER_MESSAGE: Final = 500
_DECIMALS: Final = 4
_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Reporter:
    """The way out for everything the agent has to say about this host."""

    def __init__(self, outbox: Outbox, topics: Topics, node: str, clock_ms: Callable[[], int] | None = None) -> None:
        self._outbox = outbox
        self._topics = topics
        self._node = node
        #: Unix time in ms.
        self.clock_ms = clock_ms or now_ms
        #: Runs of collectors that were left out because the outbox was full.
        self.skipped = 0
        #: When the outbox refused a message, and what had been skipped and dropped by then; None when it takes all.
        self._full_since: tuple[int, int, int] | None = None

    def takes_samples(self) -> bool:
        """Whether a sample taken now would be kept; where it would not, the run is counted as skipped.

        Said once when that begins and, with what it cost, once when it is over.
        """
        if self._full_since is None:
            return True
        if self._outbox.full:
            self.skipped += 1
            return False
        (since_ms, skipped, dropped), self._full_since = self._full_since, None
        away_s = max(0.0, (self.clock_ms() - since_ms) / 1000)
        runs, messages = self.skipped - skipped, self._outbox.dropped - dropped
        text = f"the outbox has room again after {away_s:.0f} s and sampling goes on"
        self.log("warning", f"{text}; {runs} runs were skipped, {messages} messages not kept", skipped_runs=runs)
        return True

    def samples(self, samples: Iterable[Sample], ts_ms: int) -> int:
        """Publish samples of one tick, one message a measurement; how many messages."""
        by_measurement: dict[str, list[Sample]] = {}
        for sample in samples:
            if sample.values:
                by_measurement.setdefault(sample.measurement, []).append(sample)
        messages = 0
        for measurement, together in by_measurement.items():
            topic = self._topics.telemetry(self._node, measurement)
            for chunk in _chunks(together):
                messages += self._put(topic, partial(encode_samples, chunk, ts_ms), len(chunk))
        return messages

    def log(self, level: str, message: str, **fields: Value) -> None:
        """Publish a log record of this node, and log it here too; ``level`` is info, warning or error."""
        _LOG.log(_LEVELS[level], "%s", message)
        record: dict[str, Any] = {"ts": self.clock_ms(), "level": level, "source": _SOURCE, "message": message}
        if fields:
            record["fields"] = fields
        self._put(self._topics.log(self._node), lambda seq: msgspec.json.encode({**record, "seq": seq}))

    def tell_dropped(self) -> None:
        """Publish which sequence numbers were given up, if any were; called when messages get through again."""
        untold = self._outbox.untold
        if untold is None:
            return
        first, last = untold
        report = Sample(OUTBOX_MEASUREMENT, {"dropped_from": first, "dropped_to": last})
        topic = self._topics.telemetry(self._node, OUTBOX_MEASUREMENT)
        if self._put(topic, partial(encode_samples, [report], self.clock_ms()), tells=untold):
            text = (
                f"numbers {first} to {last} will not come: there was no room, or they were refused or confirmed before"
            )
            self.log("warning", text, dropped=last - first + 1)

    def _put(
        self, topic: str, encode: Callable[[int], bytes], count: int = 1, tells: tuple[int, int] | None = None
    ) -> bool:
        try:
            self._outbox.append(topic, encode, count, tells=tells)
        except OutboxFull as error:
            if self._full_since is None:
                _LOG.warning("%s; sampling pauses until there is room", error)
                self._full_since = (self.clock_ms(), self.skipped, self._outbox.dropped - 1)
            return False
        return True


def encode_samples(samples: list[Sample], ts_ms: int, first_seq: int) -> bytes:
    """One telemetry message: an object, or an array when there are several."""
    elements = [_element(sample, ts_ms, first_seq + offset) for offset, sample in enumerate(samples)]
    return msgspec.json.encode(elements[0] if len(elements) == 1 else elements)


def _element(sample: Sample, ts_ms: int, seq: int) -> dict[str, Any]:
    values = {
        name: round(value, _DECIMALS) if isinstance(value, float) else value for name, value in sample.values.items()
    }
    element: dict[str, Any] = {"ts": ts_ms, "values": values, "seq": seq}
    if sample.tags:
        element["tags"] = sample.tags
    return element


def _chunks(samples: list[Sample]) -> Iterator[list[Sample]]:
    chunk: list[Sample] = []
    values = 0
    for sample in samples:
        if chunk and values + len(sample.values) > _VALUES_PER_MESSAGE:
            yield chunk
            chunk, values = [], 0
        chunk.append(sample)
        values += len(sample.values)
    if chunk:
        yield chunk


def now_ms() -> int:
    """Unix time in ms."""
    return time.time_ns() // 1_000_000
