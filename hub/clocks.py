"""How far the clocks of the nodes are from ours, as far as arrival times tell. Pure; the caller has the clock.

A sample arrives some time after it was taken: ``arrival - ts = delay - offset``, where ``offset`` is how far the node's
clock is ahead of ours and the delay is never negative. The least difference of some minutes is therefore close to the
offset when at least one sample came at once; a node that only delivers a backlog looks as if its clock were behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wire.point import Point

#: Differences are kept for one to two of these.
_WINDOW_NS: Final = 150 * NS_PER_S


class Clocks:
    """Least difference of each node over the last minutes; two numbers a node."""

    def __init__(self) -> None:
        self._now: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._turn_ns = 0

    def observe(self, newest: Mapping[str, int], points: Sequence[Point], arrival_ns: int) -> None:
        """Take the newest message of each node of a group.

        Args:
            newest: node → index in ``points`` just past its last point.
            points: all points of the group.
            arrival_ns: when the group arrived.
        """
        self._turn(arrival_ns)
        least = self._now
        for node, end in newest.items():
            difference = arrival_ns - points[end - 1].ts_ns
            known = least.get(node)
            if known is None or difference < known:
                least[node] = difference

    def observe_one(self, node: str, ts_ns: int, arrival_ns: int) -> None:
        """Take one sample, such as one that was refused for its time."""
        self._turn(arrival_ns)
        self._now[node] = min(arrival_ns - ts_ns, self._now.get(node, arrival_ns - ts_ns))

    def offset_s(self, node: str) -> float | None:
        """Seconds that the node's clock is ahead of ours (negative: behind); None when nothing came lately."""
        found = [least[node] for least in (self._now, self._before) if node in least]
        return -min(found) / NS_PER_S if found else None

    def _turn(self, now_ns: int) -> None:
        if not 0 <= now_ns - self._turn_ns < _WINDOW_NS:  # or our clock was set back
            self._now, self._before = {}, self._now
            self._turn_ns = now_ns
