"""Who was turned away by the broker: read from what Mosquitto logs, counted and told.

    New connection from 10.0.0.7:50122 on port 8883.          remembered until the next two lines
    New client connected from 10.0.0.7:50122 as dev1 (…)      let in
    Client <unknown> disconnected, not authorised.            refused: credentials
    Client <unknown> disconnected due to protocol error.      refused: protocol (malformed, no MQTT)
    Client <unknown> disconnected: Protocol error.            refused: TLS (no or a bad certificate, too old)
    Client connection from 10.0.0.7 failed: error:0A00009C…   refused: TLS (not spoken at all)
    Client dev1 already connected, closing old connection.    takeover: same client id and account, twice

Mosquitto names no address in a refusal, so it is told from the connections that were not let in yet: exact when there
is one, else all that it can be. These lines come on ``$SYS/broker/log/#``.

With ``broker.record_denied``, ``hub/broker/sieve.py`` makes of the broker's level debug, and its log file has:

    Denied PUBLISH from dev1 (d0, q1, r0, m1, 'iot/v1/dev2/log', ... (1 bytes))
    Denied SUBSCRIBE from dev1 (q1, '#')
    Will from dev1 (u'dev1', 'iot/v1/dev2/status')            refused where dev1 may not publish that
    Denied PUBLISH: 4711 more                                 of a flood
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
KINDS: Final = ("credentials", "protocol", "tls", "size", "takeover", "publish", "subscribe", "will")
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
_STAMP: Final = re.compile(r"\d[\d:T-]+: ")
#: Looked for at the start only: the rest is what a client chose.
_NOT_ALLOWED: Final = re.compile(r"Denied (PUBLISH|SUBSCRIBE) from (.+?) \((?:d\d, )?q\d, (?:r\d, m\d+, )?'(.*)'")
_WILL: Final = re.compile(r"Will from (.+?) \(u'(.*?)', '(.*)'\)$")
_MORE: Final = re.compile(r"Denied (PUBLISH|SUBSCRIBE|WILL): (\d+) more$")

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
    #: Topic or filter that was refused to it; empty for other kinds.
    topic: str = ""


class Denials:
    """Takes log lines of the broker; never raises for what they say.

    Args:
        count: called with the kind of each denial.
        may_publish: whether an account may publish a topic; judges wills.
        clock_ns: wall clock.
    """

    def __init__(
        self,
        count: Callable[[str], None],
        *,
        may_publish: Callable[[str, str], bool] = lambda _user, _topic: True,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._count = count
        self.may_publish = may_publish
        self._clock_ns = clock_ns
        #: ``address:port`` of connections that have said nothing yet.
        self._pending: OrderedDict[str, None] = OrderedDict()
        self._told: dict[str, tuple[float, int]] = {}
        self._untold = dict.fromkeys(KINDS, 0)
        #: The newest ones, oldest first.
        self.newest: deque[Denial] = deque(maxlen=_KEPT)
        #: How many there were, of all kinds.
        self.seen = 0

    def observe_file(self, payload: bytes) -> None:
        """Take one line of the broker's log file: what a client was refused that had been let in."""
        line = payload.decode("utf-8", "replace")
        text = line[stamp.end() :] if (stamp := _STAMP.match(line)) else line
        if found := _NOT_ALLOWED.match(text):
            self._deny(found[1].lower(), found[2], (), text, found[3])
        elif found := _WILL.match(text):
            if not self.may_publish(found[2], found[3]):
                self._deny("will", found[1], (), text, found[3])
        elif found := _MORE.match(text):
            kind = found[1].lower()
            self._untold[kind] += int(found[2])
            for _ in range(int(found[2])):
                self._count(kind)

    def observe(self, payload: bytes) -> None:
        """Take one line of ``$SYS/broker/log``."""
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

    def _deny(self, kind: str, client: str, addresses: tuple[str, ...], line: str, topic: str = "") -> None:
        now_ns = self._clock_ns()
        text = line[stamp.end() :] if (stamp := _STAMP.match(line)) else line
        self.newest.append(Denial(now_ns, kind, client, addresses, text, topic))
        self.seen += 1
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
