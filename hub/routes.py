"""Topic → what to do with its messages: worked out once a topic and kept in a bounded cache.

topic ─▶ [[sources]] of the settings, first match wins ─▶ format, node, measurement
     └─▶ contract topics below the root                ─▶ telemetry, log: format; status, cmd, reply, …: control
     └─▶ anything else                                 ─▶ refused, with the reason
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from wire.errors import Problem, Reason, SettingsError, TopicError
from wire.formats import FORMATS
from wire.formats.base import Context, Format, Limits, context
from wire.point import LOG_MEASUREMENT, OUTBOX_MEASUREMENT
from wire.topics import Address, Kind, Topics, check_name, check_node_id, levels, matches, overlap, without_covered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.config import SourceSettings

_LEVEL: Final = re.compile(r"\{(\d+)\}")


class Route(msgspec.Struct, gc=False):
    """How the messages of one topic are handled: decoded, handled as control messages, or refused."""

    #: Empty when the topic names no node.
    node: str
    #: Set for data.
    decode: Format | None = None
    context: Context | None = None
    #: Points of this topic are looked at one by one: it says what a node's outbox dropped.
    careful: bool = False
    #: What the broker says about itself.
    of_broker: bool = False
    #: Set for control messages.
    address: Address | None = None
    #: Set for topics that are refused.
    refusal: TopicError | None = None


class Routes:
    """The bounded cache. ``cache`` is what the hot path looks into first; ``find`` fills it.

    Two halves: when the newer one is full it becomes the older one, and what was in that goes, but for what was asked
    for again meanwhile. So topics that go on coming stay, at a cost that does not grow with their number.

    Args:
        topics: the contract's topics.
        limits: for the decoders.
        sources: topics of others, in order of precedence.
        size: topics kept at the most.

    Raises:
        SettingsError: see :func:`check_sources`.
    """

    def __init__(self, topics: Topics, limits: Limits, sources: Sequence[SourceSettings], size: int) -> None:
        self._topics = topics
        self._limits = limits
        self._sources = tuple(sources)
        #: Field names within the limits; what all messages look at stays near the processor.
        self._names: set[str] = set()
        self._half = max(size // 2, 1)
        self.cache: dict[str, Route] = {}
        self._older: dict[str, Route] = {}
        check_sources(sources, topics)

    def find(self, topic: str) -> Route:
        """The route of ``topic``; never raises for what a topic says."""
        route = self.cache.get(topic)
        if route is None:
            route = self._older.get(topic) or self._work_out(topic)
            if len(self.cache) >= self._half:
                self._older, self.cache = self.cache, {}
            self.cache[topic] = route
        return route

    def _work_out(self, topic: str) -> Route:
        try:
            return self._route(topic)
        except TopicError as error:
            return Route("", refusal=error)

    def _route(self, topic: str) -> Route:
        if topic.startswith("$SYS/"):
            return Route("", of_broker=True)
        for source in self._sources:
            if matches(source.filter, topic):
                node = check_node_id(_filled(source.node, topic))
                measurement = check_name(_filled(source.measurement, topic) or source.format, "measurement")
                return self._data(source.format, node, measurement)
        address = self._topics.parse(topic)
        if address.kind is Kind.TELEMETRY:
            return self._data("json", address.node, address.name)
        if address.kind is Kind.LOG:
            return self._data("log", address.node, LOG_MEASUREMENT)
        return Route(address.node, address=address)

    def _data(self, name: str, node: str, measurement: str) -> Route:
        of_outbox = measurement == OUTBOX_MEASUREMENT
        made = context(node, measurement, self._limits, self._names)
        return Route(node, decode=FORMATS[name], context=made, careful=of_outbox)


def subscriptions(sources: Sequence[SourceSettings], topics: Topics) -> list[str]:
    """The topic filters that bring the hub all it takes, each message once."""
    return without_covered([topics.every(), *(source.filter for source in sources)])


def check_sources(sources: Sequence[SourceSettings], topics: Topics) -> None:
    """Check what the settings' types cannot say.

    Raises:
        SettingsError: with one problem for each mistake: an unknown format, a level that the filter does not have, or
            filters of which a broker would deliver some messages twice.
    """
    problems = []
    for i, source in enumerate(sources):
        if source.format not in FORMATS:
            known = ", ".join(sorted(FORMATS))
            problems.append(
                Problem("settings", None, f"sources[{i}].format", source.format, f"is none of the formats {known}")
            )
        wanted = [int(n) for n in _LEVEL.findall(source.node + source.measurement)]
        have = len(levels(source.filter))
        open_ended = source.filter.endswith("#")
        problems += [
            Problem("settings", None, f"sources[{i}].filter", source.filter, f"has no level {n}; counted from 1")
            for n in wanted
            if n < 1 or (n > have and not open_ended)
        ]
        for key, template in (("node", source.node), ("measurement", source.measurement)):
            sample = _LEVEL.sub("x", template)
            try:
                check_node_id(sample) if key == "node" else check_name(sample or "x", key)
            except TopicError as error:
                problems.append(Problem("settings", None, f"sources[{i}].{key}", template, error.detail))
    problems += _overlaps(sources, topics)
    if problems:
        raise SettingsError(problems)


def _overlaps(sources: Sequence[SourceSettings], topics: Topics) -> list[Problem]:
    """Filters with some topics in common: Mosquitto delivers those twice, and they would be stored twice."""
    problems, kept = [], subscriptions(sources, topics)
    known = {topics.every(): "mqtt.root"}
    for i, source in enumerate(sources):
        if source.filter not in kept or source.filter in known:
            continue
        key = f"sources[{i}].filter"
        problems += [
            Problem(
                "settings", None, key, source.filter,
                f"matches some topics of {where} = {other!r}, but not all, so that they would be stored twice; "
                "choose filters that have no topic in common, or one that covers the other",
            )
            for other, where in known.items()
            if other in kept and overlap(source.filter, other)
        ]  # fmt: skip
        known[source.filter] = key
    return problems


def _filled(template: str, topic: str) -> str:
    parts = levels(topic)

    def level(found: re.Match[str]) -> str:
        n = int(found[1])
        if n > len(parts):
            raise TopicError(Reason.UNKNOWN_TOPIC, f"{topic[:120]!r} has no level {n}, which [[sources]] asks for")
        return parts[n - 1]

    return _LEVEL.sub(level, template)
