"""Files of the dashboard's exports."""

from __future__ import annotations

import csv
import io

import pyarrow as pa
import pytest

from dashboard.data.exports import export

HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
@pytest.mark.parametrize("text", HOSTILE)
def test_csv_gives_no_spreadsheet_a_formula(text: str, kind: pa.DataType) -> None:
    table = pa.table({"node": pa.array([text, "dev1", None]).cast(kind), "value": [-1.5, 2.0, 3.0]})
    rows = list(csv.reader(io.StringIO(export("CSV", [table]).decode(), newline="")))
    assert [row[0] for row in rows[1:]] == ["'" + text, "dev1", ""]
    assert [float(row[1]) for row in rows[1:]] == [-1.5, 2.0, 3.0]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_of_a_column_is_a_formula(text: str) -> None:
    (head, _) = csv.reader(io.StringIO(export("CSV", [pa.table({text: [1.0]})]).decode(), newline=""))
    assert head == ["'" + text]
