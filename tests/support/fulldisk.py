"""A disk for the state of a whole process that can be full and have space again.

A small tmpfs where mounting is permitted; elsewhere the kernel's limit of file sizes, set on the running process, which
makes every write that lets a file grow fail just as a full disk does.
"""

from __future__ import annotations

import contextlib
import resource
import subprocess
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNKS = (1 << 20, 1 << 12)


class Disk(Protocol):
    """Where ``path`` is."""

    path: Path
    #: Whether other processes, such as one that starts now, find it full as well.
    is_real: bool
    #: What an error about it must say; the limit of sizes looks like a broken disk.
    advice: str

    def fill(self, pid: int) -> None: ...
    def free(self, pid: int | None) -> None: ...


class Tmpfs:
    """A file takes all the space that is left."""

    is_real = True
    advice = "free some"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, _pid: int) -> None:
        with self._ballast.open("wb", buffering=0) as ballast:
            for size in _CHUNKS:
                with contextlib.suppress(OSError):
                    while True:
                        ballast.write(bytes(size))

    def free(self, _pid: int | None) -> None:
        self._ballast.unlink()


class SizeLimit:
    """No file of the process may grow."""

    is_real = False
    advice = ""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, pid: int) -> None:
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))

    def free(self, pid: int | None) -> None:
        if pid is not None:
            _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))


@contextlib.contextmanager
def full_disk(folder: Path, size: str = "32m") -> Iterator[Disk]:
    """A disk of ``size`` below ``folder``, with space until it is filled."""
    path = folder / "disk"
    path.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True, check=False
    )
    if mount.returncode != 0:
        yield SizeLimit(path)
        return
    try:
        yield Tmpfs(path)
    finally:
        subprocess.run(["umount", path], check=True)
