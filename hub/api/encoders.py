"""Answers of ``GET query`` as JSON, CSV and Arrow: pure generators of bytes, a bounded piece at a time.

They run in a thread. Each piece covers at most some thousand rows, so that the interpreter's lock is never held for
long and a million rows do not exist as text all at once.
"""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from hub.api.times import iso, iso_column
from hub.store.base import FieldKind, Fn
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hub.store.base import Frame, Query

_ROWS: Final = 5000
#: Spreadsheets run text that starts with one of these as a formula (OWASP: CSV injection); the last are full-width.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NEEDS_QUOTES: Final = re.compile(r'[",\r\n]')


def as_json(query: Query, frames: Sequence[Frame]) -> Iterator[bytes]:
    """``schemas.QueryAnswer``: two columns a series. Never NaN: null instead."""
    head = {
        "start": iso(query.start_ns),
        "stop": iso(query.stop_ns),
        "every_s": query.every_ns / NS_PER_S if query.every_ns is not None else None,
        "fn": query.fn.value if query.every_ns is not None else None,
        "rows": sum(len(frame.ts_ns) for frame in frames),
    }
    yield msgspec.json.encode(head)[:-1] + b',"series":['
    for number, frame in enumerate(frames):
        key = frame.series.key
        about = {
            "node": key.node,
            "measurement": key.measurement,
            "tags": dict(key.tags),
            "field": frame.series.field,
            "kind": frame.series.kind.value,
        }
        yield (b"," if number else b"") + msgspec.json.encode(about)[:-1] + b',"times":['
        yield from _joined(iso_column(frame.ts_ns[part]) for part in _parts(frame))
        yield b'],"values":['
        yield from _joined(_values(frame, part, query) for part in _parts(frame))
        yield b"]}"
    yield b"]}"


def as_csv(query: Query, frames: Sequence[Frame]) -> Iterator[bytes]:
    """RFC 4180, one row a sample: time, node, measurement, tag.… , field, value.

    Text that a spreadsheet would run as a formula gets a leading ``'``. Booleans are ``true`` and ``false``; a value
    that is not a number is empty.
    """
    names = _tag_names(frames)
    heads = ["time", "node", "measurement", *(f"tag.{name}" for name in names), "field", "value"]
    yield (",".join(_quoted(head) for head in heads) + "\r\n").encode()
    for frame in frames:
        key = frame.series.key
        tags = dict(key.tags)
        same = [key.node, key.measurement, *(tags.get(name, "") for name in names), frame.series.field]
        between = ",".join(["", *(_cell(text) for text in same), ""])  # quoted once, not once a row
        for part in _parts(frame):
            pairs = zip(iso_column(frame.ts_ns[part]), _values(frame, part, query), strict=True)
            yield "".join([f"{time}{between}{_cell(value)}\r\n" for time, value in pairs]).encode()


def as_arrow(query: Query, frames: Sequence[Frame]) -> Iterator[bytes]:
    """Arrow IPC stream, one row a sample.

    Columns: time (timestamp[ns, UTC]), node, measurement, tag.… (null where absent), field, kind (all dictionaries),
    value (double; booleans 0 and 1; null for text), text (null for numbers).
    """
    del query
    names = _tag_names(frames)
    columns: list[tuple[str, list[str | None]]] = [
        ("node", [frame.series.key.node for frame in frames]),
        ("measurement", [frame.series.key.measurement for frame in frames]),
        *((f"tag.{name}", [dict(frame.series.key.tags).get(name) for frame in frames]) for name in names),
        ("field", [frame.series.field for frame in frames]),
        ("kind", [frame.series.kind.value for frame in frames]),
    ]
    labels = [(name, pa.array(per_frame, pa.string()).dictionary_encode()) for name, per_frame in columns]
    schema = pa.schema(
        [
            pa.field("time", pa.timestamp("ns", tz="UTC"), nullable=False),
            *(pa.field(name, encoded.type) for name, encoded in labels),
            pa.field("value", pa.float64()),
            pa.field("text", pa.string()),
        ]
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in _batches(frames):
            writer.write_batch(_arrow_batch(schema, batch, [encoded for _, encoded in labels]))
            yield _taken(sink)
    yield _taken(sink)


# -- private -----------------------------------------------------------------------------------------------------------


def _parts(frame: Frame) -> Iterator[slice]:
    for start in range(0, len(frame.ts_ns), _ROWS):
        yield slice(start, start + _ROWS)


def _values(frame: Frame, part: slice, query: Query) -> list[Any]:
    """Values of a part as JSON has them."""
    if isinstance(frame.values, list):
        return frame.values[part]
    values: list[Any] = frame.values[part].tolist()
    whole = query.every_ns is None or query.fn in (Fn.FIRST, Fn.LAST)
    if frame.series.kind is FieldKind.BOOLEAN and whole:
        return [bool(value) for value in values]
    return [value if math.isfinite(value) else None for value in values]


def _joined(lists: Iterator[list[Any]]) -> Iterator[bytes]:
    for number, items in enumerate(lists):
        yield (b"," if number else b"") + msgspec.json.encode(items)[1:-1]


def _tag_names(frames: Sequence[Frame]) -> list[str]:
    return sorted({name for frame in frames for name, _ in frame.series.key.tags})


def _cell(value: object) -> str:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return _quoted("'" + value if value.startswith(_FORMULA) else value)
    return "" if value is None else str(value).lower()


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


#: Number of a frame among all, the frame, which rows of it.
_Part = tuple[int, "Frame", slice]


def _batches(frames: Sequence[Frame]) -> Iterator[list[_Part]]:
    """Parts of frames that make batches of some thousand rows: many short series would cost a batch each."""
    batch: list[_Part] = []
    rows = 0
    for number, frame in enumerate(frames):
        for part in _parts(frame):
            size = len(frame.ts_ns[part])
            if batch and rows + size > _ROWS:
                yield batch
                batch, rows = [], 0
            batch.append((number, frame, part))
            rows += size
    if batch:
        yield batch


def _arrow_batch(schema: Any, batch: Sequence[_Part], labels: Sequence[Any]) -> Any:
    sizes = [len(frame.ts_ns[part]) for _, frame, part in batch]
    of_frame = pa.array(np.repeat([number for number, _, _ in batch], sizes), pa.int64())
    same = [pa.DictionaryArray.from_arrays(encoded.indices.take(of_frame), encoded.dictionary) for encoded in labels]
    values, texts = [], []
    for (_, frame, part), size in zip(batch, sizes, strict=True):
        if isinstance(frame.values, list):
            values.append(pa.nulls(size, pa.float64()))
            texts.append(pa.array(frame.values[part], pa.string()))
        else:
            values.append(pa.array(frame.values[part], pa.float64()))
            texts.append(pa.nulls(size, pa.string()))
    times = np.concatenate([frame.ts_ns[part] for _, frame, part in batch])
    moments = pa.array(times, pa.int64()).cast(pa.timestamp("ns", tz="UTC"))
    return pa.RecordBatch.from_arrays(
        [moments, *same, pa.concat_arrays(values), pa.concat_arrays(texts)], schema=schema
    )


def _taken(sink: io.BytesIO) -> bytes:
    piece = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return piece
