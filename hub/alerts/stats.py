"""Window statistics: who wants which, and what they are told, once a second.

[[stats]] of the settings ─▶ Windows ─▶ {root}/{node}/stats/{measurement}   {"ts": …, "window_s": 60, "series": [...]}
WS live, types: stats     ─▶    │    ─▶ live events
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Never

import msgspec
import structlog

from hub.link import LinkDown
from hub.live import SeriesStats, StatsEvent
from hub.rules.metric import matches, parse_metric
from hub.store.select import glob_matcher
from wire.errors import TopicError
from wire.messages import encode
from wire.point import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hub.alerts.clerk import Publishing
    from hub.config_alerts import StatsSettings
    from hub.live import Live
    from hub.rules.windows import Windows, WindowStats
    from wire.topics import Topics

_EVERY_S: Final = 1.0
_REMIND_S: Final = 60.0

_log = structlog.get_logger("hub.alerts")


class StatsMessage(msgspec.Struct, frozen=True):
    """Statistics of one measurement of one node over one window, up to its newest sample."""

    #: Unix ms.
    ts: int
    window_s: float
    series: tuple[SeriesStats, ...]


class Stats:
    """Publishes what is asked for.

    Args:
        windows: keeps the statistics.
        wanted: ``[[stats]]``: what goes out on topics.
        live: whoever looks on.
        link: where topics go out.
        topics: their topics.
    """

    def __init__(
        self, windows: Windows, wanted: Sequence[StatsSettings], live: Live, link: Publishing, topics: Topics
    ) -> None:
        self._windows = windows
        self._live = live
        self._link = link
        self._topics = topics
        self._wanted = [
            (glob_matcher(each.nodes), parse_metric(each.metric), int(each.window * NS_PER_S)) for each in wanted
        ]
        for each in wanted:
            windows.subscribe(each.nodes, each.metric, int(each.window * NS_PER_S))
        self._said_at = float("-inf")

    @contextmanager
    def wanted(self, node: str | None, measurement: str | None, over_s: float) -> Iterator[None]:
        """Keep the statistics of these series while somebody looks on; globs, None is all."""
        number = self._windows.subscribe(node or "*", f"{measurement or '*'}.*", int(over_s * NS_PER_S))
        try:
            yield
        finally:
            self._windows.unsubscribe(number)

    async def run(self, clock_ns: Callable[[], int]) -> Never:
        """Tell once a second, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.tell(clock_ns())

    async def tell(self, now_ns: int) -> None:
        """Tell what has changed since the last time."""
        found: dict[tuple[str, str, int], list[WindowStats]] = defaultdict(list)
        for one in self._windows.stats(now_ns):
            found[one.key.node, one.key.measurement, one.over_ns].append(one)
        for (node, measurement, over_ns), series in found.items():
            self._live.publish(StatsEvent(now_ns, node, measurement, over_ns / NS_PER_S, message(series).series))
            await asyncio.sleep(0)  # there may be thousands, and alerts do not wait for them
            public = [one for one in series if self._is_public(one)]
            if public:
                await self._publish(node, measurement, message(public))

    async def _publish(self, node: str, measurement: str, said: StatsMessage) -> None:
        try:
            topic = self._topics.stats(node, measurement)
        except TopicError:  # of a foreign source: no topic of ours can name it, and live subscribers have it
            return
        try:
            await self._link.publish(topic, encode(said), qos=0)
        except LinkDown as error:
            if time.monotonic() - self._said_at >= _REMIND_S:
                self._said_at = time.monotonic()
                _log.warning("statistics are not published while there is no broker", why=str(error))

    def _is_public(self, one: WindowStats) -> bool:
        return any(
            one.over_ns == over_ns
            and of_node(one.key.node)
            and matches(metric.measurement, one.key.measurement)
            and matches(metric.field, one.field)
            for of_node, metric, over_ns in self._wanted
        )


def message(series: Sequence[WindowStats]) -> StatsMessage:
    """The message about series of one node, measurement and window, at least one."""
    return StatsMessage(
        ts=max(one.at_ns for one in series) // NS_PER_MS,
        window_s=series[0].over_ns / NS_PER_S,
        series=tuple(
            SeriesStats(
                field=one.field,
                tags=dict(one.key.tags),
                count=one.count,
                mean=one.mean,
                min=one.min,
                max=one.max,
                sum=one.sum,
                last=one.last,
                stddev=one.stddev,
            )
            for one in series
        ),
    )
