"""A process that spools and replays numbered batches until it is killed.

``python -m tests.support.spool_writer FOLDER FIRST`` prints ``spooled N`` after each batch. The store is a file of
lines, ``FOLDER/stored``, that is away for every other dozen of attempts.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hub.store.base import StoreUnavailable, WriteResult
from hub.store.memory import MemoryStore
from hub.store.passing import PassingStore
from hub.store.spool import Spool
from hub.store.spooled import SpooledStore
from tests.support.spools import batch, numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.store.base import Rejected, Store
    from wire.point import Point


class FileStore(PassingStore):
    """One line a point, in the order of writing; each write is on the disk when it returns."""

    def __init__(self, path: Path, *, is_moody: bool) -> None:
        self._path = path
        self._is_moody = is_moody
        self._attempts = itertools.count()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def write(self, points: Sequence[Point]) -> WriteResult:
        if self._is_moody and next(self._attempts) // 12 % 2:
            raise StoreUnavailable("away", retry_after_s=0.001)
        lines = "".join(f"{number}\n" for number in numbers(points))
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(descriptor, lines.encode())
        os.close(descriptor)
        await asyncio.sleep(0)
        return WriteResult(len(points))

    def _reading(self) -> Store:
        return MemoryStore()


def spooled(folder: Path, *, is_moody: bool) -> tuple[SpooledStore, Spool]:
    """The store and its spool in ``folder``."""

    async def keep(_refused: Sequence[tuple[Point, Rejected]]) -> None:
        raise AssertionError("nothing is refused")

    spool = Spool(folder / "spool", max_bytes=1 << 24, segment_bytes=4000)
    store = FileStore(folder / "stored", is_moody=is_moody)
    return SpooledStore(store, spool, name="file", on_refused=keep, retry_s=0.001), spool


async def _main(folder: Path, first: int) -> None:
    store, _ = spooled(folder, is_moody=True)
    async with store:
        for number in itertools.count(first, 3):
            await store.write(batch(number))
            print(f"spooled {number}", flush=True)  # noqa: T201  what the test reads


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
