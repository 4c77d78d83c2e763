"""What can go wrong with a state file, by what the caller does; see :mod:`hub.statefile`.

StateError
├── StateUnavailable    call again later: nothing of the call was kept
│   └── StateFull       the same; somebody must free space on the disk
└── StateBroken         stop: a person must act
"""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

#: The low byte of SQLite's result codes is the kind; https://www.sqlite.org/rescode.html
_KIND: Final = 0xFF
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FORBIDDEN: Final = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM})
#: Of the machine or its disk; anything else is a mistake in our SQL and goes up as it is.
_PASSING: Final = _FORBIDDEN | {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM}


class StateError(Exception):
    """Root of the errors of a state file."""


class StateUnavailable(StateError):  # noqa: N818  the name says what the caller does
    """Nothing of the call was kept; the same call may be made again."""


class StateFull(StateUnavailable):
    """No space on the disk; nothing may be acknowledged until somebody frees some."""


class StateBroken(StateError):  # noqa: N818
    """The file cannot be used until a person acts; the message says what to do."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is no database any more."""
    return _kind(error) in _DAMAGED


def damage(found: str) -> sqlite3.DatabaseError:
    """An error as if a statement had met the damage that a check found."""
    error = sqlite3.DatabaseError(found)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    error.sqlite_errorname = "SQLITE_CORRUPT"
    return error


def translated(path: Path, error: sqlite3.DatabaseError) -> Exception:
    """What the caller of a call is told."""
    if _kind(error) == sqlite3.SQLITE_FULL:
        return _full(path)
    if _kind(error) in _PASSING:
        return StateUnavailable(f"{path} cannot be read or written: {error} ({error.sqlite_errorname})")
    return error


def unopened(path: Path, error: sqlite3.DatabaseError | OSError) -> Exception:
    """What the caller is told who wanted to open the file."""
    if isinstance(error, OSError):
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        return _full(path) if full else StateBroken(f"cannot open {path}: {error.strerror}")
    if _kind(error) == sqlite3.SQLITE_BUSY:
        return StateBroken(
            f"{path} is open in another process: does a second hub run in this state directory? "
            "Stop one, or give it another directory with --state"
        )
    if _kind(error) in _FORBIDDEN:
        return StateBroken(f"cannot open {path}: {error}; the hub's user must be able to write there")
    return translated(path, error)


def _full(path: Path) -> StateFull:
    return StateFull(f"no space left for {path}: free some on that disk; nothing is acknowledged until then")


def _kind(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)  # the module's own errors have none
    return code & _KIND
