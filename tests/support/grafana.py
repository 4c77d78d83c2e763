"""Grafana's part in a query: variables and macros replaced as it replaces them.

Sources: Grafana's documentation, "Variable syntax" (formats ``raw``, ``regex``) and "Global variables"; its InfluxDB
data source, which replaces ``$timeFilter`` and ``$__interval`` in the text; its Prometheus data source, "Macros".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Json = dict[str, Any]
#: What a variable holds: one value, several, or All (None), which stands for what ``allValue`` says.
Chosen = str | list[str] | None

_SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}/]")
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)")


@dataclass(frozen=True)
class Range:
    """A time range, ms, and the step that Grafana finds for the width of a panel."""

    start_ms: int
    stop_ms: int
    step: str = "10s"


def panels(dashboard: Json) -> Iterator[Json]:
    """Panels that show something: all but the rows."""
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def variables(dashboard: Json) -> dict[str, Json]:
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def influxql(text: str, during: Range, chosen: Mapping[str, Chosen], known: Mapping[str, Json]) -> str:
    """The query as InfluxDB gets it."""
    text = with_variables(text, chosen, known)
    text = text.replace("$timeFilter", f"time >= {during.start_ms}ms and time <= {during.stop_ms}ms")
    text = text.replace("$__interval", during.step)
    assert "$" not in text.replace("$/", ""), f"something is left to replace: {text}"
    return text


def promql(text: str, during: Range) -> str:
    """The query as Prometheus gets it."""
    seconds = (during.stop_ms - during.start_ms) // 1000
    for macro, value in (("$__rate_interval", "1m"), ("$__range", f"{seconds}s"), ("$__interval", during.step)):
        text = text.replace(macro, value)
    assert "$" not in text, f"something is left to replace: {text}"
    return text


def with_variables(text: str, chosen: Mapping[str, Chosen], known: Mapping[str, Json]) -> str:
    """``${name:format}``, ``${name}`` and ``$name`` replaced where there is such a variable."""

    def replaced(found: re.Match[str]) -> str:
        name = found[1] or found[3]
        if name not in known:
            return found[0]
        return _formatted(chosen[name], found[2] or "", known[name])

    return _VARIABLE.sub(replaced, text)


def found_values(series: Sequence[Json]) -> list[str]:
    """What a variable offers of the answer to its query: the values of tags, or the first column."""
    values = []
    for each in series:
        column = 1 if each["columns"] == ["key", "value"] else 0
        values += [row[column] for row in each["values"]]
    return list(dict.fromkeys(values))


def _formatted(value: Chosen, how: str, variable: Json) -> str:
    if value is None:
        assert variable["includeAll"], f"{variable['name']} has no All"
        assert variable["allValue"], "tests know All as a value of its own only"
        return str(variable["allValue"])  # goes in as it is, whatever the format
    if how == "raw":
        assert isinstance(value, str), "several values as they are give {a,b}, which no query here can use"
        return value
    if how == "regex":
        if isinstance(value, str):
            return _escaped(value)
        return _escaped(value[0]) if len(value) == 1 else f"({'|'.join(map(_escaped, value))})"
    raise AssertionError(f"{variable['name']} is used without a format: what comes out depends on Grafana's version")


def _escaped(value: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", value)
