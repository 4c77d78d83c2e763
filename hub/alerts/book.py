"""The registry's part of alerts: what has fired, what was done about it, silences. It is the truth after a restart.

One transaction a call; every call may raise ``RegistryError``, and then nothing of it was kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace
from sqlalchemy import bindparam, delete, func, insert, select, update

from hub.alerts.model import Alert, AlertState, Change, Identity, Silence
from hub.alerts.rows import HistoryRow, alert_of, alert_row, change_row, history_of, plain
from hub.alerts.tables import ALERTS, CHANGES, SILENCES
from hub.nodes.user_tables import nodes_in
from hub.rules.events import Severity
from hub.rules.metric import is_glob
from hub.store.select import glob_matcher, glob_regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from hub.alerts.model import AlertChange
    from hub.nodes.database import Database

#: Values in one ``IN (…)``.
_CHUNK: Final = 500
_OPEN: Final = (AlertState.FIRING.value, AlertState.ACKNOWLEDGED.value)


class AlertFilter(msgspec.Struct, frozen=True):
    """Selects alerts; None selects all."""

    states: frozenset[AlertState] | None = None
    severity: Severity | None = None
    #: Shell globs.
    rule: str | None = None
    node: str | None = None
    #: That fired at or after it, ns.
    since_ns: int | None = None
    #: Of the nodes of these groups; what somebody may see.
    groups: frozenset[str] | None = None


class Kept(msgspec.Struct, frozen=True):
    """What a restart begins with."""

    open: tuple[Alert, ...]
    #: Numbers below it are taken.
    next_id: int
    #: When what fired, oldest first.
    fired: tuple[tuple[Identity, int], ...]
    #: Resolved alerts whose end was not published, or not stored.
    untold: tuple[Alert, ...]
    #: Changes that were not stored as points, or may not have been.
    points: tuple[tuple[Alert, HistoryRow], ...]


class AlertBook:
    """Alerts, their changes and silences in the registry's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- alerts -------------------------------------------------------------------------------------------------------

    async def load(self, fired_since_ns: int) -> Kept:
        """What is open, and what fired since."""

        def work(connection: Connection) -> Kept:
            rows = connection.execute(select(ALERTS).where(ALERTS.c.state.in_(_OPEN))).mappings()
            fired = select(CHANGES.c.at_ns, ALERTS.c.rule, ALERTS.c.node, ALERTS.c.series).join_from(CHANGES, ALERTS)
            fired = fired.where(
                ALERTS.c.fired_ns >= fired_since_ns, CHANGES.c.at_ns >= fired_since_ns, CHANGES.c.change.in_(_COUNTED)
            )
            behind = ALERTS.c.told_ns < ALERTS.c.changed_ns
            untold = select(ALERTS).where(behind, ALERTS.c.state == AlertState.RESOLVED.value)
            changes = select(CHANGES, ALERTS.c.told_ns).join_from(CHANGES, ALERTS).where(behind)
            changes = changes.where(CHANGES.c.at_ns > ALERTS.c.told_ns).order_by(CHANGES.c.at_ns)
            last = connection.execute(select(func.max(ALERTS.c.id))).scalar_one()
            alerts = {alert.id: alert for alert in map(alert_of, rows)}
            ended = {alert.id: alert for alert in map(alert_of, connection.execute(untold).mappings())}
            return Kept(
                open=tuple(alerts.values()),
                next_id=(last or 0) + 1,
                fired=tuple(
                    (Identity(row.rule, row.node, row.series), row.at_ns)
                    for row in connection.execute(fired.order_by(CHANGES.c.at_ns))
                ),
                untold=tuple(ended.values()),
                points=tuple(
                    ((alerts | ended)[row["alert"]], history_of(row)) for row in connection.execute(changes).mappings()
                ),
            )

        return await self._database.run(work)

    async def write(self, changes: Sequence[AlertChange], told: Mapping[int, int]) -> None:
        """Keep what happened, in order; the same again changes nothing.

        Args:
            changes: of alerts that have fired.
            told: alert → its ``changed_ns`` as it was last published and stored.
        """
        newest = {change.alert.id: change.alert for change in changes}

        def work(connection: Connection) -> None:
            known = _known(connection, newest)
            new = [alert_row(alert) | {"told_ns": 0} for alert in newest.values() if alert.id not in known]
            old = [_of(alert_row(alert)) for alert in newest.values() if alert.id in known]
            _many(connection, insert(ALERTS), new)
            change = update(ALERTS).where(ALERTS.c.id == bindparam("of"))
            _many(connection, change, old)
            _many(connection, change, [{"of": alert, "told_ns": at_ns} for alert, at_ns in told.items()])
            rows = {(change.alert.id, change.at_ns): change_row(change) for change in changes}
            written = _written(connection, known)
            _many(connection, insert(CHANGES), [row for key, row in rows.items() if key not in written])

        await self._database.run(work)

    async def comment(self, alert_id: int, *, by: str, why: str, now_ns: int) -> bool:
        """Add a remark to an alert that is over; False when there is none of that number."""

        def work(connection: Connection) -> bool:
            rows = connection.execute(select(ALERTS).where(ALERTS.c.id == alert_id)).mappings().all()
            for alert in map(alert_of, rows):
                last = select(func.max(CHANGES.c.at_ns)).where(CHANGES.c.alert == alert_id)
                at_ns = max(now_ns, (connection.execute(last).scalar_one() or 0) + 1)
                row = HistoryRow(at_ns, Change.COMMENTED, alert.state, alert.severity, alert.message, by, why)
                connection.execute(insert(CHANGES), {"alert": alert_id} | plain(row))
            return bool(rows)

        return await self._database.run(work)

    async def page(self, chosen: AlertFilter, *, before: tuple[int, int] | None, limit: int) -> tuple[list[Alert], int]:
        """The chosen alerts, those that fired last first, and how many there are on all pages.

        Args:
            chosen: which.
            before: ``fired_ns`` and number of the last one of the page before.
            limit: most to return.
        """

        def work(connection: Connection) -> tuple[list[Alert], int]:
            conditions = _conditions(connection, chosen)
            wanted = select(ALERTS).where(*conditions)
            if before is not None:
                at_ns, number = before
                wanted = wanted.where(
                    (ALERTS.c.fired_ns < at_ns) | ((ALERTS.c.fired_ns == at_ns) & (ALERTS.c.id < number))
                )
            wanted = wanted.order_by(ALERTS.c.fired_ns.desc(), ALERTS.c.id.desc()).limit(limit)
            total = connection.execute(select(func.count()).select_from(ALERTS).where(*conditions)).scalar_one()
            return [alert_of(row) for row in connection.execute(wanted).mappings()], total

        return await self._database.run(work)

    async def alert(self, alert_id: int) -> Alert | None:
        """One alert that has fired; None when there is none of that number."""
        wanted = select(ALERTS).where(ALERTS.c.id == alert_id)
        rows = await self._database.run(lambda connection: connection.execute(wanted).mappings().all())
        return alert_of(rows[0]) if rows else None

    async def history(self, alert_id: int) -> list[HistoryRow]:
        """What happened to an alert, oldest first."""
        wanted = select(CHANGES).where(CHANGES.c.alert == alert_id).order_by(CHANGES.c.at_ns)
        rows = await self._database.run(lambda connection: connection.execute(wanted).mappings().all())
        return [history_of(row) for row in rows]

    async def maintain(self, before_ns: int) -> int:
        """Drop what was over before; returns how many alerts. Ended silences go too."""

        def work(connection: Connection) -> int:
            old = ALERTS.c.resolved_ns < before_ns
            connection.execute(delete(CHANGES).where(CHANGES.c.alert.in_(select(ALERTS.c.id).where(old))))
            connection.execute(delete(SILENCES).where(SILENCES.c.ends_ns < before_ns))
            return connection.execute(delete(ALERTS).where(old)).rowcount

        return await self._database.run(work)

    # -- silences -----------------------------------------------------------------------------------------------------

    async def silences(self) -> list[Silence]:
        """All that are kept, the newest first."""
        wanted = select(SILENCES).order_by(SILENCES.c.id.desc())
        rows = await self._database.run(lambda connection: connection.execute(wanted).mappings().all())
        return [Silence(**row) for row in rows]

    async def add_silence(self, silence: Silence) -> Silence:
        """Keep it; returns it with its number."""
        values = {name: value for name, value in plain(silence).items() if name != "id"}

        def work(connection: Connection) -> int:
            (number,) = connection.execute(insert(SILENCES).values(values)).inserted_primary_key or (0,)
            return int(number)

        return replace(silence, id=await self._database.run(work))

    async def lift(self, number: int, now_ns: int) -> None:
        """Note that a silence ended before its end."""
        change = update(SILENCES).where(SILENCES.c.id == number).values(lifted_ns=now_ns)
        await self._database.run(lambda connection: connection.execute(change))


# -- private -----------------------------------------------------------------------------------------------------------

#: What flap damping counts.
_COUNTED: Final = (Change.FIRING.value, Change.SEVERITY.value)


def _of(row: dict[str, Any]) -> dict[str, Any]:
    """Named so that it may stand in the WHERE of an update."""
    return {"of": row.pop("id"), **row}


def _known(connection: Connection, ids: Iterable[int]) -> set[int]:
    wanted: list[int] = list(ids)
    found: set[int] = set()
    for start in range(0, len(wanted), _CHUNK):
        part = select(ALERTS.c.id).where(ALERTS.c.id.in_(wanted[start : start + _CHUNK]))
        found.update(connection.execute(part).scalars())
    return found


def _written(connection: Connection, ids: Iterable[int]) -> set[tuple[int, int]]:
    """Changes that are kept of these alerts, by alert and time."""
    wanted: list[int] = list(ids)
    found: set[tuple[int, int]] = set()
    for start in range(0, len(wanted), _CHUNK):
        part = select(CHANGES.c.alert, CHANGES.c.at_ns).where(CHANGES.c.alert.in_(wanted[start : start + _CHUNK]))
        found.update((row.alert, row.at_ns) for row in connection.execute(part))
    return found


def _many(connection: Connection, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute once for all ``rows``, which must have the same keys."""
    if rows:
        connection.execute(statement, rows)


def _conditions(connection: Connection, chosen: AlertFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if chosen.states is not None:
        conditions.append(ALERTS.c.state.in_([state.value for state in chosen.states]))
    if chosen.severity is not None:
        conditions.append(ALERTS.c.severity == chosen.severity.value)
    for column, glob in ((ALERTS.c.rule, chosen.rule), (ALERTS.c.node, chosen.node)):
        if glob is not None and not is_glob(glob):
            conditions.append(column == glob)
        elif glob is not None:
            # An index finds a few names; more than a statement takes are compared one by one.
            names = list(filter(glob_matcher(glob), connection.execute(select(column).distinct()).scalars()))
            few = len(names) <= _CHUNK
            conditions.append(column.in_(names) if few else column.regexp_match(f"^(?:{glob_regex(glob)})$"))
    if chosen.since_ns is not None:
        conditions.append(ALERTS.c.fired_ns >= chosen.since_ns)
    if chosen.groups is not None:
        conditions.append(ALERTS.c.node.in_(nodes_in(chosen.groups)))
    return conditions
