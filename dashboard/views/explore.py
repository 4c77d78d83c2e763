"""**Explore**: from a measurement to a chart, to numbers, to a file; the address of the page is the view.

address ─▶ Question ─▶ widgets ─▶ Question ─▶ address
                                      └─▶ GET query (at most 2,000 points a series) ─▶ chart · table · statistics
                                      └─▶ GET query (every sample) ─▶ CSV · Parquet · Arrow, when somebody asks
"""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import streamlit as st

from dashboard import fetch
from dashboard.address import Address
from dashboard.charts.lines import MOST_POINTS, lines
from dashboard.data.alerts import bands, concerning
from dashboard.data.exports import EXPORTS, export, file_name
from dashboard.data.question import REDUCED, Question, from_page, literal
from dashboard.data.ranges import Range, absolute, instant
from dashboard.data.statistics import AGGREGATES, of_all
from dashboard.data.tables import rows_of
from dashboard.data.traces import Trace, shifted, traces_of
from dashboard.data.zones import zone_or_utc
from dashboard.frame import tabs
from dashboard.session import client, viewer
from dashboard.views.choosing import over, what
from dashboard.views.saved import saved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboard.client import Document, Params
    from dashboard.data.statistics import Row

_KEY = "explore"
#: Alerts of more nodes than these would hide the lines.
_MOST_BANDED = 3
_MOST_ALERTS = 500
#: More lines than this are no chart any more.
_MOST_TRACES = 40
#: Of these where nobody chose any.
_MOST_NODES = 20


def page() -> None:
    """Draw the page."""
    st.title("Explore")
    known = {one["measurement"]: one for one in fetch.document("/measurements", slow=True)["items"]}
    if not known:
        st.info("Nothing is stored yet. As soon as a node publishes telemetry it can be explored here.")
        return
    address = Address("explore")
    question = over(what(from_page(address.given), known, address), address)
    address.write(question.page())
    if (opened := saved("explore", question.page())) is not None:
        _go(from_page(opened))
    if not question.fields:
        st.info("Choose at least one field.")
        return
    _answer(question)


def _answer(question: Question) -> None:
    now = datetime.now(UTC)
    shown = _within_reason(question)
    if shown != question:
        st.warning(f"More than {_MOST_NODES} nodes publish it: the first are shown. Choose nodes or tags.")
    fetch.ahead(fetch.of_table(params) for params in shown.requests(points=MOST_POINTS))
    traces = _traces(shown)
    if len(traces) > _MOST_TRACES:
        st.warning(f"{len(traces)} series were found; the first {_MOST_TRACES} are shown. Choose nodes or tags.")
        traces = traces[:_MOST_TRACES]
    if question.fn != REDUCED and (step := shown.step(MOST_POINTS)) != shown.step(None):
        st.caption(
            f"A step of {shown.step(None)} would be more than {MOST_POINTS:,} points: the chart has one of {step}, "
            "files have each."
        )
    earlier: list[Trace] = []
    if question.compare:
        before = dataclasses.replace(shown, range=question.range.before(now))
        length = instant(question.range.stop, now) - instant(question.range.start, now)
        earlier = [shifted(trace, length, "before") for trace in _traces(before)[:_MOST_TRACES]]
    if not traces and not earlier:
        st.info("Nothing was stored in this range. Choose a longer one, or other nodes.")
        _queries(question)
        return
    _chart(question, [*traces, *earlier], now)
    (table, in_table), (figures, in_figures), (files, in_files), (query, in_query) = tabs(
        ["Table", "Statistics", "Download", "As a query"], "tabs of explore"
    )
    if in_table:
        table.dataframe(rows_of(traces, zone_or_utc(st.context.timezone)), width="stretch", hide_index=True)
        table.caption("The points of the chart. *Download* has every sample.")
    if in_figures:
        with figures:
            _statistics(shown, now)
    if in_files:
        with files:
            _downloads(question)
    if in_query:
        with query:
            _queries(question)


def _statistics(question: Question, now: datetime) -> None:
    """Of every sample, whatever the chart makes of them."""
    asked = [(question, "")]
    if question.compare:
        asked.append((dataclasses.replace(question, range=question.range.before(now)), "period=before"))
    rows = [row for one, period in asked for row in _of_all(one, period, now)]
    st.dataframe(rows, width="stretch", hide_index=True)
    st.caption("Of every sample of the range.")


def _of_all(question: Question, period: str, now: datetime) -> list[Row]:
    start, stop = question.range.instants(now)
    # As wide as the range: one window, or two where it lies across their border.
    every = f"{math.ceil((stop - start).total_seconds())}s"
    askings = {fn: dataclasses.replace(question, fn=fn, every=every).requests(points=None) for fn in AGGREGATES}
    fetch.ahead(fetch.of_table(params) for each in askings.values() for params in each)
    found = {fn: [trace for params in each for trace in traces_of(fetch.table(params))] for fn, each in askings.items()}
    rows = of_all(found)[:_MOST_TRACES]
    return [{**row, "Series": f"{row['Series']} {period}".rstrip()} for row in rows]


def _within_reason(question: Question) -> Question:
    """The same of a few nodes, where none are chosen and there are many: nobody can read a thousand lines."""
    if question.nodes or not question.fields:
        return question
    wanted: Params = {"measurement": literal(question.measurement), "field": literal(question.fields[0])}
    tags: Params = {f"tag.{name}": value for name, value in question.tags}
    found = fetch.document("/series", {**wanted, **tags, "limit": 200}, slow=True)
    nodes = list(dict.fromkeys(one["node"] for one in found["items"]))
    if len(nodes) <= _MOST_NODES and found["next"] is None:
        return question
    return dataclasses.replace(question, nodes=tuple(nodes[:_MOST_NODES]))


def _traces(question: Question) -> list[Trace]:
    found: list[Trace] = []
    for params in question.requests(points=MOST_POINTS):
        found += traces_of(fetch.table(params))
    return found


def _chart(question: Question, traces: Sequence[Trace], now: datetime) -> None:
    figure = lines(
        traces,
        second_axis={f"{question.measurement}.{field}" for field in question.second},
        bands=bands(_alerts(question, {trace.node for trace in traces})),
        span=question.range.instants(now),
        zone=zone_or_utc(st.context.timezone),
        height=440,
    )
    figure.update_layout(dragmode="select", selectdirection="h")
    # A callback sees what was dragged over; the chart that is drawn after it is another one, with newer samples.
    zoom = partial(_zoom, question)
    st.plotly_chart(
        figure, width="stretch", key=_KEY, on_select=zoom, selection_mode="box", config={"displaylogo": False}
    )
    words = [trace for trace in traces if trace.is_text]
    if words:
        st.caption("Words are in the table below.")
    st.caption("Drag across the chart to look closer; the detail is fetched.")
    back, out, ahead, _ = st.columns([1, 1, 1, 5])
    if back.button("Earlier", icon=":material/chevron_left:", width="stretch"):
        _go(dataclasses.replace(question, range=question.range.moved(now, -0.5)))
    if out.button("Wider", icon=":material/zoom_out:", width="stretch"):
        _go(dataclasses.replace(question, range=question.range.wider(now)))
    if ahead.button("Later", icon=":material/chevron_right:", width="stretch"):
        _go(dataclasses.replace(question, range=question.range.moved(now, 0.5)))


def _alerts(question: Question, nodes: set[str]) -> list[Document]:
    """What fired about these fields, for a few nodes."""
    if len(nodes) > _MOST_BANDED:
        return []
    lately: Params = {"state": "all", "since": question.range.start}
    found = [*fetch.items("/alerts", lately, most=_MOST_ALERTS), *fetch.items("/alerts", most=_MOST_ALERTS)]
    return [one for one in concerning(found, question.measurement, question.fields) if one["node"] in nodes][:50]


def _zoom(question: Question) -> None:
    zoomed = _selected(st.session_state[_KEY])
    if zoomed is not None:
        _show(dataclasses.replace(question, range=zoomed))


def _selected(event: Any) -> Range | None:
    """The stretch of time that was dragged over."""
    boxes = event.get("selection", {}).get("box", []) if event else []
    if not boxes or len(boxes[0].get("x", [])) != 2:  # noqa: PLR2004  from, to
        return None
    zone = zone_or_utc(st.context.timezone)
    ends = sorted(_from_wall(str(text), zone) for text in boxes[0]["x"])
    return absolute(ends[0], ends[1])


def _from_wall(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text[:26]).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _go(question: Question) -> None:
    """Draw another view instead of this one."""
    _show(question)
    st.rerun()


def _show(question: Question) -> None:
    """The next drawing is of another view: as if its link had been opened."""
    st.query_params.from_dict(question.page())


def _downloads(question: Question) -> None:
    st.write("Every sample of the range, not only the points of the chart.")
    for column, (name, about) in zip(st.columns(len(EXPORTS)), EXPORTS.items(), strict=True):
        column.download_button(
            name,
            data=partial(_file, name, question, viewer().token),
            file_name=file_name(question.measurement, about.ending),
            mime=about.media,
            icon=":material/download:",
            width="stretch",
            on_click="ignore",
        )


def _file(name: str, question: Question, token: str) -> bytes:
    """Made when somebody clicks, where nothing tells any more who looks at the page."""
    return export(name, [fetch.whole_table(params, token) for params in question.requests(points=None)])


def _queries(question: Question) -> None:
    st.write("On the machine of the hub:")
    st.code("\n".join(question.command()), language="shell", wrap_lines=True)
    st.write("Over HTTP:")
    st.code("\n".join(question.curl(client().url)), language="shell", wrap_lines=True)
    st.write("The address of this page shows this view to everybody who may see it.")
