"""What a Mosquitto that logs at its level debug says, without what every message causes: the refusals stay.

    Denied PUBLISH from n1 (d0, q1, r0, m1, 'iot/v1/n2/log', ... (1 bytes))     kept as it is

    Received SUBSCRIBE from n1                                                  remembered
            iot/v1/n2/cmd/+ (QoS 1)                                             asked for
    n1 1 iot/v1/n1/cmd/+                                                        granted (log type subscribe)
    Sending SUBACK to n1                                                        asked and not granted: told as
                                                                                Denied SUBSCRIBE from n1 (q1, '#')
    New client connected from 10.0.0.7:50122 as n1 (p5, c0, k60, u'n1').        kept, remembered
    Will message specified (6 bytes) (r1, q1).
            iot/v1/n2/status                                                    told as
                                                                                Will from n1 (u'n1', 'iot/v1/n2/status')

Mosquitto has one thread: lines of one packet stand together. It says nothing of a will that it does not publish, so
that whoever reads this judges (``hub/broker/wills.py``). Lines come without a time and get it here: that makes up more
than half of what they cost the broker.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: What each message, ping and acknowledgement says; out before anything else looks at it.
_NOISE: Final = re.compile(
    rb"^(?:Received (?!SUBSCRIBE)|Sending (?!SUBACK)|No will message specified)[^\n]*\n?", re.MULTILINE
)
_CONNECTED: Final = re.compile(r"New client connected from \S+ as (.+) \(p\d, .*u'(.*)'\)\.$")
_ASKED: Final = re.compile(r"\t(.*) \(QoS (\d)\)$")
_ASKING: Final = "Received SUBSCRIBE from "
_ANSWERED: Final = "Sending SUBACK to "
_WILL: Final = "Will message specified "
_DENIED: Final = re.compile(r"Denied (PUBLISH|SUBSCRIBE) from |(Will) from ")
#: Refusals told in one second; of those beyond, only how many there were.
_A_SECOND: Final = 50


class Sieve:
    """Takes pieces of the log, gives the lines that stay, each with its time.

    Args:
        root: of the topics; a node's will on its own status is as it should be, and not told.
        clock: seconds since 1970.
    """

    def __init__(self, root: str, clock: Callable[[], float] = time.time) -> None:
        self._root = root
        self._clock = clock
        self._client = self._user = ""
        self._asking: str | None = None
        #: Filters of the SUBSCRIBE that is being answered, with their QoS.
        self._asked: dict[str, str] = {}
        self._expect_will = False
        self._second = 0
        self._told = 0
        self._untold: dict[str, int] = {}

    def __call__(self, piece: bytes) -> list[bytes]:
        """The lines to keep of ``piece``, which is whole lines."""
        now_s = int(self._clock())
        kept = self._left_out(now_s)
        for line in _NOISE.sub(b"", piece).split(b"\n"):
            if line:
                kept += self._passed(line.decode("utf-8", "replace"))
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S: ", time.localtime(now_s))
        return [(stamp + line).encode() for line in kept]

    def _passed(self, line: str) -> list[str]:
        if line.startswith(_ASKING):
            self._asking, self._asked = line.removeprefix(_ASKING), {}
            return []
        if line.startswith(_WILL):
            self._expect_will = True
            return []
        if line.startswith("\t"):
            return self._indented(line)
        if line.startswith(_ANSWERED):
            client, refused = self._asking, self._asked
            self._asking, self._asked = None, {}
            return self._bounded([f"Denied SUBSCRIBE from {client} (q{q}, '{f}')" for f, q in refused.items()])
        if self._asking is not None and line.startswith(f"{self._asking} "):
            qos, _, topic_filter = line.removeprefix(f"{self._asking} ").partition(" ")
            if qos.isdigit():
                self._asked.pop(topic_filter, None)
                return []
        if found := _CONNECTED.match(line):
            self._client, self._user = found[1], found[2]
        return self._bounded([line]) if _DENIED.match(line) else [line]

    def _indented(self, line: str) -> list[str]:
        if self._expect_will:
            self._expect_will = False
            if line[1:] == f"{self._root}/{self._user}/status":
                return []
            return self._bounded([f"Will from {self._client} (u'{self._user}', '{line[1:]}')"])
        if found := _ASKED.match(line):
            self._asked[found[1]] = found[2]
        return []

    def _bounded(self, lines: list[str]) -> list[str]:
        room = max(0, _A_SECOND - self._told)
        self._told += len(lines)
        for line in lines[room:]:
            if found := _DENIED.match(line):
                kind = found[1] or found[2].upper()
                self._untold[kind] = self._untold.get(kind, 0) + 1
        return lines[:room]

    def _left_out(self, now_s: int) -> list[str]:
        """What the seconds before had too much of."""
        if now_s == self._second:
            return []
        self._second, self._told = now_s, 0
        untold, self._untold = self._untold, {}
        return [f"Denied {kind}: {count} more" for kind, count in untold.items()]
