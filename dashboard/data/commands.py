"""Commands: the arguments of one as fields of a form, from the JSON schema that its node publishes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

Document = dict[str, Any]
_JSON_KINDS: Final = frozenset({"array", "object"})


@dataclass(frozen=True)
class Argument:
    """One field of the form."""

    name: str
    #: ``text``, ``number``, ``whole``, ``boolean``, ``choice`` or ``json``.
    kind: str
    required: bool
    help: str = ""
    default: Any = None
    choices: tuple[str, ...] = ()


def arguments(schema: Document | None) -> list[Argument]:
    """The fields for a command; none where the node says nothing of them."""
    wanted = (schema or {}).get("required", [])
    return [
        _argument(name, about, required=name in wanted) for name, about in (schema or {}).get("properties", {}).items()
    ]


def _argument(name: str, about: Document, *, required: bool) -> Argument:
    kinds = [about.get("type"), *(one.get("type") for one in about.get("anyOf", []))]
    help_text, default = str(about.get("description", "")), about.get("default")
    if "enum" in about:
        return Argument(name, "choice", required, help_text, default, tuple(str(one) for one in about["enum"]))
    if "boolean" in kinds:
        kind = "boolean"
    elif "string" in kinds:
        kind = "text"
    elif "integer" in kinds:
        kind = "whole"
    elif "number" in kinds:
        kind = "number"
    elif _JSON_KINDS & set(kinds):
        kind = "json"
    else:
        kind = "text"
    return Argument(name, kind, required, help_text, default)


def given(fields: list[Argument], values: dict[str, Any]) -> Document:
    """The ``args`` of a request: what was filled in.

    Raises:
        ValueError: something required is missing, or is no JSON where it must be; the message names it.
    """
    args: Document = {}
    for field in fields:
        value = values.get(field.name)
        if value in (None, ""):
            if field.required:
                raise ValueError(f"{field.name} must be given.")
            continue
        if field.kind == "json":
            try:
                value = json.loads(str(value))
            except json.JSONDecodeError as error:
                raise ValueError(f"{field.name} is no JSON: {error.msg} at character {error.pos}.") from error
        elif field.kind == "whole":
            value = int(value)
        if field.required or value != field.default:
            args[field.name] = value
    return args


def catalogue(info: Document) -> dict[str, Document]:
    """Commands that a node says it takes, by name, ``ping`` first; what it refuses, and ``cancel``, are left out."""
    taken = {one["name"]: one for one in info.get("commands", []) if one.get("allowed") and one["name"] != "cancel"}
    return dict(sorted(taken.items(), key=lambda item: (item[0] != "ping", item[0])))
