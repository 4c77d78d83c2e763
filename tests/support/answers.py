"""Answers of the API as the dashboard gets them: tables of ``GET query``, traces, alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dashboard.data.traces import Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

#: 2026-01-01T00:00:00Z.
T0 = np.datetime64("2026-01-01T00:00:00", "ns")


def times(*seconds: float) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    """So many seconds after :data:`T0`."""
    return T0 + (np.array(seconds) * 1e9).astype("timedelta64[ns]")


def trace(
    values: Sequence[float] | list[str],
    *seconds: float,
    node: str = "dev1",
    field: str = "usage",
    measurement: str = "cpu",
    **tags: str,
) -> Trace:
    """A trace; one value a second where no times are given."""
    given: Any = values if any(isinstance(value, str) for value in values) else np.array(values, np.float64)
    return Trace(node, measurement, field, tuple(sorted(tags.items())), times(*(seconds or range(len(values)))), given)


def table(rows: Sequence[tuple[str, str, str | None, float | None, str | None]]) -> pa.Table:
    """Rows (node, field, tag ``core``, number, text), one a second, encoded as the API does."""
    nodes, fields, cores, numbers, texts = zip(*rows, strict=True) if rows else ((),) * 5
    kinds = ["text" if text is not None else "float" for text in texts]
    columns = {
        "time": pa.array(times(*range(len(rows))).astype("int64")).cast(pa.timestamp("ns", tz="UTC")),
        "node": _coded(nodes),
        "measurement": _coded(["cpu"] * len(rows)),
        "field": _coded(fields),
        "kind": _coded(kinds),
        "tag.core": _coded(cores),
        "value": pa.array(numbers, pa.float64()),
        "text": pa.array(texts, pa.string()),
    }
    return pa.table(columns)


def _coded(texts: Sequence[str | None]) -> pa.Array:
    return pa.array(texts, pa.string()).dictionary_encode()


def alert(number: int = 1, **values: Any) -> dict[str, Any]:
    """An alert as ``GET /alerts`` gives it."""
    return {
        "id": number,
        "severity": "warning",
        "worst": "warning",
        "node": "dev1",
        "rule": "cpu-busy",
        "state": "firing",
        "flapping": False,
        "fired": "2026-01-01T00:00:00Z",
        "started": "2026-01-01T00:00:00Z",
        "resolved": None,
        "assignee": None,
        "acknowledged_by": None,
        "message": "too busy",
        "silenced_until": None,
        "series": "cpu.usage{core=0}",
    } | values
