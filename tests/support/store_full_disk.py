"""A process whose files cannot grow for a while, as on a full disk.

``python -m tests.support.store_full_disk FILE WHEN``, where WHEN is ``commit`` or ``checkpoint``: which of the two hits
the limit first. Prints the first refusal; fails when a sample is missing or there twice in the end.
"""

from __future__ import annotations

import asyncio
import random
import resource
import signal
import sys
from pathlib import Path

from hub.store import duck_file
from hub.store.base import Query, StoreUnavailable
from hub.store.duck import DuckStore
from tests.support.stores import ALL, NOON, at

_REFUSALS = 3
_BATCH = 4000


async def _main(path: Path, when: str) -> None:
    room_bytes = 1_000_000
    if when == "checkpoint":
        duck_file._CHECKPOINT_AT = "256KiB"  # type: ignore[misc]  # so that the database grows before its log is long
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    dice = random.Random(1)
    batches = [[at(number + i / _BATCH, a=dice.random()) for i in range(_BATCH)] for number in range(40)]
    async with DuckStore(path, threads=1, clock_ns=lambda: NOON) as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, unlimited[1]))
        waiting, refusals = list(reversed(batches)), 0
        while waiting:
            try:
                await store.write(waiting[-1])
                waiting.pop()
            except StoreUnavailable as error:
                if not refusals:
                    print(f"refused: {error}")  # noqa: T201  what the test reads
                    print("in between:", len(await _times(store)))  # noqa: T201
                refusals += 1
                if refusals == _REFUSALS:
                    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        assert refusals >= _REFUSALS
        assert await _times(store) == [point.ts_ns for batch in batches for point in batch]


async def _times(store: DuckStore) -> list[int]:
    try:
        (frame,) = await store.query(Query(ALL, 0, 2**62))
    except StoreUnavailable:
        return []  # until the next write opens the file anew
    return [int(ts_ns) for ts_ns in frame.ts_ns]


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2]))
