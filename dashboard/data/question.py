"""What an analyst asks of Explore: kept in the address of the page, so that a link reproduces the view.

widgets ⇄ Question ⇄ query parameters of the page
               ├─▶ parameters of ``GET query``
               └─▶ the same as a curl line and as an ``iothub query`` line
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from dashboard.data.ranges import LAST_HOUR, Range, absolute, sound, step_for

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How a window becomes a point; the first keeps peaks and needs no step.
REDUCED: Final = "least and greatest"
AGGREGATES: Final = (REDUCED, "mean", "min", "max", "sum", "count", "stddev", "first", "last")
USUAL_STEP: Final = "1m"
_TAG: Final = "tag."

Params = dict[str, str | int | float | bool | None]


@dataclass(frozen=True)
class Question:
    """All that determines the answer."""

    measurement: str = ""
    fields: tuple[str, ...] = ()
    #: Empty: all.
    nodes: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    range: Range = LAST_HOUR
    fn: str = REDUCED
    #: Width of the windows, e.g. ``5m``; empty with :data:`REDUCED`.
    every: str = ""
    #: Fields on the right axis.
    second: tuple[str, ...] = ()
    compare: bool = False

    def step(self, points: int | None) -> str:
        """The width of the windows: as asked for, or wider where that were more than ``points`` points a series."""
        wanted = self.every or USUAL_STEP
        if points is None:
            return wanted
        start, stop = self.range.instants(datetime.now(UTC))
        return step_for(wanted, stop - start, points)

    def api(self, field: str, *, points: int | None) -> Params:
        """Parameters of one request, for at most ``points`` a series; None asks for all there are."""
        params: Params = {
            "measurement": literal(self.measurement),
            "field": literal(field),
            "nodes": ",".join(self.nodes) or None,
            "start": self.range.start,
            "stop": self.range.stop,
            **{_TAG + name: value for name, value in self.tags},
        }
        if self.fn != REDUCED:
            params |= {"every": self.step(points), "fn": self.fn}
        elif points is not None:
            params["points"] = points
        return params

    def requests(self, *, points: int | None) -> list[Params]:
        """One request a field, for all the nodes at once."""
        return [self.api(field, points=points) for field in self.fields]

    def page(self) -> dict[str, str | list[str]]:
        """As query parameters of the page."""
        shown: dict[str, str | list[str]] = {
            "m": self.measurement,
            "f": list(self.fields),
            "n": list(self.nodes),
            "from": self.range.start,
            "to": self.range.stop,
            "fn": self.fn if self.fn != REDUCED else "",
            "every": self.every,
            "second": list(self.second),
            "compare": "1" if self.compare else "",
            **{_TAG + name: value for name, value in self.tags},
        }
        return {name: value for name, value in shown.items() if value}

    def curl(self, api_url: str) -> list[str]:
        """The requests as lines for a shell; the token comes from the file of the command line."""
        lines = []
        for params in self.requests(points=2000):
            asked = urlencode({name: value for name, value in params.items() if value is not None})
            url = shlex.quote(f"{api_url}/api/v1/query?{asked}")
            lines.append(f'curl -H "Authorization: Bearer $(cat var/secrets/cli-token)" {url}')
        return lines

    def command(self) -> list[str]:
        """The requests as ``iothub query`` lines."""
        lines = []
        for field in self.fields:
            for node in self.nodes or (None,):
                words = ["iothub", "query", f"{self.measurement}.{field}"]
                words += ["--node", node] if node else []
                words += [word for name, value in self.tags for word in ("--tag", f"{name}={value}")]
                if self.range.stop == "now" and self.range.start.startswith("-"):
                    words += ["--last", self.range.start[1:]]
                else:
                    start, stop = self.range.instants(datetime.now(UTC))
                    words += ["--start", absolute(start, stop).start]
                    words += ["--stop", absolute(start, stop).stop] if self.range.stop != "now" else []
                words += ["--every", self.step(None), "--fn", self.fn] if self.fn != REDUCED else []
                lines.append(shlex.join(words))
        return lines


def from_page(given: Mapping[str, list[str]]) -> Question:
    """What a link says; whatever is missing or wrong takes its default."""

    def one(name: str, default: str = "") -> str:
        return (given.get(name) or [default])[-1]

    fn = one("fn", REDUCED)
    return Question(
        measurement=one("m"),
        fields=tuple(given.get("f", ())),
        nodes=tuple(given.get("n", ())),
        tags=tuple(sorted((name.removeprefix(_TAG), one(name)) for name in given if name.startswith(_TAG))),
        range=sound(one("from", "-1h"), one("to", "now")),
        fn=fn if fn in AGGREGATES else REDUCED,
        every=one("every"),
        second=tuple(given.get("second", ())),
        compare=one("compare") == "1",
    )


def literal(text: str) -> str:
    """A glob that matches ``text`` only."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)
