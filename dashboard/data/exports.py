"""Answers of ``GET query`` as files to take away."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Spreadsheets run text that starts with one of these as a formula (OWASP: CSV injection); the last are full-width.
_FORMULA: Final = "^[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
#: Of a file's name; what is longer, some systems cannot save.
_LONGEST_NAME: Final = 100
_QUOTE: Final = pa.scalar("'")
_EMPTY: Final = pa.scalar("")


@dataclass(frozen=True)
class Form:
    """One form of file."""

    ending: str
    media: str


EXPORTS: Final = {
    "CSV": Form("csv", "text/csv"),
    "Parquet": Form("parquet", "application/vnd.apache.parquet"),
    "Arrow": Form("arrow", "application/vnd.apache.arrow.file"),
}


def export(name: str, tables: Sequence[pa.Table]) -> bytes:
    """All rows of ``tables`` in the form called ``name``; in CSV a ``'`` stands before what would be a formula."""
    whole = _joined(tables)
    sink = io.BytesIO()
    if name == "CSV":
        csv.write_csv(_harmless(whole), sink)
    elif name == "Parquet":
        parquet.write_table(whole, sink, compression="zstd")
    else:
        with pa.ipc.new_file(sink, whole.schema) as writer:
            writer.write_table(whole)
    return sink.getvalue()


def file_name(title: str, ending: str) -> str:
    """A name for a file about ``title``, which devices may have chosen: it leads to no folder and hides nothing."""
    plain = re.sub(r"[^\w.-]+", "_", title)[:_LONGEST_NAME].lstrip(".-")
    return f"{(plain.strip('._') and plain) or 'values'}.{ending}"


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    plain = [_without_dictionaries(table) for table in tables]
    return pa.concat_tables(plain, promote_options="default")


def _without_dictionaries(table: pa.Table) -> pa.Table:
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.table(dict(zip(table.column_names, columns, strict=True)))


def _harmless(table: pa.Table) -> pa.Table:
    columns = {}
    names = ["'" + name if re.match(_FORMULA, name) else name for name in table.column_names]
    for name, column in zip(names, table.columns, strict=True):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            risky = pc.match_substring_regex(column, _FORMULA)
            columns[name] = pc.if_else(
                risky, pc.binary_join_element_wise(_QUOTE.cast(column.type), column, _EMPTY.cast(column.type)), column
            )
        else:
            columns[name] = column
    return pa.table(columns)
