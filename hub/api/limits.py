"""How often somebody may try: to log in, to join, to use tokens that are not valid. Clock injected.

A bucket of attempts for each user and for each address.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_CAPACITY: Final = 10.0
_REFILL_PER_S: Final = 1 / 30
_MAX_BUCKETS: Final = 10_000
_IPV6_SITE_BITS: Final = 64


class LoginLimiter:
    """Ten failures at once, then one every 30 s, for each user name and for each address (IPv6: each /64).

    ``capacity`` and ``refill_per_s`` are other figures for it. Someone who guesses at a name from elsewhere can
    slow its owner down, but tokens that exist go on working.
    """

    def __init__(
        self, clock_s: Callable[[], float], *, capacity: float = _CAPACITY, refill_per_s: float = _REFILL_PER_S
    ) -> None:
        self._clock_s = clock_s
        self._capacity = capacity
        self._refill_per_s = refill_per_s
        #: Key → (attempts left, when that was true); the one touched longest ago goes first.
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def attempt(self, user: str, address: str) -> float:
        """Take one attempt; returns 0, or the seconds to wait when none was left (then none is taken)."""
        now_s = self._clock_s()
        keys = _keys(user, address)
        wait_s = max((1 - self._left(key, now_s)) / self._refill_per_s for key in keys)
        if wait_s > 0:
            return wait_s
        self._add(keys, now_s, -1)
        return 0.0

    def give_back(self, user: str, address: str) -> None:
        """Undo an :meth:`attempt` that succeeded."""
        self._add(_keys(user, address), self._clock_s(), 1)

    def _left(self, key: tuple[str, str], now_s: float) -> float:
        left, at_s = self._buckets.get(key, (self._capacity, now_s))
        return min(self._capacity, left + (now_s - at_s) * self._refill_per_s)

    def _add(self, keys: list[tuple[str, str]], now_s: float, change: float) -> None:
        for key in keys:
            self._buckets[key] = (min(self._capacity, self._left(key, now_s) + change), now_s)
            self._buckets.move_to_end(key)
        while len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)


def _keys(user: str, address: str) -> list[tuple[str, str]]:
    return [("user", user), ("address", _site(address))]


def _site(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(ip), _IPV6_SITE_BITS), strict=False))
    return str(ip)
