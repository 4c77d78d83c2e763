"""Opens files below allowed folders, and never anything else, whatever is done to the folders meanwhile.

Each part of a path is opened below the one before it (openat), and none may be a symbolic link: what was checked is
what is read. What cannot be told from a file's own: hard links, and file systems that are mounted below a folder.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
#: Not waiting for the other end of a pipe.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_REFUSED: Final = {
    errno.ELOOP: "a symbolic link",
    errno.ENOTDIR: "not a folder",
    errno.ENXIO: "not a regular file",
    errno.EOPNOTSUPP: "not a regular file",
}


class OutsideError(Exception):
    """A path that may not be opened; the text says why."""


@contextmanager
def opened(path: str, folders: Sequence[str], *, folder: bool = False) -> Iterator[int]:
    """A file descriptor of a regular file (or with ``folder`` of a folder) below one of ``folders``.

    Raises:
        OutsideError: below none of them, with ``.``, ``..`` or empty parts, a symbolic link, or no regular file.
        OSError: missing, or the agent has no right to read it.
    """
    base, parts = _parts(path, folders)
    at = os.open(base, _FOLDER & ~os.O_NOFOLLOW)  # the folder itself stands in the settings
    try:
        for number, part in enumerate(parts):
            last = number == len(parts) - 1 and not folder
            at = _step(at, part, _FILE if last else _FOLDER, path)
        if not folder and not stat.S_ISREG(os.fstat(at).st_mode):
            raise OutsideError(f"{path!r} is not a regular file")
        yield at
    finally:
        os.close(at)


def _step(at: int, part: str, flags: int, path: str) -> int:
    try:
        below = os.open(part, flags, dir_fd=at)
    except OSError as error:
        if error.errno in _REFUSED:
            kind = "a symbolic link" if _is_link(at, part) else _REFUSED[error.errno]
            raise OutsideError(f"{path!r}: {part!r} is {kind}") from error
        raise OSError(error.errno, error.strerror, path) from error
    os.close(at)  # not where it failed: then the caller closes what it still has
    return below


def _is_link(at: int, part: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(part, dir_fd=at, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _parts(path: str, folders: Sequence[str]) -> tuple[str, list[str]]:
    """The allowed folder that a path lies below, and the parts below it."""
    if "\0" in path or not path.startswith("/"):
        raise OutsideError(f"{path!r} must be an absolute path")
    wanted = path.rstrip("/").split("/")[1:]
    if any(part in ("", ".", "..") for part in wanted):
        raise OutsideError(f"{path!r} may have no empty parts, . or ..")
    for folder in sorted(folders, key=len, reverse=True):
        allowed = [part for part in folder.split("/") if part]
        if wanted[: len(allowed)] == allowed:
            return folder, wanted[len(allowed) :]
    known = ", ".join(folders) or "none; agent.commands.files.folders in the settings names them"
    raise OutsideError(f"{path!r} lies below no allowed folder; there are {known}")
