"""What can be said of a trace in one row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dashboard.data.traces import labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboard.data.traces import Trace

Row = dict[str, str | float | int | None]


def statistics(traces: Sequence[Trace]) -> list[Row]:
    """A row a trace: points, least, mean, greatest, standard deviation, last. Of words only points and last."""
    rows: list[Row] = []
    for trace, name in zip(traces, labels(traces) if traces else [], strict=True):
        row: Row = {"Series": name, "Points": len(trace.times)}
        if isinstance(trace.values, list):
            row |= {"Last": trace.values[-1] if trace.values else None}
        else:
            numbers = trace.values[np.isfinite(trace.values)]
            if len(numbers):
                row |= {
                    "Least": float(numbers.min()),
                    "Mean": float(numbers.mean()),
                    "Greatest": float(numbers.max()),
                    "Deviation": float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0,
                    "Last": float(numbers[-1]),
                }
        rows.append(row)
    return rows
