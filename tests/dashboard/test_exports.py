"""Files of the dashboard's exports."""

from __future__ import annotations

import csv
import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.data.exports import export, file_name

HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"]


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


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("room", "room.csv"),
        ("Wohnzimmer Süd", "Wohnzimmer_Süd.csv"),
        ("../../etc/passwd", "_.._etc_passwd.csv"),
        ("..", "values.csv"),
        ("", "values.csv"),
        (".bashrc", "bashrc.csv"),
        ("-rf", "rf.csv"),
        ('a"; filename="b.exe', "a_filename_b.exe.csv"),
        ("a\r\nSet-Cookie: x=1", "a_Set-Cookie_x_1.csv"),
        ("C:\\Windows\\x", "C_Windows_x.csv"),
        ("\u202egpj.exe", "_gpj.exe.csv"),
    ],
)
def test_a_file_is_called_after_what_it_holds_and_leads_nowhere(title: str, expected: str) -> None:
    assert file_name(title, "csv") == expected


@given(st.text(max_size=300))
def test_whatever_devices_call_it_it_is_one_plain_name(title: str) -> None:
    name = file_name(title, "csv")
    assert name.endswith(".csv")
    assert len(name) <= 104
    assert not name.startswith((".", "-"))
    assert not set(name) & set("/\\:\"'<>|*?;\r\n\0 ")
    assert name.isprintable()
