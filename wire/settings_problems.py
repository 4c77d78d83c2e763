"""Turns what pydantic says about settings into lines for people: place, key, value, what is allowed."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BaseModel, SecretStr

from wire.errors import Problem
from wire.settings_file import KeyPath, dotted
from wire.settings_layers import Layers, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

_LONGEST_VALUE: Final = 80
#: ``scheme://user:password@host``
URL_PASSWORD: Final = re.compile(r"(://[^/@:\s]*:)[^/@\s]+@")

#: Error types of pydantic whose own words are for programmers.
_WORDS: Final = {
    "missing": "is required",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "path_type": "must be text that names a file or folder",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "dict_type": "must be a table",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "string_too_short": "must not be empty",
}
_BOUNDS: Final = frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal"})


def explain(model: type[BaseModel], error: ValidationError, layers: Layers) -> list[Problem]:
    """One problem for each fault in ``error``, with the place it was written at."""
    found = error.errors(include_url=False, include_context=True)
    inside = {details["loc"][:depth] for details in found for depth in range(len(details["loc"]))}
    # A list all of whose elements are wrong is called empty, too.
    real = [details for details in found if details["type"] != "too_short" or details["loc"] not in inside]
    return [_problem(model, details, layers) for details in real]


def booleans_as_numbers(model: type[BaseModel], layers: Layers) -> list[Problem]:
    """Refuse ``port = true``, which pydantic would read as 1."""
    return [
        _at(path, "must be a number, not true or false", layers, value)
        for path, value in _scalars(layers.values, ())
        if isinstance(value, bool)
        and (kinds := set(_kinds(_annotation(model, path)))) & {int, float}
        and bool not in kinds
    ]


def holds_secret(model: type[BaseModel], layers: Layers) -> bool:
    """Whether any value is a password: a secret field, or a URL with a password in it."""
    return any(_secret(model, path) or URL_PASSWORD.search(str(value)) for path, value in _scalars(layers.values, ()))


def _problem(model: type[BaseModel], details: ErrorDetails, layers: Layers) -> Problem:
    path = details["loc"]
    kind = details["type"]
    if kind == "extra_forbidden":
        table = _model_in(_annotation(model, path[:-1]))
        return _at(path, unknown(str(path[-1]), set(_fields(table)) if table else set()), layers, None)
    message = _WORDS.get(kind) or _from_pydantic(model, details)
    shown = None if kind == "missing" or _secret(model, path) else details["input"]
    return _at(path, message, layers, shown)


def _at(path: KeyPath, message: str, layers: Layers, value: object) -> Problem:
    origin = layers.origin(path)
    file, line = origin or ("settings", None)
    return Problem(file, line, dotted(path), _shown(value), message)


def _from_pydantic(model: type[BaseModel], details: ErrorDetails) -> str:
    if details["type"] in _BOUNDS:
        return _range(_field(model, details["loc"]), details)
    if details["type"] in {"enum", "literal_error"}:
        expected = str(details["ctx"]["expected"]).replace("True", "true").replace("False", "false")
        allowed = re.findall(r"'([^']*)'", expected)
        near = difflib.get_close_matches(str(details["input"]).lower(), allowed, n=1)
        return f"must be {expected}" + (f"; did you mean {near[0]!r}?" if near else "")
    if details["type"] in {"too_short", "too_long"}:
        return _length(details["ctx"])
    return details["msg"].removeprefix("Value error, ")


def _length(limits: dict[str, Any]) -> str:
    end, number = ("least", limits["min_length"]) if "min_length" in limits else ("most", limits["max_length"])
    return f"must have at {end} {number} element{'' if number == 1 else 's'}"


def _range(field: FieldInfo | None, details: ErrorDetails) -> str:
    """Both ends of the allowed range where the field has two."""
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    marks = field.metadata if field else ()
    limits = {name: limit for name in words for mark in marks if (limit := getattr(mark, name, None)) is not None}
    if limits.get("gt") == limits.get("ge"):
        limits.pop("ge", None)
    ends = [f"{words[name]} {limit}" for name, limit in limits.items()]
    return f"must be {' and '.join(ends)}" if ends else details["msg"]


def _shown(value: object) -> object:
    """A scalar, short and without a password; None for anything else."""
    if isinstance(value, str):
        clean = URL_PASSWORD.sub(r"\1…@", value)
        return clean if len(clean) <= _LONGEST_VALUE else clean[:_LONGEST_VALUE] + "…"
    return value if isinstance(value, bool | int | float) else None


# -- what the model says about a path ---------------------------------------------------------------------------------


def _secret(model: type[BaseModel], path: KeyPath) -> bool:
    return SecretStr in _kinds(_annotation(model, path))


def _annotation(model: type[BaseModel], path: KeyPath) -> Any:
    """The annotation at ``path``; None where the model has no such place."""
    annotation: Any = model
    for step in path:
        if isinstance(step, int):
            continue  # the classes of a container are those of its elements
        table = _model_in(annotation)
        field = _fields(table).get(step) if table else None
        annotation = field.annotation if field else None
    return annotation


def _field(model: type[BaseModel], path: KeyPath) -> FieldInfo | None:
    table = _model_in(_annotation(model, path[:-1]))
    return _fields(table).get(str(path[-1])) if table and path else None


def _fields(table: type[BaseModel]) -> dict[str, FieldInfo]:
    """By the names that people write."""
    return {field.alias or name: field for name, field in table.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    return next((kind for kind in _kinds(annotation) if issubclass(kind, BaseModel)), None)


def _kinds(annotation: Any) -> Iterator[type]:
    """The classes that an annotation names: through unions, containers and Annotated."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


def _scalars(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _scalars(below, (*path, key))
    elif isinstance(value, list | tuple):
        for index, below in enumerate(value):
            yield from _scalars(below, (*path, index))
    else:
        yield path, value
