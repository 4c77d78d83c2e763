"""A disk spool: what a store could not take, kept until it can. Append at one end, read and delete at the other.

    append(points) ─▶ 000000000007.seg  ◀─ written and synced before it returns
                      000000000006.seg
    read() ◀───────── 000000000005.seg  ◀─ position: segment and offset; advance() moves it, atomically
                      000000000004.damaged  bytes that could not be read, reported and kept for a person

A record is read as it was written or not at all (:mod:`hub.store.spool_format`). What was read and not advanced over is
read again by the next process: whoever takes it must take it twice without harm. Files only ever grow or go, so a full
disk loses nothing: what does not fit is refused whole, and replay goes on and makes room.
"""

from __future__ import annotations

import asyncio
import errno
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeVar

import structlog

from hub.store import spool_position
from hub.store.base import StoreBroken, StoreUnavailable
from hub.store.spool_format import HEADER_BYTES, pack, unpack
from hub.store.spool_position import Position
from hub.store.spool_segment import ENDING, Segment, record_bytes
from hub.store.spool_stats import SpoolStats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from wire.point import Point

_T = TypeVar("_T")

#: Points of one record: what a replay reads at the least.
_RECORD_POINTS: Final = 4_000
#: When a full spool is asked again.
_FULL_RETRY_S: Final = 1.0

_log = structlog.get_logger("hub.store.spool")


class Chunk(NamedTuple):
    """The oldest points of a spool; hand it to ``advance`` once they are stored."""

    points: list[Point]
    #: Where the next one starts.
    segment: int
    offset: int
    #: When the newest of them was spooled, ns.
    spooled_ns: int


class Spool:
    """One folder of segments, owned by one process. ``async with`` opens and closes it.

    Args:
        folder: made with mode 0700 when it is missing; names in it that are not ours are left alone.
        max_bytes: most that its segments may take. A batch that goes past it is refused, unless the spool is empty.
        segment_bytes: a segment that has so many is closed; space comes back a segment at a time.
        clock_ns: wall clock.

    Raises:
        StoreBroken: on entering: no permission, or a newer iothub wrote it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        segment_bytes: int = 16 << 20,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._clock_ns = clock_ns
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._segments: list[Segment] = []
        self._offset = HEADER_BYTES
        self._next_number = 1
        self._head_ns = 0
        #: Where damage was found, and how many bytes; found again at each reading until it is advanced over.
        self._damage: dict[tuple[int, int], int] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._run(self._open)
        except BaseException as error:
            self._thread.shutdown(wait=False)
            if isinstance(error, OSError):
                raise StoreBroken(f"cannot open the spool {self.folder}: {error.strerror}") from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._run(self._close)
        finally:
            self._thread.shutdown(wait=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._segments

    async def append(self, points: Sequence[Point]) -> None:
        """Keep a batch; it is on the disk when this returns.

        Raises:
            StoreUnavailable: the spool or its disk is full, or the disk fails; nothing of the batch is kept.
        """
        if points:
            await self._run(self._append, points)

    async def read(self, most_points: int = 1) -> Chunk | None:
        """The oldest batches, whole ones, up to ``most_points`` but at least one; None when nothing waits.

        What cannot be read is passed over: its file stays beside the spool under another name, and the log says so.

        Raises:
            StoreUnavailable: the disk fails.
        """
        return await self._run(self._read, most_points)

    async def advance(self, chunk: Chunk) -> None:
        """Forget everything up to the end of ``chunk``, the one read last, for good."""
        await self._run(self._advance, chunk.segment, chunk.offset, chunk.spooled_ns)

    def stats(self) -> SpoolStats:
        """Figures, from memory."""
        segments = list(self._segments)  # the thread changes it
        return SpoolStats(
            size_bytes=sum(segment.size for segment in segments),
            max_bytes=self._max_bytes,
            segments=len(segments),
            oldest_ns=max(segments[0].made_ns, self._head_ns) if segments else None,
            newest_ns=segments[-1].newest_ns if segments else None,
            damaged_bytes=sum(self._damage.values()),
        )

    async def _run(self, work: Callable[..., _T], *args: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args))

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, offset = spool_position.load(self.folder)
        found = [Segment.open(path) for path in sorted(self.folder.glob(f"*{ENDING}")) if path.stem.isdigit()]
        self._next_number = max([number, *(segment.number for segment in found)]) + 1
        for segment in found:
            if cut := segment.repair() if segment is found[-1] else 0:
                _log.warning(
                    "cut off a record that was not finished; it was never acknowledged",
                    file=str(segment.path),
                    cut_bytes=cut,
                )
            if segment.is_empty or segment.number < number or (segment.number == number and segment.size <= offset):
                segment.remove()
                continue
            if segment.damaged_bytes:
                self._report(segment, 0, segment.damaged_bytes)
            self._segments.append(segment)
        if self._segments:
            self._offset = max(offset, HEADER_BYTES) if self._segments[0].number == number else HEADER_BYTES

    def _close(self) -> None:
        for segment in self._segments:
            segment.close()

    def _append(self, points: Sequence[Point]) -> None:
        bodies = [pack(points[at : at + _RECORD_POINTS]) for at in range(0, len(points), _RECORD_POINTS)]
        more = record_bytes(bodies)
        held = sum(segment.size for segment in self._segments)
        if self._segments and held + more + HEADER_BYTES > self._max_bytes:
            raise StoreUnavailable(
                f"the spool {self.folder} is full ({held / 2**20:.1f} of {self._max_bytes / 2**20:.1f} MiB, and what "
                f"came takes {more / 2**20:.1f}): nothing is acknowledged until the store takes some of it; "
                "spool.max_bytes is its bound",
                retry_after_s=_FULL_RETRY_S,
            )
        now_ns = self._clock_ns()
        try:
            self._writable(more, now_ns).append(bodies, now_ns)
        except OSError as error:
            raise self._unavailable(error) from error
        finally:
            self._drop_empty()

    def _writable(self, more: int, now_ns: int) -> Segment:
        last = self._segments[-1] if self._segments else None
        if last is not None and last.is_writable:
            if last.is_empty or last.size + more <= self._segment_bytes:
                return last
            last.seal()
        segment = Segment.create(self.folder, self._next_number, now_ns)
        self._next_number += 1
        if not self._segments:
            self._offset, self._head_ns = HEADER_BYTES, 0
        self._segments.append(segment)
        return segment

    def _drop_empty(self) -> None:
        """A new segment whose first append failed holds nothing."""
        if self._segments and self._segments[-1].is_empty:
            self._segments.pop().remove()

    def _read(self, most_points: int) -> Chunk | None:
        while self._segments:
            segment, offset = self._segments[0], self._offset
            points: list[Point] = []
            spooled_ns = 0
            while offset < segment.size and len(points) < most_points:
                try:
                    found = segment.next(offset)
                except OSError as error:
                    raise self._unavailable(error) from error
                if found.damaged_bytes:
                    self._report(segment, offset, found.damaged_bytes)
                if found.record is None:
                    offset = segment.size
                    break
                more = unpack(found.record.body)
                if points and len(points) + len(more) > most_points:
                    break
                points += more
                offset, spooled_ns = found.record.end, found.record.spooled_ns
            if points:
                return Chunk(points, segment.number, offset, spooled_ns)
            self._advance(segment.number, offset, spooled_ns)
        return None

    def _advance(self, number: int, offset: int, spooled_ns: int) -> None:
        segment = self._segments[0]
        if segment.number != number:
            raise ValueError(f"segment {number} is not the oldest of {self.folder}")
        self._offset, self._head_ns = offset, spooled_ns
        try:
            spool_position.save(self.folder, Position(number, offset))
        except OSError as error:
            # Only costs time: after a restart some of it is replayed again. A full disk must not stop what frees it.
            _log.warning("the position of the replay was not saved", folder=str(self.folder), error=error.strerror)
        if offset >= segment.size:
            self._segments.pop(0)
            self._offset = HEADER_BYTES
            try:
                segment.remove()
            except OSError as error:
                _log.warning("a replayed segment was not removed", file=str(segment.path), error=error.strerror)

    def _report(self, segment: Segment, offset: int, damaged_bytes: int) -> None:
        if (segment.number, offset) in self._damage:
            return
        self._damage[segment.number, offset] = damaged_bytes
        try:
            kept_as = str(segment.set_aside())
        except OSError as error:
            kept_as = f"nothing: {error.strerror}"
        _log.error(
            "bytes of a spool segment are damaged and cannot be stored; the rest of it is",
            file=str(segment.path),
            offset=offset,
            damaged_bytes=damaged_bytes,
            kept_as=kept_as,
        )

    def _unavailable(self, error: OSError) -> StoreUnavailable:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return StoreUnavailable(
                f"no space left for the spool {self.folder}: free some on that disk; nothing is acknowledged until then"
            )
        return StoreUnavailable(f"the spool {self.folder} cannot be used: {error.strerror}")
