"""Where each key of a TOML text stands, so that complaints about settings can name the line.

:mod:`tomllib` gives values without positions. This scanner gives positions without values: it walks text that tomllib
has already accepted, so it only has to find where keys and values end, never to judge them (TOML 1.0, https://toml.io).
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from typing import Final

#: Steps from the root: table keys, and indices of arrays.
KeyPath = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
#: A scalar that is no string ends where one of these stands.
_PLAIN_VALUE: Final = re.compile(r"[^,\]}#\r\n]+")
#: Strings, longest opening first. Multi-line ones may end in up to two quotes of their own.
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """1-based line of every table, key and array element in ``text``, which must be valid TOML."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def dotted(path: KeyPath) -> str:
    """A path as people write it: ``sources[0].filter``."""
    shown = ""
    for step in path:
        if isinstance(step, int):
            shown += f"[{step}]"
        else:
            shown += f".{step}" if shown else step
    return shown


class _Scanner:
    """One pass over the text; ``_at`` is the offset of the next character."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._newlines = [found.start() for found in re.finditer("\n", text)]
        #: Arrays of tables and how many elements each has so far.
        self._elements: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        while self._next():
            if self._text.startswith("[[", self._at):
                table = self._array_header()
            elif self._text[self._at] == "[":
                table = self._table_header()
            else:
                self._pair(table)

    def _array_header(self) -> KeyPath:
        line, keys = self._line(), self._keys(opening=2)
        array = (*self._resolve(keys[:-1], line), keys[-1])
        index = self._elements.get(array, 0)
        self._elements[array] = index + 1
        self.lines.setdefault(array, line)
        self.lines[*array, index] = line
        return (*array, index)

    def _table_header(self) -> KeyPath:
        line, keys = self._line(), self._keys(opening=1)
        table = self._resolve(keys, line)
        self.lines[table] = line  # wins over an earlier mention such as [mqtt.tls]
        return table

    def _resolve(self, keys: list[str], line: int) -> KeyPath:
        """The table that ``keys`` mean here: an array of tables stands for its newest element."""
        path: KeyPath = ()
        for key in keys:
            path = (*path, key)
            self.lines.setdefault(path, line)
            if path in self._elements:
                path = (*path, self._elements[path] - 1)
        return path

    def _pair(self, table: KeyPath) -> None:
        path = table
        line = self._line()
        for key in self._keys(opening=0):
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        match self._text[self._at]:
            case '"' | "'":
                self._skip(_STRING)
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case _:
                self._skip(_PLAIN_VALUE)

    def _array(self, path: KeyPath) -> None:
        index = 0
        self._at += 1
        while self._next() != "]":
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self.lines[*path, index] = self._line()
            self._value((*path, index))
            index += 1
        self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while self._next() != "}":
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._pair(path)
        self._at += 1

    def _keys(self, opening: int) -> list[str]:
        """The parts of a dotted key, with ``opening`` brackets before and after it."""
        self._at += opening
        keys = []
        while True:
            self._skip(_SPACE)
            if self._text[self._at] in "\"'":
                keys.append(_unquoted(self._skip(_STRING)))
            else:
                keys.append(self._skip(_BARE_KEY))
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                break
            self._at += 1
        self._at += opening
        return keys

    def _next(self) -> str:
        """The next character that is neither blank nor comment; empty at the end."""
        self._skip(_BLANK)
        return self._text[self._at : self._at + 1]

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:  # not reached: tomllib has accepted the text
            raise ValueError(f"line {self._line()}: no TOML that this scanner knows")
        self._at = found.end()
        return found.group()

    def _line(self) -> int:
        return bisect_left(self._newlines, self._at) + 1


def _unquoted(key: str) -> str:
    """A quoted key without its quotes and escapes."""
    (name,) = tomllib.loads(f"{key}=0")
    return name
