"""Writes down and says what happened to alerts; nobody waits for it who does not want to.

    note ─▶ fresh ─▶ registry (one transaction for all that came meanwhile) ─┬─▶ retained state on alert/{rule}
              ▲                                                              ├─▶ points of measurement alert
              └── what could not be written is written with the next          └─▶ tell: live events, notifications

Alerts go out also while the registry cannot be written. What was not said or stored when the hub was killed is found in
the registry (``told_ns``) and said and stored after the restart; both may be done twice without harm.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from hub.alerts import saying
from hub.alerts.model import Alert, AlertState, Change
from hub.link import LinkDown
from hub.nodes.database import RegistryError
from hub.store.base import StoreUnavailable
from wire.messages import encode
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from hub.alerts.book import AlertBook, Kept
    from hub.alerts.model import AlertChange
    from hub.store.base import WriteResult
    from wire.point import Point
    from wire.topics import Topics

#: Changes and points that wait at most; beyond, only the newest change of each alert is kept in the history.
_MOST_WAITING: Final = 100_000
_RETRY_S: Final = 2.0
_REMIND_S: Final = 60.0
#: Marks of what was said and stored go with the next change, or on their own after this.
_MARKS_AFTER_S: Final = 5.0
_POINTS_AT_ONCE: Final = 10_000

_log = structlog.get_logger("hub.alerts")

#: Rule and node: what one topic is about.
TopicKey = tuple[str, str]


class Publishing(Protocol):
    """What a link does."""

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: int | None = None
    ) -> int: ...


class Clerk:
    """One task, ``run``; the other calls never wait unless they say so.

    Args:
        book: the registry's part.
        link: where the states go out.
        topics: their topics.
        store: writes points durably; raises ``StoreUnavailable``.
        silenced_until_ns: when the silence over an alert ends; None when there is none.
        tell: called with changes in order once they are in the registry (or could not be); must be quick.
        clock_ns: wall clock.
    """

    def __init__(
        self,
        book: AlertBook,
        link: Publishing,
        topics: Topics,
        *,
        store: Callable[[Sequence[Point]], Awaitable[WriteResult]],
        silenced_until_ns: Callable[[Alert], int | None],
        tell: Callable[[Sequence[AlertChange]], None],
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._book = book
        self._link = link
        self._topics = topics
        self._store = store
        self._silenced_until_ns = silenced_until_ns
        self._tell = tell
        self._clock_ns = clock_ns
        #: Not looked at yet; and of the others those that are not in the registry yet.
        self._fresh: list[AlertChange] = []
        self._unwritten: list[AlertChange] = []
        self._unstored: list[tuple[Point, int]] = []
        #: What each topic says: open alerts, or those that ended last.
        self._open: dict[TopicKey, dict[int, Alert]] = {}
        self._ended: dict[TopicKey, dict[int, Alert]] = {}
        self._due: set[TopicKey] = set()
        #: Alert → ``changed_ns`` of its last state that was published, and stored; and what the registry shall know.
        self._published: dict[int, int] = {}
        self._stored: dict[int, int] = {}
        self._told: dict[int, int] = {}
        self._marking: asyncio.TimerHandle | None = None
        self._stirred = asyncio.Event()
        self._to_store = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._said_at = {"registry": float("-inf"), "store": float("-inf")}

    # -- what goes in -------------------------------------------------------------------------------------------------

    def restore(self, kept: Kept) -> None:
        """Begin with what the registry kept: say all that is open again, and what was never said."""
        for alert in kept.open:
            self._index(alert)
        for alert in kept.untold:
            self._index(alert)
        for alert, row in kept.points:
            self._unstored.append((saying.point_of(alert, row), alert.id))
        self.repeat()
        self._to_store.set()

    def note(self, changes: Iterable[AlertChange]) -> None:
        """Take what happened."""
        self._fresh += changes
        if self._fresh:
            self._stirred.set()

    def repeat(self, keys: Iterable[TopicKey] | None = None) -> None:
        """Publish states again: all of them (the link is back), or some (a silence began or ended)."""
        self._due.update([*self._open, *self._ended] if keys is None else keys)
        self._stirred.set()

    def forget_ended(self, now_ns: int) -> None:
        """Drop what ended so long ago that the broker has dropped it too; call it now and then."""
        earliest_ns = now_ns - saying.RESOLVED_KEPT_S * NS_PER_S
        for key, alerts in list(self._ended.items()):
            if all((alert.resolved_ns or 0) < earliest_ns for alert in alerts.values()) and key not in self._due:
                del self._ended[key]

    async def written(self) -> None:
        """Wait until all that was noted is in the registry.

        Raises:
            RegistryError: it is not, but holds in memory, and is tried again.
        """
        if not self._fresh and not self._unwritten:
            return
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._stirred.set()
        await done

    # -- what goes out ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Write, say and store until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._store_all(), name="alert points")
            while True:
                await self._stirred.wait()
                self._stirred.clear()
                await self._write(tasks)

    async def finish(self) -> None:
        """Write what is left; for the end, when ``run`` runs no more."""
        self._unwritten += self._take_fresh()
        await self._to_registry()

    async def _write(self, tasks: asyncio.TaskGroup) -> None:
        waiting, self._waiting = self._waiting, []
        fresh = self._take_fresh()
        self._unwritten += [change for change in fresh if _lasts(change)]
        trouble = await self._to_registry()
        for done in waiting:
            if not done.done():
                done.set_exception(trouble) if trouble is not None else done.set_result(None)
        for change in fresh:
            if _lasts(change):
                self._index(change.alert)
                self._due.add((change.alert.rule, change.alert.node))
        due, self._due = self._due, set()
        for key in due:
            tasks.create_task(self._publish(key), name="alert topic")
        self._unstored += [(point, change.alert.id) for change in fresh if (point := saying.point(change)) is not None]
        if self._unstored:
            self._to_store.set()
        if fresh:
            self._tell(fresh)

    def _take_fresh(self) -> list[AlertChange]:
        fresh, self._fresh = self._fresh, []
        return fresh

    async def _to_registry(self) -> RegistryError | None:
        if not (self._unwritten or self._told):
            return None
        changes, (told, self._told) = tuple(self._unwritten), (self._told, {})
        try:
            await self._book.write(changes, told)
        except RegistryError as error:
            self._told = told | self._told
            self._shorten()
            self._say("registry", "alerts cannot be written to the registry, trying again; they go out", str(error))
            asyncio.get_running_loop().call_later(_RETRY_S, self._stirred.set)
            return error
        del self._unwritten[: len(changes)]
        return None

    async def _publish(self, key: TopicKey) -> None:
        rule, node = key
        alerts = tuple((self._open.get(key) or self._ended.get(key) or {}).values())
        if not alerts:
            return
        silenced = self._silenced_until_ns(alerts[0])
        payload = encode(saying.message(alerts, silenced, self._clock_ns()))
        expiry_s = None if alerts[0].state.open else saying.RESOLVED_KEPT_S
        try:
            await self._link.publish(self._topics.alert(node, rule), payload, qos=1, retain=True, expiry_s=expiry_s)
        except LinkDown:
            self._due.add(key)  # ``repeat`` says it again once the link is back
        else:
            for alert in alerts:
                self._mark(self._published, alert.id, alert.changed_ns)

    async def _store_all(self) -> None:
        while True:
            await self._to_store.wait()
            self._to_store.clear()
            while self._unstored:
                part = self._unstored[:_POINTS_AT_ONCE]
                try:
                    result = await self._store([point for point, _ in part])
                except StoreUnavailable as error:
                    self._say("store", "points of alerts cannot be stored, trying again", str(error))
                    self._unstored = self._unstored[-_MOST_WAITING:]
                    await asyncio.sleep(error.retry_after_s or _RETRY_S)
                    continue
                for rejected in result.rejected:
                    _log.warning("the store refused a point of an alert", why=rejected.reason)
                del self._unstored[: len(part)]
                for point, alert_id in part:
                    self._mark(self._stored, alert_id, point.ts_ns)

    # -- books --------------------------------------------------------------------------------------------------------

    def _index(self, alert: Alert) -> None:
        key = (alert.rule, alert.node)
        if alert.state.open:
            self._open.setdefault(key, {})[alert.id] = alert
            self._ended.pop(key, None)
            return
        still = self._open.get(key, {})
        still.pop(alert.id, None)
        if not still:
            self._open.pop(key, None)
        self._ended.setdefault(key, {})[alert.id] = alert

    def _mark(self, which: dict[int, int], alert_id: int, at_ns: int) -> None:
        which[alert_id] = max(at_ns, which.get(alert_id, 0))
        told_ns = min(self._published.get(alert_id, 0), self._stored.get(alert_id, 0))
        if not told_ns:
            return
        self._told[alert_id] = told_ns
        if self._published[alert_id] == self._stored[alert_id]:
            del self._published[alert_id], self._stored[alert_id]
        if self._marking is None:
            self._marking = asyncio.get_running_loop().call_later(_MARKS_AFTER_S, self._write_marks)

    def _write_marks(self) -> None:
        self._marking = None
        self._stirred.set()

    def _shorten(self) -> None:
        """Bound what waits for the registry: of each alert its last change outlives the others."""
        if len(self._unwritten) > _MOST_WAITING:
            newest = list({change.alert.id: change for change in self._unwritten}.values())
            _log.error("too many changes of alerts wait", left_out_of_their_history=len(self._unwritten) - len(newest))
            self._unwritten = newest

    def _say(self, what: str, text: str, why: str) -> None:
        if time.monotonic() - self._said_at[what] >= _REMIND_S:
            self._said_at[what] = time.monotonic()
            _log.error(text, why=why)


def _lasts(change: AlertChange) -> bool:
    """Whether it is of an alert that has fired: what is pending only is the engine's to remember."""
    return change.change is not Change.CANCELLED and change.alert.state is not AlertState.PENDING
