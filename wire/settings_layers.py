"""The layers that settings come from, laid over each other, with the place of each value kept.

iothub.toml  ─▶  IOTHUB_SECTION__KEY  ─▶  command line        later layers win, key by key
"""

from __future__ import annotations

import difflib
import json
import logging
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from wire.errors import Problem, SettingsError
from wire.settings_file import KeyPath, key_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel
    from pydantic_settings import BaseSettings

DEFAULT_FILE: Final = Path("iothub.toml")
COMMAND_LINE: Final = "command line"
DELIMITER: Final = "__"

_log: Final = logging.getLogger(__name__)
_TOML_PLACE: Final = re.compile(r" \(at line (\d+), column (\d+)\)")
#: How alike a variable must be to a setting's before a person is told.
_NEARLY: Final = 0.9


class Origin(NamedTuple):
    """Where a value was written: a file and a line, a variable, or the command line."""

    file: Path | str
    line: int | None = None


class Layers:
    """What all sources say together: ``values`` as a tree of dicts, ``origins`` for each path in it."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[KeyPath, Origin] = {}

    def origin(self, path: KeyPath) -> Origin | None:
        """Where ``path`` was written, or else the nearest table around it."""
        return next((self.origins[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.origins), None)

    def value(self, path: KeyPath) -> object:
        """The value at ``path``; None where there is none."""
        value: Any = self.values
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def lay_file(self, path: Path | None) -> Path | None:
        """Lay a TOML file; None is ``iothub.toml`` in the current directory where there is one. Returns the file read.

        Raises:
            SettingsError: the file is missing, cannot be read, or is no TOML.
        """
        file = path or DEFAULT_FILE
        if path is None and not file.exists():
            return None
        text = _read(file)
        try:
            self.values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            place = _TOML_PLACE.search(str(error))
            line, column = (int(place[1]), f" (column {place[2]})") if place else (text.count("\n") + 1, "")
            reason = _TOML_PLACE.sub("", str(error)) + column
            raise SettingsError([Problem(file, line, "", None, f"not TOML: {reason}")]) from error
        self.origins = {key: Origin(file, line) for key, line in key_lines(text).items()}
        self.origins[()] = Origin(file)
        return file

    def lay(self, values: Mapping[str, Any], source: str) -> None:
        """Lay a tree of values that all come from ``source``; lists replace, tables merge."""
        self._lay(self.values, values, (), Origin(source))

    def _lay(self, under: dict[str, Any], over: Mapping[str, Any], table: KeyPath, origin: Origin) -> None:
        for key, value in over.items():
            path = (*table, key)
            if isinstance(value, dict) and isinstance(under.get(key), dict):
                self._lay(under[key], value, path, origin)
                continue
            self.origins = {p: o for p, o in self.origins.items() if p[: len(path)] != path}
            self.origins[path] = origin
            under[key] = value


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = bytes(error.object).count(b"\n", 0, error.start) + 1
        problem = Problem(file, line, "", None, f"not UTF-8: byte 0x{error.object[error.start]:02x}")
        raise SettingsError([problem]) from error
    except OSError as error:
        hint = "; check the path" if isinstance(error, FileNotFoundError) else ""
        problem = Problem(file, None, "", None, f"cannot be read: {error.strerror}{hint}")
        raise SettingsError([problem]) from error


def environment(
    model: type[BaseModel], variables: Mapping[str, str], *, prefix: str, sections: frozenset[str]
) -> Iterator[tuple[str, dict[str, Any]] | Problem]:
    """What each variable says, as (name, tree of values), or the problem with it.

    Names are case-insensitive and nest by ``__``; values are read as pydantic-settings does: JSON for lists and tables.
    A variable of a section of ``sections`` that ``model`` has not is skipped. One without ``__`` that is no setting is
    left alone: container platforms make such names of their own (``IOTHUB_SERVICE_PORT``).
    """
    ours = {name: text for name, text in variables.items() if name.upper().startswith(prefix.upper())}
    if not ours:
        return
    from pydantic_settings import EnvSettingsSource  # noqa: PLC0415  doubles the time to import, and is rarely needed
    from pydantic_settings.exceptions import SettingsError as Unreadable  # noqa: PLC0415

    reader = EnvSettingsSource(
        cast("type[BaseSettings]", model),  # all it asks of the class are its fields
        case_sensitive=False,
        env_prefix=prefix,
        env_nested_delimiter=DELIMITER,
    )
    for name, text in sorted(ours.items()):
        section = name[len(prefix) :].split(DELIMITER)[0].lower()
        if section not in model.model_fields:
            if section not in sections and (problem := _stranger(model, name, prefix, sections)):
                yield problem
            continue
        reader.env_vars = {name.lower(): text}
        try:
            yield name, reader()
        except Unreadable as error:
            why = error.__cause__
            reason = f": {why.msg} (character {why.pos + 1})" if isinstance(why, json.JSONDecodeError) else ""
            yield Problem(name, None, section, None, f"must be JSON, as lists and tables are{reason}")


def _stranger(model: type[BaseModel], name: str, prefix: str, sections: frozenset[str]) -> Problem | None:
    """A variable that begins like ours and names no section of ours."""
    section, *rest = name[len(prefix) :].split(DELIMITER)
    if rest:
        return Problem(name, None, section.lower(), None, unknown(section.lower(), sections | set(model.model_fields)))
    near = difflib.get_close_matches(name.upper(), _variables(model, prefix), n=1, cutoff=_NEARLY)
    if near:
        _log.warning("environment variable %s is not a setting and is ignored; did you mean %s?", name, near[0])
    return None


def _variables(model: type[BaseModel], prefix: str) -> list[str]:
    """Names of the variables for the scalars and for the keys one level down."""
    names = []
    for section, field in model.model_fields.items():
        below: Mapping[str, object] = getattr(field.annotation, "model_fields", {})
        names += [f"{prefix}{section}{DELIMITER}{key}".upper() for key in below] or [f"{prefix}{section}".upper()]
    return names


def unknown(key: str, known: frozenset[str] | set[str]) -> str:
    """Say that ``key`` is unknown, and what was probably meant or is allowed."""
    near = difflib.get_close_matches(key.lower(), sorted(known), n=2, cutoff=0.7)
    return (
        f"unknown key; did you mean {' or '.join(near)}?"
        if near
        else f"unknown key; known here: {', '.join(sorted(known))}"
    )
