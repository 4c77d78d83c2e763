"""What can be said of a series in one row: of every sample, by aggregates of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dashboard.data.traces import labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dashboard.data.traces import Trace

Row = dict[str, str | float | int | None]


#: Aggregates of which :func:`of_all` makes its rows; of words there are the first and the last only.
AGGREGATES: Final = ("count", "last", "mean", "min", "max", "stddev")


def of_all(found: Mapping[str, Sequence[Trace]]) -> list[Row]:
    """A row a series of all its samples.

    Args:
        found: by name of :data:`AGGREGATES`, the windows of each series.
    """
    by_name = {fn: {_name(trace): trace for trace in traces} for fn, traces in found.items()}
    last = list(by_name["last"].values())
    rows: list[Row] = []
    for trace, label in zip(last, labels(last) if last else [], strict=True):
        windows = {fn: by_name[fn].get(_name(trace)) for fn in AGGREGATES}
        rows.append({"Series": label, **_summed(windows)})
    return rows


def _summed(windows: Mapping[str, Trace | None]) -> Row:
    last = windows["last"]
    by_time = {fn: _by_time(trace) for fn, trace in windows.items()}
    counts = by_time["count"]
    row: Row = {"Samples": int(sum(counts.values())), "Last": last.values[-1] if last is not None else None}
    if not counts or not all(by_time[fn].keys() == counts.keys() for fn in ("mean", "min", "max")):
        return row  # words, or written between two of the questions
    n = np.array(list(counts.values()))
    means = np.array([by_time["mean"][time] for time in counts])
    deviations = np.array([by_time["stddev"].get(time, 0.0) for time in counts])  # one sample alone has none
    mean = float((n * means).sum() / n.sum())
    # Of the windows together: within them, and between them (Chan, Golub and LeVeque, 1979).
    squares = float((deviations**2 * (n - 1)).sum() + (n * (means - mean) ** 2).sum())
    return {
        "Samples": row["Samples"],
        "Least": min(by_time["min"].values()),
        "Mean": mean,
        "Greatest": max(by_time["max"].values()),
        "Deviation": float(np.sqrt(squares / (n.sum() - 1))) if n.sum() > 1 else 0.0,
        "Last": row["Last"],
    }


def _by_time(trace: Trace | None) -> dict[int, float]:
    if trace is None or isinstance(trace.values, list):
        return {}
    return dict(zip(trace.times.astype(np.int64).tolist(), trace.values.tolist(), strict=True))


def _name(trace: Trace) -> tuple[object, ...]:
    return trace.node, trace.measurement, trace.field, trace.tags
