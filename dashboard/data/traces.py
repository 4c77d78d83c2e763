"""Series of ``GET query`` as traces of a chart: names that tell them apart, and gaps that stay gaps.

Arrow table: time, node, measurement, tag.… , field, value ─▶ one :class:`Trace` a series
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

#: A pause so many times longer than usual is a gap.
_GAP: Final = 4.0
_TAG: Final = "tag."


@dataclass(frozen=True)
class Trace:
    """One line of a chart."""

    node: str
    measurement: str
    field: str
    tags: tuple[tuple[str, str], ...]
    #: UTC, ascending; ``datetime64[ns]`` of shape (n,).
    times: npt.NDArray[np.datetime64]
    #: float64 of shape (n,), NaN where the line is interrupted; or n texts.
    values: npt.NDArray[np.float64] | list[str]

    @property
    def is_text(self) -> bool:
        """Whether the values are words."""
        return isinstance(self.values, list)


def traces_of(table: pa.Table) -> list[Trace]:
    """One trace a series, in order of node, measurement, field and tags.

    Args:
        table: of the API, whose pieces hold one series each.
    """
    tag_names = [name for name in table.column_names if name.startswith(_TAG)]
    pieces: dict[tuple[str, ...], list[pa.RecordBatch]] = {}
    for batch in table.to_batches():
        if batch.num_rows:
            key = tuple(batch.column(name)[0].as_py() or "" for name in ("node", "measurement", "field", *tag_names))
            pieces.setdefault(key, []).append(batch)
    traces = []
    for key in sorted(pieces):
        node, measurement, field, *tags = key
        named = tuple((name.removeprefix(_TAG), tag) for name, tag in zip(tag_names, tags, strict=True) if tag)
        whole = pa.Table.from_batches(pieces[key])
        times = whole.column("time").to_numpy().astype("datetime64[ns]")
        values: npt.NDArray[np.float64] | list[str]
        if whole.column("kind")[0].as_py() == "text":
            values = [text or "" for text in whole.column("text").to_pylist()]
        else:
            values = whole.column("value").to_numpy(zero_copy_only=False).astype(np.float64)
        traces.append(Trace(node, measurement, field, named, times, values))
    return traces


def with_gaps(trace: Trace) -> Trace:
    """The same with a NaN in each pause that is far longer than usual, so that no line is drawn across it."""
    if isinstance(trace.values, list) or len(trace.times) < 3:  # noqa: PLR2004  two samples say nothing of a cadence
        return trace
    steps = np.diff(trace.times).astype(np.int64)
    # Pairs of least and greatest come half a window apart: the longer of two neighbours is the cadence.
    usual = np.median(np.maximum(steps[1:], steps[:-1]))
    after = np.flatnonzero(steps > usual * _GAP) + 1
    if len(after) == 0:
        return trace
    middle = trace.times[after - 1] + (steps[after - 1] // 2).astype("timedelta64[ns]")
    return Trace(
        trace.node,
        trace.measurement,
        trace.field,
        trace.tags,
        np.insert(trace.times, after, middle),
        np.insert(trace.values, after, np.nan),
    )


def shifted(trace: Trace, by: timedelta, tag: str) -> Trace:
    """The same ``by`` later, named apart by a tag: an earlier period to lay over this one."""
    tags = (*trace.tags, ("period", tag))
    return Trace(trace.node, trace.measurement, trace.field, tags, trace.times + np.timedelta64(by), trace.values)


def labels(traces: Sequence[Trace]) -> list[str]:
    """A name for each, of those parts only in which they differ; of all parts where there is but one trace."""
    if len(traces) == 1:
        one = traces[0]
        return [" ".join(filter(None, (one.node, f"{one.measurement}.{one.field}", _tags(one.tags))))]
    by_node = len({trace.node for trace in traces}) > 1
    by_field = len({(trace.measurement, trace.field) for trace in traces}) > 1
    by_measurement = len({trace.measurement for trace in traces}) > 1
    common = set.intersection(*(set(trace.tags) for trace in traces))
    names = []
    for trace in traces:
        field = f"{trace.measurement}.{trace.field}" if by_measurement else trace.field
        tags = _tags(tuple(tag for tag in trace.tags if tag not in common))
        names.append(" ".join(filter(None, (trace.node if by_node else "", field if by_field else "", tags))))
    return [name or trace.field for name, trace in zip(names, traces, strict=True)]


def _tags(tags: tuple[tuple[str, str], ...]) -> str:
    return " ".join(f"{name}={value}" for name, value in tags)
