"""A disk that is full at will: a small tmpfs where mounting is permitted, else SQLite's own limit: the same error.

``with small_disk(tmp_path) as disk:`` put the state file below ``disk.path``, then ``await disk.fill(state_file)``.
"""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.statefile import StateFile

_CHUNK = bytes(1 << 12)


class Tmpfs:
    """A file takes all the space that is left."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    async def fill(self, _file: StateFile | None = None) -> None:
        with self._filler.open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(_CHUNK)
            except OSError:
                return

    async def free(self, _file: StateFile | None = None) -> None:
        self._filler.unlink()


class PageLimit:
    """The database may not grow."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def fill(self, file: StateFile) -> None:
        await file.run(lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchall())

    async def free(self, file: StateFile) -> None:
        await file.run(lambda connection: connection.execute("PRAGMA max_page_count = 1000000").fetchall())


@contextmanager
def small_disk(folder: Path, size: str = "4m") -> Iterator[Tmpfs | PageLimit]:
    """A disk of ``size`` below ``folder``."""
    path = folder / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        yield PageLimit(path)
        return
    try:
        yield Tmpfs(path)
    finally:
        subprocess.run(["umount", path], check=True)
