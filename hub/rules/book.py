"""The rules in force: read from the file, changed over HTTP, written back with the user's comments left as they are.

put, remove, replace_all ─▶ file as it is now ─▶ changed text (tomlkit) ─▶ checked ─▶ written ─▶ on_change(RuleSet)
reload (the file was edited by hand) ─────────────────────────────────────▶ checked ───────────▶ on_change(RuleSet)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, InlineTable

from hub.rules.files import Entry, Source, check_tables, read_rules, rule_set, shipped_rules
from wire.errors import Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hub.rules.model import RuleSet

_HEAD: Final = (
    "# Rules: what is watched for. Stored here by the hub; edit it as you like, then run: iothub rules reload\n"
)


class NoSuchRule(Exception):  # noqa: N818  the name says what happened
    """There is no rule of that name."""


class RuleShipped(Exception):  # noqa: N818
    """The rule came with iothub: it can be switched off, not removed."""


class RuleBook:
    """All rules with where they stand.

    Args:
        path: the user's file; need not exist.
        shipped: whether the rules that come with iothub are among them.

    Raises:
        SettingsError: what the file says is wrong.
    """

    def __init__(self, path: Path, *, shipped: bool = True) -> None:
        self.path = path
        self._shipped = shipped
        self._entries = read_rules(path, shipped=shipped)
        #: Called with the rules whenever they have changed.
        self.on_change: Callable[[RuleSet], None] = lambda _rules: None

    @property
    def entries(self) -> Mapping[str, Entry]:
        """By name, shipped ones first."""
        return self._entries

    def rules(self) -> RuleSet:
        """For the engine."""
        return rule_set(self._entries)

    def reload(self) -> None:
        """Take what the file says now.

        Raises:
            SettingsError: it is wrong; the rules stay as they are.
        """
        self._entries = read_rules(self.path, shipped=self._shipped)
        self.on_change(self.rules())

    def put(self, name: str, table: Mapping[str, Any]) -> Entry:
        """Store one rule.

        Raises:
            SettingsError: it is wrong, or the file is.
            OSError: the file cannot be written; the rules stay as they are.
        """
        checked = check_tables({name: table}, shipped=self._shipped)
        document, rules = self._document()
        if not self._as_shipped(name, checked):
            _place(rules, name, table)
        elif name in rules:
            rules.remove(name)
        self._store(document)
        return self._entries[name]

    def remove(self, name: str) -> None:
        """Remove a rule from the file; a shipped one that the file changes is as it was shipped again.

        Raises:
            NoSuchRule, RuleShipped, SettingsError, OSError.
        """
        document, rules = self._document()
        if name not in rules:
            if name in self._entries and self._entries[name].source is Source.SHIPPED:
                raise RuleShipped(name)
            raise NoSuchRule(name)
        rules.remove(name)
        self._store(document)

    def replace_all(self, tables: Mapping[str, Mapping[str, Any]]) -> None:
        """Make these the rules of the file; what is as it was shipped is not written, shipped rules stay.

        Raises:
            SettingsError, OSError: the rules stay as they are.
        """
        checked = check_tables(tables, shipped=self._shipped)
        wanted = {name: table for name, table in tables.items() if not self._as_shipped(name, checked)}
        document, rules = self._document()
        for name in [name for name in rules if name not in wanted]:
            rules.remove(name)
        for name, table in wanted.items():
            _place(rules, name, table)
        self._store(document)

    # -- private -----------------------------------------------------------------------------------------------------

    def _as_shipped(self, name: str, checked: Mapping[str, Entry]) -> bool:
        ours = shipped_rules().get(name) if self._shipped else None
        return ours is not None and checked[name].rule == ours.rule

    def _document(self) -> tuple[tomlkit.TOMLDocument, AbstractTable]:
        """The file as it is now, and its table of rules.

        Raises:
            SettingsError: it was edited by hand and is wrong.
        """
        read_rules(self.path, shipped=self._shipped)
        text = self.path.read_text(encoding="utf-8-sig") if self.path.exists() else _HEAD
        try:
            document = tomlkit.parse(text)
        except TOMLKitError as error:  # tomllib took it: what the two disagree on is nobody's guess
            raise SettingsError([Problem(self.path, None, "", None, f"cannot be changed here: {error}")]) from error
        if "rules" not in document:
            document["rules"] = tomlkit.table(is_super_table=True)
        rules = document["rules"]
        if not isinstance(rules, AbstractTable):
            raise TypeError(rules)
        return document, rules

    def _store(self, document: tomlkit.TOMLDocument) -> None:
        """Check the new text as it will be read, then put it in the old one's place.

        Raises:
            SettingsError, OSError.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".new")
        mode = self.path.stat().st_mode & 0o777 if self.path.exists() else 0o600
        try:
            with os.fdopen(
                os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8"
            ) as file:
                file.write(tomlkit.dumps(document))
                file.flush()
                os.fsync(file.fileno())
            entries = read_rules(partial, shipped=self._shipped)
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)
        self._entries = entries
        self.on_change(self.rules())


def as_toml(name: str, table: Mapping[str, Any]) -> str:
    """A rule as it would stand in a file."""
    document = tomlkit.document()
    rules = tomlkit.table(is_super_table=True)
    rules[name] = _toml(table)
    document["rules"] = rules
    return tomlkit.dumps(document)


def _place(rules: AbstractTable, name: str, table: Mapping[str, Any]) -> None:
    """Write ``table`` under ``name``, key by key, so that comments between the keys stay."""
    there = rules.get(name)
    if not isinstance(there, AbstractTable):
        rules[name] = _toml(table)
        return
    for key in [key for key in there if key not in table]:
        there.remove(key)
    for key, value in table.items():
        if key not in there or _plain(there[key]) != value:
            there[key] = _toml_value(value)


def _plain(value: Any) -> Any:
    """What a TOML library's value stands for; booleans are plain already."""
    return value.unwrap() if hasattr(value, "unwrap") else value


def _toml(table: Mapping[str, Any]) -> AbstractTable:
    made = tomlkit.table()
    for key, value in table.items():
        made[key] = _toml_value(value)
    return made


def _toml_value(value: Any) -> Any:
    """Tables within a rule stand on one line, lists of tables with one a line."""
    if isinstance(value, dict):
        inline: InlineTable = tomlkit.inline_table()
        for key, below in value.items():
            inline[key] = _toml_value(below)
        return inline
    if isinstance(value, list | tuple):
        array = tomlkit.array()
        for each in value:
            array.append(_toml_value(each))
        return array.multiline(any(isinstance(each, dict) for each in value))
    return value
