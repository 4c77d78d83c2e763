"""What a collector is. One file a collector, one line each in the table of ``agent/collectors/__init__.py``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from wire.point import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Sample(msgspec.Struct, frozen=True):
    """Values of one measurement at the tick that made them."""

    measurement: str
    #: Field name with its unit at the end (``_bytes``, ``_percent``, ``_per_s``, ``_c``, ``_rpm``, ``_s``).
    values: dict[str, Value]
    tags: dict[str, str] = {}


class PartialError(Exception):
    """Some devices could be read and some could not; the samples are published and the text is reported."""

    def __init__(self, samples: list[Sample], problem: str) -> None:
        super().__init__(problem)
        self.samples = samples


class Collector(Protocol):
    """Reads one thing about this host.

    ``collect`` is called in a thread, never twice at once, at each tick; what it raises is reported once until it works
    again, and other collectors go on. It may block: that delays nobody else.
    """

    @property
    def name(self) -> str:
        """As in the settings, lower case."""
        ...

    @property
    def interval_s(self) -> float:
        """Seconds between ticks, unless the settings say otherwise."""
        ...

    def collect(self, now_s: float) -> list[Sample]:
        """Samples of now; ``now_s`` is monotonic. Rates need two ticks, so the first may give none.

        Raises:
            PartialError: with the samples that could be had.
            Exception: anything else; nothing could be read.
        """
        ...


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Whether ``name`` matches one of the shell globs."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def raise_if_partial(samples: list[Sample], problems: Sequence[str]) -> list[Sample]:
    """``samples``, or :class:`PartialError` when there were problems."""
    if problems:
        raise PartialError(samples, "; ".join(problems))
    return samples


def named_sensors(sensors: Sequence[Any]) -> list[tuple[str, Any]]:
    """Each sensor with a name of its own: its label, or its place in the list where that is empty or taken."""
    named: dict[str, Any] = {}
    for index, sensor in enumerate(sensors):
        name = sensor.label if sensor.label and sensor.label not in named else f"{sensor.label}{index}"
        named[name] = sensor
    return list(named.items())
