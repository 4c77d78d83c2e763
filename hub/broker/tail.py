"""Follows a log file that is kept once as ``.1`` and started anew when it is full (``hub/supervise/logs.py``)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_AT_ONCE_BYTES: Final = 1 << 20


class Place(NamedTuple):
    """How far a file was read."""

    inode: int = 0
    offset: int = 0


class Tail:
    """Reads what was appended.

    Args:
        path: the file; may be missing.
        place: where to go on; None: at the end of what is there now.
    """

    def __init__(self, path: Path, place: Place | None) -> None:
        self._path = path
        self.place = place if place is not None else _end_of(path)

    def read(self) -> list[bytes]:
        """New whole lines, at most 1 MiB of them; empty when there are none.

        Raises:
            OSError: a file is there and cannot be read.
        """
        lines: list[bytes] = []
        old = self._path.with_name(self._path.name + ".1")
        for path in (old, self._path):
            try:
                file = path.open("rb")
            except FileNotFoundError:
                continue
            with file:
                inode = os.fstat(file.fileno()).st_ino
                if path is old and inode != self.place.inode:
                    continue
                begin = self.place.offset if inode == self.place.inode else 0
                file.seek(begin)
                piece = file.read(_AT_ONCE_BYTES - sum(map(len, lines)))
            whole = piece[: piece.rfind(b"\n") + 1]
            lines += whole.splitlines()
            self.place = Place(inode, begin + len(whole))
            if path is old and whole:
                break  # what is left of it first
        return lines


def _end_of(path: Path) -> Place:
    try:
        found = path.stat()
    except FileNotFoundError:
        return Place()
    return Place(found.st_ino, found.st_size)
