"""Where the children's lines go: a bounded log file each, and the terminal when they matter.

line ──▶ {state}/log/{name}.log            all of them, as written
    └──▶ terminal, as ``name | text``      warnings and worse; everything with --verbose
"""

from __future__ import annotations

import enum
import json
import re
from typing import IO, TYPE_CHECKING, Final, Self

from hub.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from hub.supervise.child import Sink

#: A file that has grown past this is kept once as ``.1`` and started anew.
MAX_FILE_BYTES: Final = 8 << 20

_WORDS: Final = re.compile(r"\b(debug|info|notice|warn(?:ing)?|error|err|critical|fatal|traceback)\b", re.IGNORECASE)
#: Levels stand at the start of a line, after the time; a word further on is part of a sentence.
_LEVEL_WITHIN: Final = 48


class Level(enum.IntEnum):
    """How much a line matters."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


_LEVELS: Final = {
    "debug": Level.DEBUG,
    "info": Level.INFO,
    "notice": Level.INFO,
    "warn": Level.WARNING,
    "warning": Level.WARNING,
    "err": Level.ERROR,
    "error": Level.ERROR,
    "critical": Level.ERROR,
    "fatal": Level.ERROR,
    "traceback": Level.ERROR,
}
_JSON_NOISE: Final = frozenset({"level", "event", "timestamp", "logger"})


def level_of(line: str) -> Level:
    """Level of a line: JSON by its ``level``, others by the first level word near the start; information if none."""
    record = _json(line)
    if record is not None:
        return _LEVELS.get(str(record.get("level", "info")).lower(), Level.INFO)
    found = _WORDS.search(line[:_LEVEL_WITHIN])
    return _LEVELS[found.group().lower()] if found else Level.INFO


def readable(line: str) -> str:
    """A line for people: JSON as ``event key=value``, and nothing that could steer the terminal."""
    record = _json(line)
    if record is None:
        return printable(line)
    pairs = (f"{key}={value}" for key, value in record.items() if key not in _JSON_NOISE)
    return printable(" ".join([str(record.get("event", "")), *pairs]).strip())


class ChildLogs:
    """Log files of one run, below ``folder``; a context manager."""

    def __init__(self, folder: Path, show: Callable[[str], None], *, verbose: bool = False) -> None:
        self._folder = folder
        self._show = show
        self._least = Level.DEBUG if verbose else Level.WARNING
        self._files: dict[str, _File] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def sink(self, name: str) -> Sink:
        """Where the lines of one child go."""
        if name not in self._files:
            self._files[name] = _File(self.path(name), self._show)
        file = self._files[name]

        def take(line: str) -> None:
            file.write(line)
            if level_of(line) >= self._least:
                self._show(f"{name} | {readable(line)}")

        return take

    @staticmethod
    def readable(line: str) -> str:
        return readable(line)


class _File:
    """Appends lines; at most two files of :data:`MAX_FILE_BYTES`.

    What a full disk does not take is lost, which is said once and noted in the file as soon as it takes lines again.
    """

    def __init__(self, path: Path, show: Callable[[str], None]) -> None:
        self._path = path
        self._show = show
        self._lost = 0
        self._file: IO[bytes] = self._open()

    def write(self, line: str) -> None:
        try:
            if self._lost:
                self._append(f"({self._lost} lines are missing here: they could not be written)")
                self._lost = 0
            self._append(line)
            if self._file.tell() > MAX_FILE_BYTES:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
                full, self._file = self._file, self._open()
                full.close()
        except OSError as error:
            if not self._lost:
                self._show(f"iothub: {self._path} cannot be written: {error.strerror}; its lines are lost meanwhile")
            self._lost += 1

    def close(self) -> None:
        self._file.close()

    def _append(self, line: str) -> None:
        """Write a whole line, or say why not; half a line may stand there then."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        while data:
            data = data[self._file.write(data) :]

    def _open(self) -> IO[bytes]:
        file = self._path.open("ab", buffering=0)
        self._path.chmod(0o600)
        return file


def _json(line: str) -> dict[str, object] | None:
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
