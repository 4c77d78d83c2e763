"""The widgets of **Explore**: a question as it came in the address, changed by whoever looks."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import fetch
from dashboard.data.question import AGGREGATES, REDUCED, Question
from dashboard.data.ranges import CUSTOM, PRESETS, Range, absolute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboard.client import Document

_STEPS = ("1s", "10s", "30s", "1m", "5m", "15m", "1h", "6h", "1d")


def what(asked: Question, known: dict[str, Document]) -> Question:
    """Measurement, fields, nodes and tags."""
    first, second, third = st.columns([2, 3, 3])
    names = list(known)
    measurement = first.selectbox(
        "Measurement", names, index=names.index(asked.measurement) if asked.measurement in known else _favourite(names)
    )
    about = known[measurement]
    fields = [one["field"] for one in about["fields"]]
    wanted = [field for field in asked.fields if field in fields] or _first_fields(about)
    chosen = second.multiselect("Fields", fields, default=wanted, key=f"fields {measurement}")
    everyone = [one["node"] for one in fetch.items("/nodes", slow=True)]
    nodes = third.multiselect(
        "Nodes",
        sorted({*everyone, *asked.nodes}),
        default=list(asked.nodes),
        placeholder=f"All that publish it ({about['nodes']})",
    )
    tags: list[tuple[str, str]] = []
    if about["tags"]:
        wanted_tags = dict(asked.tags)
        for column, tag in zip(st.columns(max(len(about["tags"]), 3)), about["tags"], strict=False):
            offered = ["", *tag["values"]]
            given = wanted_tags.get(tag["tag"], "")
            value = column.selectbox(
                tag["tag"],
                offered if given in offered else [*offered, given],
                index=offered.index(given) if given in offered else len(offered),
                format_func=lambda value: value or "all",
                key=f"tag {measurement} {tag['tag']}",
            )
            if value:
                tags.append((tag["tag"], value))
    return dataclasses.replace(
        asked, measurement=measurement, fields=tuple(chosen), nodes=tuple(nodes), tags=tuple(tags)
    )


def over(asked: Question) -> Question:
    """Range, aggregate, step, comparison and axes."""
    first, second, third, fourth = st.columns([2, 2, 2, 2])
    presets = [*PRESETS, CUSTOM]
    shown = next((name for name, start in PRESETS.items() if asked.range == Range(start)), CUSTOM)
    name = first.selectbox("Time range", presets, index=presets.index(shown))
    chosen = Range(PRESETS[name]) if name != CUSTOM else asked.range
    if name == CUSTOM:
        chosen = _own_range(chosen)
    fn = second.selectbox(
        "Each point is",
        AGGREGATES,
        index=AGGREGATES.index(asked.fn),
        help="Least and greatest keeps every peak. The others are one value for each step.",
    )
    every = ""
    if fn == REDUCED:
        third.selectbox("Step", ["automatic"])
    else:
        steps = list(dict.fromkeys([*_STEPS, *([asked.every] if asked.every else [])]))
        every = third.selectbox("Step", steps, index=steps.index(asked.every) if asked.every in steps else 3)
    right = fourth.multiselect(
        "On the right axis", list(asked.fields), default=[field for field in asked.second if field in asked.fields]
    )
    compare = st.toggle("Compare with the period before", value=asked.compare)
    return dataclasses.replace(asked, range=chosen, fn=fn, every=every, second=tuple(right), compare=compare)


def _own_range(asked: Range) -> Range:
    now = datetime.now(UTC)
    try:
        start, stop = asked.instants(now)
    except ValueError:
        start, stop = Range("-1h").instants(now)
    left, right = st.columns(2)
    # They know whole minutes only: what nobody changed stays as it was, to the millisecond.
    shown = [end.replace(tzinfo=None, second=0, microsecond=0) for end in (start, stop)]
    begin = left.datetime_input("From (UTC)", value=shown[0], format="YYYY-MM-DD", step=60)
    end = right.datetime_input("To (UTC)", value=shown[1], format="YYYY-MM-DD", step=60)
    if [begin, end] == shown:
        return asked
    return absolute(
        start if begin == shown[0] else begin.replace(tzinfo=UTC), stop if end == shown[1] else end.replace(tzinfo=UTC)
    )


def _favourite(names: Sequence[str]) -> int:
    """What most hosts have, before what merely comes first in the alphabet."""
    return names.index("cpu") if "cpu" in names else 0


def _first_fields(about: Document) -> list[str]:
    fields = [one["field"] for one in about["fields"]]
    numbers = [one["field"] for one in about["fields"] if one["kind"] == "number"]
    for usual in ("usage", "used_percent", "temperature", "value"):
        if usual in fields:
            return [usual]
    return (numbers or fields)[:1]
