"""Log records as points carry them and as queries choose them; the same for every store.

A log record is a point of measurement ``log``: tags ``level`` and ``source``, field ``message``, and any other fields.
Two records are the same when all of them is the same: different lines of one source at one instant are two records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hub.store.base import LogRecord, QueryError
from hub.store.select import glob_matcher
from hub.store.values import bad_name, unfit
from wire.formats.logs import LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.store.base import LogQuery
    from wire.point import Point, Value

#: How records of unknown level sort.
_ASSUMED: Final = "info"
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(dict[str, float | bool | str]).decode


def record_of(point: Point) -> LogRecord:
    """The record in a point; tags other than level and source join the fields."""
    tags = dict(point.key.tags)
    level, source = tags.pop("level", _ASSUMED), tags.pop("source", "")
    fields: dict[str, Value] = {f"{name}_tag" if name in point.fields else name: text for name, text in tags.items()}
    fields |= point.fields
    message = fields.pop("message", "")
    text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    return LogRecord(point.ts_ns, point.key.node, level, source, text, fields)


def unfit_record(point: Point) -> str | None:
    """Why the record of a point cannot be stored: a record is stored whole or not at all."""
    if (why := bad_name(point.key, point.fields)) is not None:
        return why
    for field, value in point.fields.items():
        if (why := unfit(value)) is not None:
            return f"field {field!r}: {why}"
    return None


def fields_to_json(record: LogRecord) -> str:
    """The extra fields, exactly, and the same for equal fields."""
    return _encode(record.fields).decode()


def fields_from_json(text: str) -> dict[str, Value]:
    """What :func:`fields_to_json` wrote."""
    return _decode(text)


def levels_below(level: str) -> tuple[str, ...]:
    """The known levels that a query for ``level`` leaves out.

    Raises:
        QueryError: the level is unknown.
    """
    if level.lower() not in LEVELS:
        raise QueryError(f"level {level!r} is unknown; use one of {', '.join(LEVELS)}")
    return LEVELS[: LEVELS.index(level.lower())]


def leaves_out_unknown(level: str) -> bool:
    """Whether a query for ``level`` leaves out records of unknown level, which sort as info."""
    return _ASSUMED in levels_below(level)


def log_matcher(query: LogQuery) -> Callable[[LogRecord], bool]:
    """Whether a record is chosen, whatever the limit.

    Raises:
        QueryError: the level is unknown.
    """
    is_node = glob_matcher(query.node)
    out = frozenset(levels_below(query.level)) if query.level is not None else frozenset()
    text = (query.text or "").lower()

    def matches(record: LogRecord) -> bool:
        level = record.level.lower() if record.level.lower() in LEVELS else _ASSUMED
        return (
            query.start_ns <= record.ts_ns < query.stop_ns
            and is_node(record.node)
            and (query.nodes is None or record.node in query.nodes)
            and level not in out
            and query.source in (None, record.source)
            and text in record.message.lower()
        )

    return matches
