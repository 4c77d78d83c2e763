"""The registry of nodes: who they are, their connections, their groups. Lasting; presence keeps the same in memory.

Writing goes by batches: ``record`` takes what presence found since the last call and commits once.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
from argon2 import PasswordHasher
from sqlalchemy import bindparam, delete, func, insert, select, update

from hub.nodes.connections import drop_old, drop_oldest
from hub.nodes.database import Database, RegistryError
from hub.nodes.folding import fold
from hub.nodes.joins import Joins
from hub.nodes.model import ConnectionRow, Contact, NodeRow, Standing
from hub.nodes.oidc_users import OidcUsers
from hub.nodes.tables import CONNECTIONS, NODE_GROUPS, NODES
from hub.nodes.user_lists import UserLists
from hub.nodes.user_tables import nodes_in
from hub.nodes.users import Users

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from sqlalchemy import URL, ColumnElement, Connection, Select

    from hub.nodes.folding import Folded
    from hub.nodes.model import Transition

#: Values in one ``IN (…)``; databases allow some thousands.
_CHUNK: Final = 500
#: The whole table is read for what is too old.
_OLD_EVERY_NS: Final = 3600 * 1_000_000_000
#: Of one node: a month of one that reconnects every ten minutes, and an hour of one that flaps.
_CONNECTIONS_KEPT: Final = 5000


_WITHOUT_INFO: Final = tuple(column for column in NODES.c if column is not NODES.c.info)


class NodeFilter(msgspec.Struct, frozen=True):
    """Selects nodes; None selects all."""

    standing: Standing | None = None
    contact: Contact | None = None
    group: str | None = None
    #: In any of these groups.
    groups: frozenset[str] | None = None
    #: Case-insensitive substring of the id.
    text: str | None = None


class Registry:
    """Nodes and connections. ``async with`` opens it.

    Args:
        url: see :class:`~hub.nodes.database.Database`, also for the errors that every call may raise.
        hasher: cost of password hashes; the library's own when None.
        connections_kept: the newest ones of each node outlive ``maintain``.
    """

    def __init__(
        self, url: str | URL, *, hasher: PasswordHasher | None = None, connections_kept: int = _CONNECTIONS_KEPT
    ) -> None:
        self.database = Database(url)
        self._connections_kept = connections_kept
        #: Nodes that have connected since the last ``maintain``.
        self._connected: set[str] = set()
        self._old_dropped_ns = 0
        self.users = Users(self.database, hasher or PasswordHasher())
        self.user_lists = UserLists(self.database)
        self.oidc_users = OidcUsers(self.database, self.users.revision)
        self.joins = Joins(self.database)

    async def __aenter__(self) -> Self:
        await self.database.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.database.__aexit__(kind, error, trace)

    # -- writing ----------------------------------------------------------------------------------------------------

    async def record(self, transitions: Sequence[Transition], last_seen: Mapping[str, int]) -> None:
        """Write what presence found, in order, in one transaction; a node that is not there yet is made *new*.

        Args:
            transitions: from :class:`~hub.nodes.presence.Presence`.
            last_seen: node → ns; nodes that are not there are left out.
        """

        def work(connection: Connection) -> set[str]:
            folded = fold(transitions)  # of very many it takes long: not on the event loop
            _record(connection, folded, last_seen)
            return {row["node"] for row in folded.opened}

        self._connected |= await self.database.run(work)

    async def declare(self, node: str, groups: Iterable[str] = ()) -> bool:
        """Make ``node`` declared, with these groups; False when it was already (nothing is changed then)."""
        wanted = sorted(set(groups))
        declared = await self.database.run(lambda connection: _declare(connection, node, wanted))
        self.users.revision.changed()
        return declared

    async def set_groups(self, node: str, groups: Iterable[str]) -> bool:
        """Put ``node`` into these groups and no others; False when there is no such node."""
        wanted = sorted(set(groups))

        def work(connection: Connection) -> bool:
            if not _existing(connection, [node]):
                return False
            _put_into(connection, node, wanted)
            return True

        found = await self.database.run(work)
        self.users.revision.changed()
        return found

    async def remove(self, node: str) -> bool:
        """Drop ``node`` and its connections; False when there is none."""

        def work(connection: Connection) -> bool:
            connection.execute(delete(NODE_GROUPS).where(NODE_GROUPS.c.node == node))
            connection.execute(delete(CONNECTIONS).where(CONNECTIONS.c.node == node))
            return connection.execute(delete(NODES).where(NODES.c.node == node)).rowcount > 0

        gone = await self.database.run(work)
        self.users.revision.changed()
        return gone

    async def maintain(self, now_ns: int) -> int:
        """Drop closed connections that are older than a year or too many; returns how many. Call it every minute.

        Expired tokens and old logins go too.
        """
        await self.users.maintain(now_ns)
        dropped = 0
        if not 0 <= now_ns - self._old_dropped_ns < _OLD_EVERY_NS:
            dropped = await self.database.run(lambda connection: drop_old(connection, now_ns))
            self._old_dropped_ns = now_ns
        connected, self._connected = self._connected, set()
        while connected:  # a part at a time: in between others get their turn
            part = list(islice(connected, _CHUNK))
            try:
                dropped += await self.database.run(partial(drop_oldest, nodes=part, kept=self._connections_kept))
            except RegistryError:
                self._connected |= connected
                raise
            connected.difference_update(part)
        return dropped

    # -- reading ----------------------------------------------------------------------------------------------------

    async def everyone(self) -> list[NodeRow]:
        """All nodes, without their groups and inventories; for :meth:`~hub.nodes.presence.Presence.restore`."""
        return await self.database.run(
            lambda connection: [
                NodeRow(**_typed(row), info={}) for row in connection.execute(select(*_WITHOUT_INFO)).mappings()
            ]
        )

    async def groups(self) -> dict[str, frozenset[str]]:
        """The groups of each node that is in any."""
        pairs = select(NODE_GROUPS.c.node, NODE_GROUPS.c.name)
        found: dict[str, set[str]] = {}
        for node, group in await self.database.run(lambda connection: connection.execute(pairs).all()):
            found.setdefault(node, set()).add(group)
        return {node: frozenset(groups) for node, groups in found.items()}

    async def nodes(self, chosen: NodeFilter, *, after: str = "", limit: int = 100) -> tuple[list[NodeRow], int]:
        """The chosen nodes whose id sorts after ``after``, at most ``limit``; and how many there are on all pages.

        Without their inventories, which are long.
        """
        conditions = _conditions(chosen)

        def work(connection: Connection) -> tuple[list[NodeRow], int]:
            page = select(*_WITHOUT_INFO).where(*conditions, NODES.c.node > after).order_by(NODES.c.node).limit(limit)
            total = connection.execute(select(func.count()).select_from(NODES).where(*conditions)).scalar_one()
            return _with_groups(connection, page), total

        return await self.database.run(work)

    async def node(self, node: str) -> NodeRow | None:
        """One node; None when there is none."""
        found = await self.database.run(
            lambda connection: _with_groups(connection, select(NODES).where(NODES.c.node == node))
        )
        return found[0] if found else None

    async def connections(self, node: str, *, before: int | None = None, limit: int = 100) -> list[ConnectionRow]:
        """Connections of ``node``, newest first, with ids below ``before``."""
        conditions = [CONNECTIONS.c.node == node]
        if before is not None:
            conditions.append(CONNECTIONS.c.id < before)
        page = select(CONNECTIONS).where(*conditions).order_by(CONNECTIONS.c.id.desc()).limit(limit)
        return await self.database.run(
            lambda connection: [ConnectionRow(**row) for row in connection.execute(page).mappings()]
        )


# -- in the thread -----------------------------------------------------------------------------------------------------


def _record(connection: Connection, folded: Folded, last_seen: Mapping[str, int]) -> None:
    known = _existing(connection, folded.nodes)
    unknown = [node for node in folded.nodes if node not in known]
    _many(
        connection,
        insert(NODES),
        [
            {"node": node, "standing": Standing.NEW, "contact": Contact.NEVER, "outbox": False, "info": {}}
            for node in unknown
        ],
    )
    not_closed = CONNECTIONS.c.disconnected_ns.is_(None)
    still_open = update(CONNECTIONS).where(CONNECTIONS.c.node == bindparam("of"), not_closed)
    _many(connection, still_open, folded.adopted)
    _many(connection, still_open, folded.closed)
    _many(connection, insert(CONNECTIONS), folded.opened)
    change = update(NODES).where(NODES.c.node == bindparam("of"))
    _many(connection, change, folded.contacts)
    _many(connection, change, folded.births)
    first = change.where(NODES.c.first_seen_ns.is_(None))
    _many(connection, first, [{"of": node, "first_seen_ns": ns} for node, ns in folded.nodes.items()])
    _many(connection, change, [{"of": node, "last_seen_ns": ns} for node, ns in last_seen.items()])


def _many(connection: Connection, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute once for all ``rows``, which must have the same keys."""
    if rows:
        connection.execute(statement, rows)


def _existing(connection: Connection, nodes: Iterable[str]) -> set[str]:
    wanted = list(nodes)
    found: set[str] = set()
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        found.update(connection.execute(select(NODES.c.node).where(NODES.c.node.in_(chunk))).scalars())
    return found


def _declare(connection: Connection, node: str, groups: Sequence[str]) -> bool:
    standing = connection.execute(select(NODES.c.standing).where(NODES.c.node == node)).scalar_one_or_none()
    if standing == Standing.DECLARED:
        return False
    if standing is None:
        connection.execute(
            insert(NODES).values(node=node, standing=Standing.DECLARED, contact=Contact.NEVER, outbox=False, info={})
        )
    else:
        connection.execute(update(NODES).where(NODES.c.node == node).values(standing=Standing.DECLARED))
    _put_into(connection, node, groups)
    return True


def _put_into(connection: Connection, node: str, groups: Sequence[str]) -> None:
    connection.execute(delete(NODE_GROUPS).where(NODE_GROUPS.c.node == node))
    _many(connection, insert(NODE_GROUPS), [{"node": node, "name": group} for group in groups])


def _conditions(chosen: NodeFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if chosen.standing is not None:
        conditions.append(NODES.c.standing == chosen.standing)
    if chosen.contact is not None:
        conditions.append(NODES.c.contact == chosen.contact)
    if chosen.group is not None:
        members = select(NODE_GROUPS.c.node).where(NODE_GROUPS.c.name == chosen.group)
        conditions.append(NODES.c.node.in_(members))
    if chosen.groups is not None:
        conditions.append(NODES.c.node.in_(nodes_in(chosen.groups)))
    if chosen.text:
        conditions.append(func.lower(NODES.c.node).contains(chosen.text.lower(), autoescape=True))
    return conditions


def _with_groups(connection: Connection, chosen: Select[Any]) -> list[NodeRow]:
    rows = [_typed(row) for row in connection.execute(chosen).mappings()]
    groups: dict[str, list[str]] = {row["node"]: [] for row in rows}
    # The same choice again, not the names found: a statement with a thousand parameters takes longer than all else.
    members = select(NODE_GROUPS).where(NODE_GROUPS.c.node.in_(chosen.with_only_columns(NODES.c.node)))
    for node, group in connection.execute(members.order_by(NODE_GROUPS.c.name)):
        if node in groups:
            groups[node].append(group)
    return [NodeRow(**{"info": {}, **row}, groups=tuple(groups[row["node"]])) for row in rows]


def _typed(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {**row, "standing": Standing(row["standing"]), "contact": Contact(row["contact"])}
