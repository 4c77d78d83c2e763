"""What a node allows: a list that denies by default, each entry a command and patterns for its arguments.

    "ping"                               the command, whatever its arguments
    "logs source=syslog lines=*"         only with these arguments; those that are not named are free
    "service-restart service=app-*"      shell globs over the whole text, upper and lower case as written
    "shell name=df path=~/[a-z/]*"       after ``~`` a regular expression over the whole text
    "services*"                          the name may be a glob too; "*" is everything

Patterns see arguments after they were read: with their defaults, numbers as decimal text, true and false as such; of a
list each element must match, and an argument that is null matches nothing but ``*``.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Commands of the catalogue; here, so that settings can be checked without what runs them.
KNOWN: Final = (
    "cancel", "collect", "files", "info", "interval", "logs", "ping", "processes", "service-restart", "services",
    "shell",
)  # fmt: skip
#: Allowed unless the settings say otherwise: these neither change the host nor show more of it than its telemetry.
HARMLESS: Final = ("cancel", "collect", "info", "interval", "ping")
_REGEX: Final = "~"
_EVERYTHING: Final = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of the list."""

    text: str
    name: str
    #: By argument.
    patterns: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, text: str) -> Rule:
        """Parse an entry.

        Raises:
            ValueError: not of that form, no such command, or a regular expression that is none.
        """
        try:
            name, *words = shlex.split(text)
        except ValueError as error:
            raise ValueError(f"{text!r}: must be a command and any number of argument=pattern") from error
        if not any(fnmatchcase(known, name) for known in KNOWN):
            raise ValueError(f"{text!r}: no command {name!r}; there are {', '.join(KNOWN)}")
        patterns = []
        for word in words:
            argument, equals, pattern = word.partition("=")
            if not equals or not argument:
                raise ValueError(f"{text!r}: {word!r} must be argument=pattern")
            if pattern.startswith(_REGEX):
                try:
                    re.compile(pattern[1:])
                except re.error as error:
                    raise ValueError(f"{text!r}: {pattern[1:]!r} is no regular expression: {error}") from error
            patterns.append((argument, pattern))
        return cls(text, name, tuple(patterns))

    def allows(self, arguments: Mapping[str, Any]) -> bool:
        """Whether arguments that were read match all patterns."""
        return all(_matches(pattern, arguments.get(argument)) for argument, pattern in self.patterns)


class Policy:
    """The list of one node."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._rules = tuple(Rule.read(text) for text in entries)

    def rules(self, name: str) -> list[Rule]:
        """Those about the command ``name``; it is allowed with any arguments when one has no patterns."""
        return [rule for rule in self._rules if fnmatchcase(name, rule.name)]

    def refusal(self, name: str, arguments: Mapping[str, Any]) -> str | None:
        """Why this node does not allow it; None when it does."""
        rules = self.rules(name)
        if any(rule.allows(arguments) for rule in rules):
            return None
        if not rules:
            return f"this node does not allow {name!r}; agent.commands.allow in its settings decides"
        allowed = "; ".join(rule.text for rule in rules)
        return f"this node does not allow {name!r} with these arguments, only: {allowed}"


def _matches(pattern: str, value: object) -> bool:
    if pattern == _EVERYTHING:
        return True
    if isinstance(value, list | tuple):
        return bool(value) and all(_matches(pattern, each) for each in value)
    if value is None:
        return False
    text = ("false", "true")[value] if isinstance(value, bool) else str(value)
    if pattern.startswith(_REGEX):
        return re.fullmatch(pattern[1:], text) is not None
    return fnmatchcase(text, pattern)
