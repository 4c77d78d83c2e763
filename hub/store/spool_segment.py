"""One segment file of a spool: appended to and synced, read from any record on, its torn tail cut off.

Nothing here waits for the event loop: :mod:`hub.store.spool` calls it in a thread of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from hub.store.base import StoreBroken
from hub.store.spool_format import (
    HEADER_BYTES,
    RECORD_BYTES,
    VERSION,
    find_record,
    header,
    is_torn,
    read_header,
    read_record,
    record,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hub.store.spool_format import Record

ENDING: Final = ".seg"
#: Of a second name that a segment with damaged bytes gets, so that it outlives its replay.
DAMAGED: Final = ".damaged"

_log = structlog.get_logger("hub.store.spool")


class Found(NamedTuple):
    """What :meth:`Segment.next` came upon: a record, damaged bytes before it, or both None and 0 at the end."""

    record: Record | None
    #: Bytes that could not be read, in front of the record or up to the end.
    damaged_bytes: int


class Segment:
    """A segment on disk. ``size`` counts what is known to be durable; bytes behind it are nobody's.

    Raises:
        OSError: of every method, as the disk said it; after one of ``append``, nothing of that call is in the segment.
    """

    def __init__(self, path: Path, number: int, size: int, made_ns: int, *, writer: int | None = None) -> None:
        self.path = path
        self.number = number
        self.size = size
        #: When its first record was written, ns.
        self.made_ns = made_ns
        #: When its last record was written, ns; of one that another process wrote known after :meth:`repair`.
        self.newest_ns = made_ns
        #: Bytes at its start that cannot be read; its records still can.
        self.damaged_bytes = 0
        self._writer = writer
        self._reader: int | None = None

    @classmethod
    def create(cls, folder: Path, number: int, made_ns: int) -> Segment:
        """Begin a segment; its name outlives a power cut when this returns."""
        path = folder / f"{number:012d}{ENDING}"
        writer = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _write_all(writer, header(number, made_ns), 0)
            os.fdatasync(writer)
            sync_folder(folder)
        except OSError:
            os.close(writer)
            with contextlib.suppress(OSError):  # an empty segment is removed by the next start
                path.unlink()
            raise
        return cls(path, number, HEADER_BYTES, made_ns, writer=writer)

    @classmethod
    def open(cls, path: Path) -> Segment:
        """A segment that an earlier process wrote.

        Raises:
            StoreBroken: a newer iothub wrote it.
        """
        number, status = int(path.stem), path.stat()
        segment = cls(path, number, status.st_size, status.st_mtime_ns)
        found = read_header(segment.read, number)
        if found is not None and found.version != VERSION:
            segment.close()
            raise StoreBroken(
                f"{path} was written by a newer iothub (version {found.version}, this one knows {VERSION}): "
                "install that one again, or move the file away"
            )
        if found is not None:
            segment.made_ns = found.made_ns
        elif segment.size >= HEADER_BYTES:
            segment.damaged_bytes = HEADER_BYTES
        return segment

    @property
    def is_writable(self) -> bool:
        """Whether this process began it and may go on."""
        return self._writer is not None

    @property
    def is_empty(self) -> bool:
        return self.size <= HEADER_BYTES

    def append(self, bodies: Sequence[bytes], spooled_ns: int) -> None:
        """Write a record for each body; durable, all of them, on return."""
        if self._writer is None:
            raise OSError(errno.EBADF, "the segment is closed", str(self.path))
        made, at = [], self.size
        for body in bodies:
            made.append(record(self.number, at, spooled_ns, body))
            at += len(made[-1])
        try:
            _write_all(self._writer, b"".join(made), self.size)
            os.fdatasync(self._writer)
        except OSError:
            self._take_back()
            raise
        self.size = at
        self.newest_ns = spooled_ns

    def next(self, offset: int) -> Found:
        """The first undamaged record at or behind ``offset``."""
        if offset >= self.size:
            return Found(None, 0)
        try:
            if (here := read_record(self.read, self.number, offset, self.size)) is not None:
                return Found(here, 0)
            at = find_record(self.read, self.number, offset, self.size)
            if at is not None:
                return Found(read_record(self.read, self.number, at, self.size), at - offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        return Found(None, self.size - offset)

    def repair(self) -> int:
        """Cut off a record that was not finished; return the bytes cut. Other damage stays, for replay to report."""
        offset, last_ns = HEADER_BYTES, self.made_ns
        while (found := self.next(offset)).record is not None:
            offset, last_ns = found.record.end, found.record.spooled_ns
        self.newest_ns = last_ns
        torn = self.size - offset
        if torn > 0 and is_torn(self.read, offset, self.size):
            os.truncate(self.path, offset)
            self.size = offset
            return torn
        return max(0, HEADER_BYTES - self.size)

    def read(self, offset: int, size: int) -> bytes:
        """The bytes there, fewer at the end of the file."""
        if self._reader is None:
            self._reader = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        parts = []
        while size > 0 and (part := os.pread(self._reader, size, offset)):
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return b"".join(parts)

    def set_aside(self) -> Path:
        """Give the file a second name, under which it stays when it is removed."""
        kept = self.path.with_suffix(DAMAGED)
        with contextlib.suppress(FileExistsError):
            os.link(self.path, kept)
        return kept

    def remove(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        for descriptor in (self._writer, self._reader):
            if descriptor is not None:
                os.close(descriptor)
        self._writer = self._reader = None

    def seal(self) -> None:
        """Write to it no more."""
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None

    def _take_back(self) -> None:
        """After a failed append: what of it may be on disk goes, and nothing more is written behind it.

        A sync that failed once says nothing true the second time, so the next append begins a new segment.
        """
        if self._writer is not None:
            try:
                os.ftruncate(self._writer, self.size)
            except OSError as error:
                # Bytes behind ``size`` are never read by this process; the next one cuts them off or sets them aside.
                _log.warning("an unfinished record could not be cut off", file=str(self.path), error=error.strerror)
            self.seal()


def record_bytes(bodies: Sequence[bytes]) -> int:
    """What ``append(bodies)`` adds to a segment."""
    return sum(RECORD_BYTES + len(body) for body in bodies)


def sync_folder(folder: Path) -> None:
    """Make names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written
