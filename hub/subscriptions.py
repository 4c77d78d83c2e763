"""Which filters the hub subscribed to last: the broker keeps a subscription until somebody ends it.

A persistent session outlives the settings, so that a source that was taken out of them would go on delivering, and all
of it would be refused. A hub thus remembers its filters, and ends those that it wants no more.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class _Kept(msgspec.Struct):
    #: Broker and client id, which a session belongs to.
    session: str
    filters: list[str]


class Subscriptions:
    """The filters of one session, kept in a small file. A disk that takes it not leaves the file as it was.

    Args:
        path: None keeps them in memory.
        session: whose they are.
    """

    def __init__(self, path: Path | None = None, session: str = "") -> None:
        self._path = path
        self._session = session
        self._known = self._read()

    def begin(self, wanted: Iterable[str]) -> list[str]:
        """Say that ``wanted`` is about to be subscribed to; the filters of before that are not among it."""
        fresh = set(wanted)
        gone = self._known - fresh
        self._write(self._known | fresh)  # whatever happens next, the broker has no other
        return sorted(gone)

    def done(self, wanted: Iterable[str]) -> None:
        """Say that the broker has confirmed these, and the end of all others."""
        self._write(set(wanted))

    def _read(self) -> set[str]:
        if self._path is None:
            return set()
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError):
            return set()
        return set(kept.filters) if kept.session == self._session else set()

    def _write(self, filters: set[str]) -> None:
        if filters == self._known:
            return
        self._known = filters
        if self._path is not None:
            partial = self._path.with_name(self._path.name + ".new")
            with contextlib.suppress(OSError):
                partial.write_bytes(msgspec.json.encode(_Kept(self._session, sorted(filters))))
                partial.replace(self._path)
