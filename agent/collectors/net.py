"""What each network interface receives and sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psutil

from agent.collectors.base import Sample, matches_any
from agent.rates import Rates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from wire.point import Value

#: The machine talking to itself: loopback, container ends, tunnels that nobody set up.
IGNORED_INTERFACES: Final = (
    "lo", "lo[0-9]*", "cali*", "dummy*", "gre0", "gretap0", "ifb*", "ip6tnl0", "ip_vti0", "sit0", "tunl0", "veth*",
)  # fmt: skip
#: Our field for each of psutil's, with what no interface exceeds a second.
_FIELDS: Final = {
    "bytes_recv": ("rx_bytes", 1e12),
    "bytes_sent": ("tx_bytes", 1e12),
    "packets_recv": ("rx_packets", 1e10),
    "packets_sent": ("tx_packets", 1e10),
    "errin": ("rx_errors", 1e10),
    "errout": ("tx_errors", 1e10),
    "dropin": ("rx_dropped", 1e10),
    "dropout": ("tx_dropped", 1e10),
}


class NetCollector:
    """``net``: rates each way, whether the link is up and how fast it is (tag ``interface``)."""

    name = "net"
    interval_s = 10.0

    def __init__(
        self,
        ignored_interfaces: Iterable[str] = IGNORED_INTERFACES,
        # nowrap off: psutil would take every counter that fell for one that wrapped
        read: Callable[[], Mapping[str, Any]] = lambda: psutil.net_io_counters(pernic=True, nowrap=False),
        read_links: Callable[[], Mapping[str, Any]] = psutil.net_if_stats,
    ) -> None:
        self._ignored = tuple(ignored_interfaces)
        self._read = read
        self._read_links = read_links
        self._rates = Rates(dict(_FIELDS.values()))

    def collect(self, now_s: float) -> list[Sample]:
        samples: list[Sample] = []
        links = self._read_links()
        interfaces = {name: c for name, c in self._read().items() if not matches_any(name, self._ignored)}
        for name, counters in interfaces.items():
            named = {ours: getattr(counters, theirs) for theirs, (ours, _most) in _FIELDS.items()}
            rates = self._rates.update(name, now_s, named) or {}
            values: dict[str, Value] = {f"{field}_per_s": rate for field, rate in rates.items()}
            if (link := links.get(name)) is not None:
                values["up"] = bool(link.isup)
                if link.speed > 0:
                    values["speed_bits_per_s"] = link.speed * 1_000_000
            if values:
                samples.append(Sample("net", values, {"interface": name}))
        self._rates.keep(interfaces)
        return samples
