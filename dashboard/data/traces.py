"""Series of ``GET query`` as traces of a chart: names that tell them apart, and gaps that stay gaps.

Arrow table: time, node, measurement, tag.… , field, value ─▶ one :class:`Trace` a series
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    import pyarrow as pa

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
        table: of the API, in which the rows of a series follow each other.
    """
    if table.num_rows == 0:
        return []
    tag_names = [name for name in table.column_names if name.startswith(_TAG)]
    names = ("node", "measurement", "field", *tag_names)
    labels = [table.column(name).combine_chunks() for name in names]
    codes = [label.indices.fill_null(-1).to_numpy(zero_copy_only=False) for label in labels]
    begins = np.flatnonzero(np.any([np.diff(code, prepend=-2) != 0 for code in codes], axis=0))
    times = table.column("time").to_numpy().astype("datetime64[ns]")
    numbers = table.column("value").to_numpy().astype(np.float64)
    kinds, texts = table.column("kind"), table.column("text")
    traces = []
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), table.num_rows], strict=True):
        node, measurement, field, *tags = (label[begin].as_py() or "" for label in labels)
        named = tuple((name.removeprefix(_TAG), tag) for name, tag in zip(tag_names, tags, strict=True) if tag)
        values: npt.NDArray[np.float64] | list[str] = numbers[begin:end]
        if kinds[begin].as_py() == "text":
            values = [text or "" for text in texts.slice(begin, end - begin).to_pylist()]
        traces.append(Trace(node, measurement, field, named, times[begin:end], values))
    return sorted(traces, key=lambda trace: (trace.node, trace.measurement, trace.field, trace.tags))


def with_gaps(trace: Trace) -> Trace:
    """The same with a NaN in each pause that is far longer than usual, so that no line is drawn across it."""
    if isinstance(trace.values, list) or len(trace.times) < 3:  # noqa: PLR2004  two samples say nothing of a cadence
        return trace
    steps = np.diff(trace.times).astype(np.int64)
    # Pairs of least and greatest come half a window apart: the longer of two neighbours is the cadence; of an even
    # number the lesser of the middle two, as in a few samples the pause itself would count.
    longer = np.sort(np.maximum(steps[1:], steps[:-1]))
    usual = longer[(len(longer) - 1) // 2] if len(longer) > 1 else steps.min()
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
