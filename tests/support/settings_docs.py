"""Settings as rows of a table: what the documentation must say of each, worked out from the models."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_origin

import annotated_types as at
from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic_core import PydanticUndefined

from wire.settings import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

_UNITS = (("y", 31_536_000), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
#: Lists longer than this are not repeated in the documentation.
_LONGEST_LIST = 3


class Row(NamedTuple):
    """One setting; ``section`` is empty for those at the top of the file."""

    section: str
    key: str
    default: str
    allowed: str


def rows(model: type[BaseModel], section: str = "") -> Iterator[Row]:
    """All settings below ``model``, tables after the scalars beside them."""
    tables = []
    for key, field in model.model_fields.items():
        below = _table(field.annotation)
        if get_origin(field.annotation) is dict:
            continue  # the tables of another process, which documents them
        if below is None:
            yield Row(section, key, _default(field), _allowed(field.annotation, field.metadata))
        else:
            name = f"{section}.{key}" if section else key
            tables.append((below, f"[{name}]" if get_origin(field.annotation) is tuple else name))
    for below, name in _merged(tables):
        yield from rows(below, name)


def _merged(tables: list[tuple[type[BaseModel], str]]) -> list[tuple[type[BaseModel], str]]:
    """Tables of one kind beside each other, such as one a collector, are one: ``agent.collectors.NAME``."""
    if len(tables) > 1 and len({model for model, _ in tables}) == 1:
        return [(tables[0][0], f"{tables[0][1].rpartition('.')[0]}.NAME")]
    return tables


def _table(annotation: Any) -> type[BaseModel] | None:
    kinds = [annotation, *get_args(annotation)]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "the host name"
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "none"
    if _is_duration(field.metadata):
        return f"`{duration(value)}`"
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`" if len(value) <= _LONGEST_LIST else "built in"
    if isinstance(value, enum.Enum):
        value = value.value
    return f"`{json.dumps(str(value) if isinstance(value, Path) else value)}`"


def duration(seconds: float) -> str:
    """The shortest text that means so many seconds."""
    if seconds != int(seconds):
        return f'"{round(seconds * 1000)}ms"'
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds and seconds % size == 0), ("s", 1))
    return f'"{int(seconds) // size}{unit}"'


def _allowed(annotation: Any, metadata: list[Any]) -> str:
    annotation, metadata = _without_none(annotation, metadata)
    if _is_duration(metadata):
        return " ".join(["duration", *_range(metadata, lambda s: duration(s).strip('"'), top=3_153_600_000)])
    if get_origin(annotation) is tuple:
        return "list of text"
    if choices := get_args(annotation) if get_origin(annotation) is Literal else _members(annotation):
        return ", ".join(f"`{json.dumps(value)}`" for value in choices)
    names = {
        bool: "`true`, `false`",
        int: "whole number",
        float: "number",
        str: "text",
        Path: "path",
        SecretStr: "text",
    }
    return " ".join([names[annotation], *_range(metadata, str)])


def _without_none(annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
    """``X | None`` as ``X``, with the metadata of an ``Annotated`` inside it."""
    inner = [arg for arg in get_args(annotation) if arg is not type(None)]
    if type(None) not in get_args(annotation):
        return annotation, metadata
    marks = [mark for entry in getattr(inner[0], "__metadata__", ()) for mark in getattr(entry, "metadata", [entry])]
    return getattr(inner[0], "__origin__", inner[0]) if marks else inner[0], metadata + marks


def _members(annotation: Any) -> list[Any]:
    return [member.value for member in annotation] if issubclass(annotation, enum.Enum) else []


def _is_duration(metadata: list[Any]) -> bool:
    return any(isinstance(mark, BeforeValidator) and mark.func is parse_duration for mark in metadata)


def _range(metadata: list[Any], shown: Any, top: float | None = None) -> list[str]:
    lows: list[Any] = [mark.ge for mark in metadata if isinstance(mark, at.Ge)]
    low = max(lows, default=0)
    high = next((mark.le for mark in metadata if isinstance(mark, at.Le) and mark.le != top), None)
    if any(isinstance(mark, at.Gt) for mark in metadata):
        return ["over 0"]
    if high is not None:
        return [f"{shown(low)} to {shown(high)}"]
    return [f"from {shown(low)}"] if low else []
