"""Commands: the arguments of one as fields of a form, from the JSON schema that its node publishes."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Document = dict[str, Any]
#: Types of JSON schema → kind of field; the first that a schema allows counts.
_KINDS: Final = (
    ("boolean", "boolean"),
    ("string", "text"),
    ("integer", "whole"),
    ("number", "number"),
    ("object", "json"),
)
_DEFS: Final = "#/$defs/"
_GROUP: Final = "group:"


@dataclass(frozen=True)
class Argument:
    """One field of the form."""

    name: str
    #: ``text``, ``loose`` (text or number), ``number``, ``whole``, ``boolean``, ``choice``, ``list`` (of words),
    #: ``json``, ``fixed`` (there is nothing to choose), or ``all``: the arguments together, as a JSON object.
    kind: str
    required: bool
    help: str = ""
    default: Any = None
    #: Values as they are sent, of a choice and of a list.
    choices: tuple[Any, ...] = ()
    least: float | None = None
    most: float | None = None


#: Where nothing is known of the arguments.
FREE: Final = (Argument("arguments", "all", required=False, help='A JSON object, such as {"lines": 10}'),)


def forms(schema: object) -> dict[str, Sequence[Argument]]:
    """The fields for a command, by the name of the form: more than one where its schema offers alternatives.

    A schema is what a node says, and may be anything: one that cannot be understood gives :data:`FREE`.
    """
    try:
        return _forms(schema or {})  # type: ignore[arg-type]  # what is no schema raises one of these
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return {"": FREE}


def _forms(whole: Document) -> dict[str, Sequence[Argument]]:
    offered = whole.get("oneOf") or whole.get("anyOf") or [whole]
    found: dict[str, Sequence[Argument]] = {}
    for number, one in enumerate(offered, start=1):
        fields = _fields(_resolved(one, whole), whole)
        fixed = " ".join(str(field.default) for field in fields if field.kind == "fixed")
        name = fixed or f"form {number}"
        found[name if name not in found else f"{name} ({number})"] = fields
    return found


def given(fields: Sequence[Argument], values: dict[str, Any]) -> Document:
    """The ``args`` of a request: what was filled in; what is as the node has it anyway is left to the node.

    Raises:
        ValueError: something required is missing, or is no JSON where it must be; the message names it.
    """
    args: Document = {}
    for field in fields:
        value = field.default if field.kind == "fixed" else values.get(field.name)
        if value in (None, "", []):
            if field.required:
                raise ValueError(f"{field.name} must be given.")
            continue
        value = _as_sent(field, value)
        if field.kind == "all":
            args |= value
        elif field.required or value != field.default or type(value) is not type(field.default):
            args[field.name] = value
    return args


def catalogue(info: Document) -> dict[str, Document]:
    """Commands that a node says it takes, by name, ``ping`` first; what it refuses, and ``cancel``, are left out."""
    said = info.get("commands")
    named = [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []
    taken = {
        one["name"]: one
        for one in named
        if isinstance(one.get("name"), str) and one.get("allowed") is True and one["name"] != "cancel"
    }
    return ping_first(taken)


def ping_first(commands: Mapping[str, Document]) -> dict[str, Document]:
    """By name, but for what everybody tries first."""
    return dict(sorted(commands.items(), key=lambda item: (item[0] != "ping", item[0])))


def meant(selectors: Iterable[str], nodes: Iterable[Document]) -> list[str]:
    """The nodes that any of ``selectors`` means, as the API reads them: an id, a glob, ``group:NAME``."""
    wanted = list(selectors)
    return sorted(node["node"] for node in nodes if any(_means(each, node) for each in wanted))


def _means(selector: str, node: Document) -> bool:
    if selector.startswith(_GROUP):
        return any(fnmatch.fnmatchcase(group, selector.removeprefix(_GROUP)) for group in node["groups"])
    return fnmatch.fnmatchcase(node["node"], selector)


def _fields(schema: Document, whole: Document) -> list[Argument]:
    wanted = schema.get("required", [])
    return [
        _argument(name, _resolved(about, whole), whole, required=name in wanted)
        for name, about in schema.get("properties", {}).items()
    ]


def _argument(name: str, about: Document, whole: Document, *, required: bool) -> Argument:
    alternatives = [about, *(_resolved(one, whole) for one in (*about.get("anyOf", ()), *about.get("oneOf", ())))]
    help_text, default = str(about.get("description", "")), about.get("default")
    if "const" in about:
        return Argument(name, "fixed", required, help_text, about["const"])
    if (enum := _first(alternatives, "enum")) is not None:
        return Argument(name, "choice", required, help_text, default, tuple(one for one in enum if one is not None))
    types = {one for alternative in alternatives for one in _types(alternative)}
    if (items := _first([one for one in alternatives if "array" in _types(one)], "items")) is not None:
        of = _resolved(items, whole)
        if "enum" in of or _types(of) == ["string"]:
            return Argument(name, "list", required, help_text, default, tuple(of.get("enum", ())))
    if "array" in types:
        return Argument(name, "json", required, help_text, default)
    kind = next((kind for one, kind in _KINDS if one in types), "text")
    if kind == "text" and types & {"number", "integer"}:
        kind = "loose"
    if kind == "boolean" and not required and default is None:
        # A box that is not ticked says no; whoever ticks nothing wants what the node does anyway.
        return Argument(name, "choice", required, help_text, None, (True, False))
    least, most = _first(alternatives, "minimum"), _first(alternatives, "maximum")
    return Argument(name, kind, required, help_text, default, least=least, most=most)


def _as_sent(field: Argument, value: Any) -> Any:
    if field.kind in ("json", "all"):
        try:
            read = json.loads(str(value))
        except json.JSONDecodeError as error:
            raise ValueError(f"{field.name} is no JSON: {error.msg} at character {error.pos}.") from error
        if field.kind == "all" and not isinstance(read, dict):
            raise ValueError(f"{field.name} must be a JSON object, such as {{}}.")
        return read
    if field.kind == "whole":
        return int(value)
    if field.kind == "loose":
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _types(about: Document) -> list[str]:
    named = about.get("type", [])
    return [one for one in ([named] if isinstance(named, str) else named) if one != "null"]


def _first(alternatives: Sequence[Document], key: str) -> Any:
    return next((one[key] for one in alternatives if key in one), None)


def _resolved(about: Document, whole: Document) -> Document:
    """``about``, or what its ``$ref`` names; other keys beside the reference count, too."""
    name = str(about.get("$ref", ""))
    if not name.startswith(_DEFS):
        return about
    return {
        **whole.get("$defs", {}).get(name.removeprefix(_DEFS), {}),
        **{k: v for k, v in about.items() if k != "$ref"},
    }
