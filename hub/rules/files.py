"""Rules from TOML text and from JSON bodies, checked; every fault is named with file, line and key.

shipped  hub/rules/defaults.toml      tables of one name: with metric, all or any the user's replaces the shipped one,
user's   rules.file                   without it lays its keys over it (``[rules.cpu-busy] enabled = false``)
"""

from __future__ import annotations

import dataclasses
import enum
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from hub.rules.model import RULE_NAME, Rule, RuleSet
from wire.errors import Problem, SettingsError
from wire.settings_layers import Layers, Origin, unknown
from wire.settings_problems import booleans_as_numbers, explain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.config import Settings

DEFAULTS: Final = Path(__file__).with_name("defaults.toml")
#: What a file may hold: rules, and the tests of ``iothub rules check``.
_TOP: Final = frozenset({"rules", "tests"})
_WHOLE: Final = ("metric", "all", "any")


class Source(enum.StrEnum):
    """Where a rule stands."""

    SHIPPED = "shipped"
    FILE = "file"
    #: Shipped, with keys that the file changes.
    CHANGED = "changed"


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One rule with the table that it was made from, as written."""

    rule: Rule
    table: Mapping[str, Any]
    source: Source


def read_rules(path: Path | None, *, shipped: bool = True) -> dict[str, Entry]:
    """All rules by name, shipped ones first. A file that does not exist holds none; None: there is no file.

    Raises:
        SettingsError: with every fault found.
    """
    ours = _tables(_read(DEFAULTS)) if shipped else {}
    layers = _read(path) if path is not None and path.exists() else Layers()
    return _checked(ours, layers)


def check_tables(tables: Mapping[str, Any], *, source: str = "body", shipped: bool = True) -> dict[str, Entry]:
    """As :func:`read_rules`, for the tables of rules in a request.

    Raises:
        SettingsError: with every fault found; ``source`` in place of a file.
    """
    layers = Layers()
    layers.values = {"rules": dict(tables)}
    layers.origins = {(): Origin(source)}
    return _checked(_tables(_read(DEFAULTS)) if shipped else {}, layers)


def rules_file(settings: Settings) -> Path:
    """Where the user's rules stand."""
    return settings.rules.file or settings.state / "rules.toml"


def rule_set(entries: Mapping[str, Entry]) -> RuleSet:
    """For the engine."""
    return RuleSet({name: entry.rule for name, entry in entries.items()})


def shipped_rules() -> dict[str, Entry]:
    """Those that come with iothub."""
    return read_rules(None)


# -- private -----------------------------------------------------------------------------------------------------------


def _read(path: Path) -> Layers:
    layers = Layers()
    layers.lay_file(path)
    return layers


def _tables(layers: Layers) -> dict[str, dict[str, Any]]:
    rules = layers.values.get("rules", {})
    return {name: table for name, table in rules.items() if isinstance(table, dict)} if isinstance(rules, dict) else {}


def _checked(shipped: dict[str, dict[str, Any]], layers: Layers) -> dict[str, Entry]:
    problems = _misplaced(layers)
    users = _tables(layers)
    entries: dict[str, Entry] = {}
    for name in [*shipped, *(name for name in users if name not in shipped)]:
        mine, theirs = shipped.get(name), users.get(name)
        lays_over = mine is not None and theirs is not None and not any(key in theirs for key in _WHOLE)
        table = {**(mine or {}), **theirs} if lays_over and theirs is not None else theirs or mine or {}
        rule = _rule(name, table, layers, problems)
        if rule is not None:
            source = Source.SHIPPED if theirs is None else Source.CHANGED if mine is not None else Source.FILE
            entries[name] = Entry(rule, table, source)
    if problems:
        raise SettingsError(sorted(problems, key=lambda p: (str(p.file), p.line or 0, p.key)))
    return entries


def _rule(name: str, table: dict[str, Any], layers: Layers, problems: list[Problem]) -> Rule | None:
    below = Layers()
    below.values = table
    below.origins = {path[2:]: origin for path, origin in layers.origins.items() if path[:2] == ("rules", name)}
    below.origins.setdefault((), layers.origin(("rules", name)) or Origin("rules"))
    faults: list[Problem] = []
    rule = None
    if re.fullmatch(RULE_NAME, name) is None:
        origin = below.origins[()]
        message = "a rule's name is 1 to 64 of A-Z a-z 0-9 . _ - and does not begin with a dot"
        problems.append(Problem(origin.file, origin.line, f"rules.{name[:64]}", None, message))
    try:
        rule = Rule.model_validate(table)
    except ValidationError as error:
        faults = explain(Rule, error, below)
    else:
        faults = booleans_as_numbers(Rule, below)
    problems += [dataclasses.replace(fault, key=_key(name, fault.key)) for fault in faults]
    return None if faults else rule


def _key(name: str, key: str) -> str:
    """A value without a severity, and the shape of a list element, have names inside the model only."""
    key = re.sub(r"\.(alone|function-after\[.*|bool|str|float|constrained-.*)(?=\.|$)", "", f".{key}")
    return f"rules.{name}{key}".rstrip(".")


def _misplaced(layers: Layers) -> list[Problem]:
    problems = []
    for key in layers.values:
        if key not in _TOP:
            origin = layers.origin((key,)) or Origin("rules")
            problems.append(Problem(origin.file, origin.line, key, None, unknown(key, _TOP)))
    rules = layers.values.get("rules", {})
    wrong = [()] if not isinstance(rules, dict) else [(n,) for n, table in rules.items() if not isinstance(table, dict)]
    for path in wrong:
        origin = layers.origin(("rules", *path)) or Origin("rules")
        key = ".".join(("rules", *path))
        problems.append(Problem(origin.file, origin.line, key, None, "must be a table, such as [rules.room-hot]"))
    return problems
