"""Rates from counters: right when a counter wraps, when it starts anew, and when ticks were missed. Pure.

A counter that fell has either wrapped (32-bit counters do so every 4 GiB) or started anew (reboot, interface made
again). What starts anew takes all its counters down together, while two of them wrapping in one tick is next to
impossible: one fallen counter of a group is a wrap, several are a new start. Past that only plausibility helps: an
increase that the device cannot have made is a new start too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_WIDTHS: Final = (32, 64)


def increase(previous: int, current: int, most: float) -> int | None:
    """By how much one counter grew, at most ``most``; None when it must have started anew."""
    if current >= previous:
        grown = current - previous
        return grown if grown <= most else None
    for bits in _WIDTHS:
        span = 1 << bits
        if previous < span and (wrapped := current + span - previous) <= most:
            return wrapped
    return None


def increases(
    previous: Mapping[str, int], current: Mapping[str, int], most: Mapping[str, float]
) -> dict[str, int] | None:
    """By how much the counters of one device grew; None when the device started anew.

    ``most``: the largest plausible increase of each counter.
    """
    known = [name for name in current if name in previous]
    if sum(current[name] < previous[name] for name in known) > 1:
        return None
    grown: dict[str, int] = {}
    for name in known:
        step = increase(previous[name], current[name], most[name])
        if step is None:
            return None
        grown[name] = step
    return grown


class Rates:
    """Per-second rates of the counters of many devices, from one call to the next.

    Args:
        most_per_s: what no device can exceed, for each counter.
    """

    def __init__(self, most_per_s: Mapping[str, float]) -> None:
        self._most_per_s = most_per_s
        self._last: dict[str, tuple[float, dict[str, int]]] = {}

    def update(self, device: str, now_s: float, counters: Mapping[str, int]) -> dict[str, float] | None:
        """Rates since the previous call, over the time that really passed (``now_s`` is monotonic).

        None at the first call for a device, after it started anew, and when no time has passed.
        """
        last = self._last.get(device)
        self._last[device] = (now_s, dict(counters))
        if last is None:
            return None
        last_s, previous = last
        elapsed_s = now_s - last_s
        if elapsed_s <= 0:
            return None
        most = {name: per_s * elapsed_s for name, per_s in self._most_per_s.items()}
        grown = increases(previous, counters, most)
        return None if grown is None else {name: step / elapsed_s for name, step in grown.items()}

    def keep(self, devices: Collection[str]) -> None:
        """Forget the devices that are gone, so that one that comes back starts anew."""
        for device in self._last.keys() - set(devices):
            del self._last[device]
