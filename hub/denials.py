"""Who was turned away by the broker: read from what Mosquitto logs on ``$SYS/broker/log/#``, counted and told.

    New connection from 10.0.0.7:50122 on port 8883.          remembered until the next two lines
    New client connected from 10.0.0.7:50122 as dev1 (…)      let in
    Client <unknown> disconnected, not authorised.            refused: credentials
    Client <unknown> disconnected due to protocol error.      refused: protocol (malformed, no MQTT)
    Client <unknown> disconnected: Protocol error.            refused: TLS (no or a bad certificate, too old)
    Client connection from 10.0.0.7 failed: error:0A00009C…   refused: TLS (not spoken at all)
    Client dev1 already connected, closing old connection.    takeover: same client id and account, twice

Mosquitto names no address in a refusal, so it is told from the connections that were not let in yet: exact when there
is one, else all that it can be. What an account may not publish or subscribe to is answered to the client (0x87) and
not logged at a level that a busy broker can bear.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

#: Levels notice, warning and error, to subscribe to.
TOPICS: Final = ("$SYS/broker/log/N", "$SYS/broker/log/W", "$SYS/broker/log/E")
#: Why somebody was turned away.
KINDS: Final = ("credentials", "protocol", "tls", "size", "takeover")
_KEPT: Final = 1000
#: Connections that neither got in nor went: more are of a flood, and the oldest are forgotten.
_MOST_PENDING: Final = 1000
_SHOWN_ADDRESSES: Final = 5
#: Of one kind: told so often at once, and then once in so many seconds, with the number left out.
_TOLD_AT_ONCE: Final = 20
_TOLD_EVERY_S: Final = 60.0

_ARRIVED: Final = re.compile(r"New connection from (\S+?):(\d+) on port")
_LET_IN: Final = re.compile(r"New client connected from (\S+?):(\d+) as (\S+)")
_REFUSED: Final = re.compile(r"Client (.+?) disconnected(?:, | due to |: )(.+?)\.?$")
_NO_TLS: Final = re.compile(r"Client connection from (\S+) failed: ")
_TAKEN_OVER: Final = re.compile(r"Client (.+) already connected, closing old connection")
_WENT: Final = re.compile(r"Client <unknown> (?:closed its connection|has exceeded timeout)")
_UNKNOWN: Final = "<unknown>"

_log = structlog.get_logger("hub.broker")


@dataclass(frozen=True, slots=True)
class Denial:
    """One who was turned away."""

    at_ns: int
    #: One of :data:`KINDS`.
    kind: str
    #: Client id where it is known; empty otherwise.
    client: str
    #: Where it came from, or may have come from; newest last.
    addresses: tuple[str, ...]
    #: Mosquitto's words.
    text: str


class Denials:
    """Takes log lines of the broker; never raises for what they say.

    Args:
        count: called with the kind of each denial.
        clock_ns: wall clock.
    """

    def __init__(self, count: Callable[[str], None], *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._count = count
        self._clock_ns = clock_ns
        #: ``address:port`` of connections that have said nothing yet.
        self._pending: OrderedDict[str, None] = OrderedDict()
        self._told: dict[str, tuple[float, int]] = {}
        self._untold = dict.fromkeys(KINDS, 0)
        #: The newest ones, oldest first.
        self.newest: deque[Denial] = deque(maxlen=_KEPT)

    def observe(self, payload: bytes) -> None:
        """Take one line."""
        line = payload.decode("utf-8", "replace")
        if found := _ARRIVED.search(line):
            self._pending[f"{found[1]}:{found[2]}"] = None
            if len(self._pending) > _MOST_PENDING:
                self._pending.popitem(last=False)
        elif found := _LET_IN.search(line):
            self._pending.pop(f"{found[1]}:{found[2]}", None)
        elif _WENT.search(line) and self._pending:
            self._pending.popitem(last=False)
        elif found := _NO_TLS.search(line):
            self._deny("tls", "", (found[1],), line)
        elif found := _TAKEN_OVER.search(line):
            self._deny("takeover", found[1], (), line)
        elif found := _REFUSED.search(line):
            self._refused(found[1], "TLS" if ": Protocol error" in line else found[2], line)

    def _refused(self, client: str, why: str, line: str) -> None:
        kind = _kind(why)
        if kind is None:
            return
        addresses: tuple[str, ...] = ()
        if client == _UNKNOWN:
            addresses = tuple(self._pending)[-_SHOWN_ADDRESSES:]
            if len(self._pending) == 1:
                self._pending.clear()
            client = ""
        self._deny(kind, client, addresses, line)

    def _deny(self, kind: str, client: str, addresses: tuple[str, ...], line: str) -> None:
        now_ns = self._clock_ns()
        text = line.partition(": ")[2] or line
        self.newest.append(Denial(now_ns, kind, client, addresses, text))
        self._count(kind)
        since_s, told = self._told.get(kind, (0.0, 0))
        now_s = now_ns / 1e9
        if now_s - since_s >= _TOLD_EVERY_S or now_s < since_s:
            since_s, told = now_s, 0
        self._told[kind] = (since_s, told + 1)
        if told >= _TOLD_AT_ONCE:
            self._untold[kind] += 1
            return
        left_out, self._untold[kind] = self._untold[kind], 0
        more = {"left_out": left_out} if left_out else {}
        # The owner of an account whose connection is half open takes itself over when it comes back.
        tell = _log.info if kind == "takeover" else _log.warning
        tell("turned away by the broker", kind=kind, client=client, addresses=addresses, text=text, **more)


def _kind(why: str) -> str | None:
    """What Mosquitto's reason means; None for ends that nobody was turned away by."""
    match why.lower():
        case "not authorised" | "not authorized":
            return "credentials"
        case "tls":
            return "tls"
        case "protocol error" | "malformed packet":
            return "protocol"
        case "packet too large" | "oversize packet":
            return "size"
    return None
