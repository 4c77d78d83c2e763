"""The widgets of **Explore**: a question as it came in the address, changed by whoever looks."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import fetch
from dashboard.data.question import AGGREGATES, REDUCED, USUAL_STEP, Question
from dashboard.data.ranges import CUSTOM, PRESETS, STEPS, Range, absolute
from dashboard.frame import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamlit.delta_generator import DeltaGenerator

    from dashboard.address import Address
    from dashboard.client import Document


def what(asked: Question, known: dict[str, Document], address: Address) -> Question:
    """Measurement, fields, nodes and tags."""
    first, second, third = st.columns([2, 3, 3])
    names = list(known)
    wanted_name = asked.measurement if asked.measurement in known else names[_favourite(names)]
    measurement = first.selectbox("Measurement", names, key=address.one("measurement", wanted_name, names))
    if asked.measurement and asked.measurement not in known:
        st.warning(f"Nothing is stored under {plain(asked.measurement)}: {plain(measurement)} is shown.")
    about = known[measurement]
    fields = [one["field"] for one in about["fields"]]
    wanted = [field for field in asked.fields if field in fields] or _first_fields(about)
    chosen = second.multiselect("Fields", fields, key=address.many(f"fields {measurement}", wanted, fields))
    everyone = [one["node"] for one in fetch.items("/nodes", slow=True)]
    offered_nodes = sorted({*everyone, *asked.nodes})
    nodes = third.multiselect(
        "Nodes",
        offered_nodes,
        key=address.many("nodes", asked.nodes, offered_nodes),
        placeholder=f"All that publish it ({about['nodes']})",
    )
    tags: list[tuple[str, str]] = []
    if about["tags"]:
        wanted_tags = dict(asked.tags)
        for column, tag in zip(st.columns(max(len(about["tags"]), 3)), about["tags"], strict=False):
            given = wanted_tags.get(tag["tag"], "")
            offered = list(dict.fromkeys(["", *tag["values"], given]))
            value = column.selectbox(
                tag["tag"],
                offered,
                format_func=lambda value: value or "all",
                key=address.one(f"tag {measurement} {tag['tag']}", given, offered),
            )
            if value:
                tags.append((tag["tag"], value))
    return dataclasses.replace(
        asked, measurement=measurement, fields=tuple(chosen), nodes=tuple(nodes), tags=tuple(tags)
    )


def over(asked: Question, address: Address) -> Question:
    """Range, aggregate, step, comparison and axes."""
    first, second, third, fourth = st.columns([2, 2, 2, 2])
    chosen = a_range(asked.range, address, first)
    fn = second.selectbox(
        "Each point is",
        AGGREGATES,
        key=address.one("fn", asked.fn, AGGREGATES),
        help="Least and greatest keeps every peak. The others are one value for each step.",
    )
    every = ""
    if fn == REDUCED:
        third.selectbox("Step", ["automatic"])
    else:
        steps = list(dict.fromkeys([*STEPS, *([asked.every] if asked.every else [])]))
        every = third.selectbox("Step", steps, key=address.one("every", asked.every or USUAL_STEP, steps))
    right = fourth.multiselect(
        "On the right axis", asked.fields, key=address.many("right axis", asked.second, asked.fields)
    )
    compare = st.toggle("Compare with the period before", key=address.one("compare", asked.compare))
    return dataclasses.replace(asked, range=chosen, fn=fn, every=every, second=tuple(right), compare=compare)


def a_range(asked: Range, address: Address, beside: DeltaGenerator) -> Range:
    """A preset, drawn in ``beside``, or a range of one's own, below."""
    presets = [*PRESETS, CUSTOM]
    shown = next((name for name, start in PRESETS.items() if asked == Range(start)), CUSTOM)
    name = beside.selectbox("Time range", presets, key=address.one("range", shown, presets))
    return Range(PRESETS[name]) if name != CUSTOM else _own_range(asked, address)


def _own_range(asked: Range, address: Address) -> Range:
    now = datetime.now(UTC)
    try:
        start, stop = asked.instants(now)
    except ValueError:
        start, stop = Range("-1h").instants(now)
    left, right = st.columns(2)
    # They know whole minutes only: what nobody changed stays as it was, to the millisecond.
    shown = [end.replace(tzinfo=None, second=0, microsecond=0) for end in (start, stop)]
    begin = left.datetime_input("From (UTC)", key=address.one("from", shown[0]), format="YYYY-MM-DD", step=60)
    end = right.datetime_input("To (UTC)", key=address.one("to", shown[1]), format="YYYY-MM-DD", step=60)
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
