"""Traces as the rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from dashboard.data.traces import labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboard.data.traces import Trace


def rows_of(traces: Sequence[Trace], zone: str = "UTC") -> pd.DataFrame:
    """One row a time on the clock of ``zone``, newest first; one column a trace, named as in the chart."""
    columns = {}
    for trace, name in zip(traces, labels(traces) if traces else [], strict=True):
        times = pd.DatetimeIndex(trace.times, tz="UTC").tz_convert(zone)
        series = pd.Series(trace.values, index=times, dtype=object if trace.is_text else float)
        columns[name] = series[~series.index.duplicated(keep="last")]
    frame = pd.DataFrame(columns)
    return frame.sort_index(ascending=False).rename_axis("Time").reset_index()
