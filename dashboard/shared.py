"""Answers that several viewers share: who asks first causes the request, who asks meanwhile waits for the same one.

    get ─▶ fresh answer? ─▶ it
        └▶ being asked?  ─▶ wait for it
        └▶ else: ask, and keep the answer for a while; a failure is told to all who waited, and not kept
    ahead ─▶ the same in a thread of the pool, so that a page which needs several answers waits for the slowest only

Safe from several threads. What it gives is shared: whoever changes it, changes it for all.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_T = TypeVar("_T")

#: Requests under way that somebody asked for ahead; the API has as many readers.
_THREADS: Final = 4
_MOST_KEPT: Final = 500
#: Nothing is shared for longer.
_KEPT_S: Final = 60.0


@dataclass
class _Entry:
    """An answer, or the waiting for one."""

    answer: Future[Any] = field(default_factory=Future)
    #: When it came; None while it is being asked for.
    at_s: float | None = None


class Shared:
    """A cache of answers by key; see above."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._pool = ThreadPoolExecutor(_THREADS, "ahead")

    def get(self, key: Hashable, fresh_s: float, ask: Callable[[], _T]) -> _T:
        """The answer to ``key``, at most ``fresh_s`` seconds old; raises what ``ask`` raises."""
        entry, is_mine = self._entry(key, fresh_s)
        if is_mine:
            self._ask(key, entry, ask)
        answer: _T = entry.answer.result()
        return answer

    def ahead(self, key: Hashable, fresh_s: float, ask: Callable[[], object]) -> None:
        """Begin to ask, unless there is a fresh answer; a later :meth:`get` takes it."""
        entry, is_mine = self._entry(key, fresh_s)
        if is_mine:
            self._pool.submit(self._ask, key, entry, ask)

    def forget(self) -> None:
        """Ask anew for everything; who waits for an answer still gets it."""
        with self._lock:
            self._entries.clear()

    def _entry(self, key: Hashable, fresh_s: float) -> tuple[_Entry, bool]:
        """The entry to wait for, and whether the caller has to ask."""
        with self._lock:
            now_s = self._clock_s()
            entry = self._entries.get(key)
            if entry is not None and (entry.at_s is None or now_s - entry.at_s < fresh_s):
                self._entries.move_to_end(key)
                return entry, False
            entry = self._entries[key] = _Entry()
            self._entries.move_to_end(key)
            self._drop_old(now_s)
            return entry, True

    def _ask(self, key: Hashable, entry: _Entry, ask: Callable[[], object]) -> None:
        try:
            answer = ask()
        except BaseException as error:  # whatever it is: who waits must be told, and the pool has nobody to tell
            with self._lock:
                if self._entries.get(key) is entry:
                    del self._entries[key]
            entry.answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            entry.at_s = self._clock_s()
            entry.answer.set_result(answer)

    def _drop_old(self, now_s: float) -> None:
        """Those that came longest ago; one being asked for stays, as others wait for it."""
        old = [key for key, entry in self._entries.items() if entry.at_s is not None and now_s - entry.at_s > _KEPT_S]
        come = [key for key, entry in self._entries.items() if entry.at_s is not None]
        for key in {*old, *come[: max(0, len(self._entries) - _MOST_KEPT)]}:
            del self._entries[key]
