"""What the registry keeps of notifications: messages and what became of them, and what each channel was told.

A message and the knowledge that it is told are written in one transaction, before it is sent. After a crash it is sent
again if nobody wrote down that it was: at least once, with the same number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import and_, bindparam, delete, insert, or_, select, update

from hub.alerts.notify_model import Occasion, Told
from hub.alerts.notify_queue import Message, Outcome
from hub.alerts.notify_tables import NOTIFICATIONS, NOTIFIED_ALERTS, NOTIFY_TOLD
from hub.alerts.tables import ALERTS
from hub.nodes.user_tables import nodes_in
from hub.rules.events import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, RowMapping, Select

    from hub.nodes.database import Database

#: Values in one ``IN (…)``.
_CHUNK: Final = 500


class Kept(msgspec.Struct, frozen=True):
    """What a restart begins with."""

    #: Oldest first.
    queued: tuple[Message, ...]
    told: tuple[Told, ...]


class NotificationFilter(msgspec.Struct, frozen=True):
    """Selects messages; None selects all."""

    channel: str | None = None
    outcome: Outcome | None = None
    alert: int | None = None
    #: About nodes of these groups alone; what somebody may see.
    groups: frozenset[str] | None = None


class Writes(msgspec.Struct):
    """What is to be written in one transaction; several may be put together while the registry cannot be written."""

    messages: dict[str, Message] = {}
    #: Newest state of each (alert, channel); None: nothing is left to say.
    told: dict[tuple[int, str], Told | None] = {}

    def __bool__(self) -> bool:
        return bool(self.messages or self.told)

    def under(self, newer: Writes) -> None:
        """Put back what could not be written, below what came since."""
        self.messages, self.told = self.messages | newer.messages, self.told | newer.told


class NotificationBook:
    """Notifications in the registry's database; every call may raise ``RegistryError``, and then kept nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Kept:
        """What waits, and what is told."""

        def work(connection: Connection) -> Kept:
            queued = select(NOTIFICATIONS).where(NOTIFICATIONS.c.outcome == Outcome.QUEUED.value)
            messages = _messages(connection, queued.order_by(NOTIFICATIONS.c.created_ns))
            told = [
                Told(**{**row, "severity": Severity(row["severity"])})
                for row in connection.execute(select(NOTIFY_TOLD)).mappings()
            ]
            return Kept(tuple(messages), tuple(told))

        return await self._database.run(work)

    async def write(self, writes: Writes) -> None:
        """Keep messages as they are now, and what is told."""
        # As they are at this moment: the thread must not see them change.
        rows = [_row(message) for message in writes.messages.values()]
        alerts = {message.id: message.alerts for message in writes.messages.values()}
        told = dict(writes.told)

        def work(connection: Connection) -> None:
            known = _known(connection, alerts)
            new = [row for row in rows if row["id"] not in known]
            _many(connection, insert(NOTIFICATIONS), new)
            about = [{"notification": row["id"], "alert": alert} for row in new for alert in alerts[row["id"]]]
            _many(connection, insert(NOTIFIED_ALERTS), about)
            change = update(NOTIFICATIONS).where(NOTIFICATIONS.c.id == bindparam("of"))
            changed = ("outcome", "failures", "error", "done_ns")
            old = [{"of": row["id"], **{name: row[name] for name in changed}} for row in rows if row["id"] in known]
            _many(connection, change, old)
            gone = delete(NOTIFY_TOLD).where(
                NOTIFY_TOLD.c.alert == bindparam("of"), NOTIFY_TOLD.c.channel == bindparam("to")
            )
            _many(connection, gone, [{"of": alert, "to": channel} for alert, channel in told])
            kept = [msgspec.to_builtins(each) for each in told.values() if each is not None]
            _many(connection, insert(NOTIFY_TOLD), kept)

        await self._database.run(work)

    async def page(
        self, chosen: NotificationFilter, *, before: tuple[int, str] | None = None, limit: int = 100
    ) -> list[Message]:
        """Messages, newest first; ``before`` is ``created_ns`` and id of the last one of the page before."""
        table = NOTIFICATIONS.c
        wanted = select(NOTIFICATIONS)
        if chosen.channel is not None:
            wanted = wanted.where(table.channel == chosen.channel)
        if chosen.outcome is not None:
            wanted = wanted.where(table.outcome == chosen.outcome.value)
        if chosen.alert is not None:
            about = select(NOTIFIED_ALERTS.c.notification).where(NOTIFIED_ALERTS.c.alert == chosen.alert)
            wanted = wanted.where(table.id.in_(about))
        if chosen.groups is not None:
            wanted = wanted.where(table.id.in_(_about(nodes_in(chosen.groups), seen=True)))
            wanted = wanted.where(table.id.not_in(_about(nodes_in(chosen.groups), seen=False)))
        if before is not None:
            at_ns, number = before
            wanted = wanted.where(or_(table.created_ns < at_ns, and_(table.created_ns == at_ns, table.id < number)))
        wanted = wanted.order_by(table.created_ns.desc(), table.id.desc()).limit(limit)
        return await self._database.run(lambda connection: _messages(connection, wanted))

    async def maintain(self, before_ns: int) -> int:
        """Drop what was done with before; returns how many."""
        old = NOTIFICATIONS.c.done_ns < before_ns

        def work(connection: Connection) -> int:
            ids = select(NOTIFICATIONS.c.id).where(old)
            connection.execute(delete(NOTIFIED_ALERTS).where(NOTIFIED_ALERTS.c.notification.in_(ids)))
            return connection.execute(delete(NOTIFICATIONS).where(old)).rowcount

        return await self._database.run(work)


# -- private -----------------------------------------------------------------------------------------------------------


def _about(nodes: Select[str], *, seen: bool) -> Select[str]:
    """The messages about an alert of these nodes, or about one of another node."""
    of = select(NOTIFIED_ALERTS.c.notification).outerjoin(ALERTS, ALERTS.c.id == NOTIFIED_ALERTS.c.alert)
    # Whose alert is gone was of a node that nobody can tell any more.
    return of.where(ALERTS.c.node.in_(nodes) if seen else ALERTS.c.node.is_(None) | ALERTS.c.node.not_in(nodes))


def _row(message: Message) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(message)
    del row["alerts"]
    return row


def _messages(connection: Connection, chosen: Select[Any]) -> list[Message]:
    rows = connection.execute(chosen).mappings().all()
    alerts: dict[str, list[int]] = {row["id"]: [] for row in rows}
    for part in _parts(alerts):
        about = select(NOTIFIED_ALERTS).where(NOTIFIED_ALERTS.c.notification.in_(part))
        for each in connection.execute(about.order_by(NOTIFIED_ALERTS.c.alert)):
            alerts[each.notification].append(each.alert)
    return [_message(row, alerts[row["id"]]) for row in rows]


def _message(row: RowMapping, alerts: list[int]) -> Message:
    typed = {
        "occasion": Occasion(row["occasion"]),
        "severity": Severity(row["severity"]),
        "outcome": Outcome(row["outcome"]),
    }
    return Message(**{**row, **typed}, alerts=tuple(alerts))


def _known(connection: Connection, ids: Iterable[str]) -> set[str]:
    return {
        found
        for part in _parts(ids)
        for found in connection.execute(select(NOTIFICATIONS.c.id).where(NOTIFICATIONS.c.id.in_(part))).scalars()
    }


def _parts(ids: Iterable[str]) -> Iterable[list[str]]:
    every = list(ids)
    return (every[start : start + _CHUNK] for start in range(0, len(every), _CHUNK))


def _many(connection: Connection, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute once for all ``rows``, which must have the same keys."""
    if rows:
        connection.execute(statement, rows)
