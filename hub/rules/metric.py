"""``measurement.field``, what a rule watches, and how a series is found to be meant."""

from __future__ import annotations

import re
from typing import NamedTuple

from hub.store.select import glob_matcher

_WILD = frozenset("*?[")


class Metric(NamedTuple):
    """A measurement and a field, each a name or a shell glob. Fields of nested values have dots of their own."""

    measurement: str
    field: str

    def __str__(self) -> str:
        return f"{self.measurement}.{self.field}"


def parse_metric(text: str) -> Metric:
    """Split at the first dot.

    Raises:
        ValueError: there is none, or nothing on one side of it.
    """
    measurement, _, field = text.partition(".")
    if not measurement or not field or re.search(r"[/+#\x00-\x1f]", measurement):
        raise ValueError("must be measurement.field, such as cpu.usage or room*.temperature")
    return Metric(measurement, field)


def is_glob(text: str) -> bool:
    """Whether ``text`` can match more than itself."""
    return not _WILD.isdisjoint(text)


def matches(glob: str, text: str) -> bool:
    """Whether ``text`` matches; ``*`` leaves names that begin with ``$`` alone, as MQTT's wildcards do."""
    if text.startswith("$") and not glob.startswith("$"):
        return False
    return glob_matcher(glob)(text)
