"""How far a spool has been replayed: one small file, replaced whole, so that it is the old one or the new one."""

from __future__ import annotations

import os
import struct
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from hub.store.spool_segment import sync_folder

if TYPE_CHECKING:
    from pathlib import Path

_NAME: Final = "position"
#: Number of the segment, offset, both u64; then a digest of the two.
_PLACE: Final = struct.Struct(">QQ")
_DIGEST_BYTES: Final = 8

_log = structlog.get_logger("hub.store.spool")


class Position(NamedTuple):
    """Everything before ``offset`` of segment ``number``, and every segment before it, is stored."""

    number: int
    offset: int


def load(folder: Path) -> Position:
    """The position, or the very beginning where there is none or a damaged one: replaying again harms nothing.

    Raises:
        OSError: no permission, or the disk fails.
    """
    try:
        found = (folder / _NAME).read_bytes()
    except FileNotFoundError:
        return Position(0, 0)
    plain = found[: _PLACE.size]
    if len(plain) < _PLACE.size or found[_PLACE.size :] != _digest(plain):
        _log.warning("the position of the replay is damaged: replaying all of the spool", folder=str(folder))
        return Position(0, 0)
    return Position(*_PLACE.unpack(plain))


def save(folder: Path, position: Position) -> None:
    """Replace the position; it is on the disk when this returns.

    Raises:
        OSError: the old one still stands.
    """
    plain = _PLACE.pack(*position)
    beside = folder / f"{_NAME}.new"
    with beside.open("wb", buffering=0) as file:
        file.write(plain + _digest(plain))
        os.fdatasync(file.fileno())
    beside.replace(folder / _NAME)
    sync_folder(folder)


def _digest(plain: bytes) -> bytes:
    return blake2b(plain, digest_size=_DIGEST_BYTES).digest()
