"""Keeps the table of connections short: those of long ago go, and of one node all but the newest. In the thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, select

from hub.nodes.tables import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

#: How long closed connections are kept.
KEPT_NS: Final = 365 * 86_400 * 1_000_000_000


def drop_old(connection: Connection, now_ns: int) -> int:
    """Drop the connections that ended more than a year ago; how many. Reads the whole table."""
    return connection.execute(delete(CONNECTIONS).where(CONNECTIONS.c.disconnected_ns < now_ns - KEPT_NS)).rowcount


def drop_oldest(connection: Connection, nodes: Sequence[str], kept: int) -> int:
    """Drop all but the newest ``kept`` of each of these nodes, of which there are a few hundred; how many."""
    node = CONNECTIONS.c.node
    # Nearly no node has too many: they are found together, by the index alone.
    too_many = select(node).where(node.in_(nodes)).group_by(node).having(func.count() > kept)
    return sum(_drop_oldest(connection, each, kept) for each in connection.execute(too_many).scalars().all())


def _drop_oldest(connection: Connection, node: str, kept: int) -> int:
    of_node = CONNECTIONS.c.node == node
    newest = select(CONNECTIONS.c.id).where(of_node).order_by(CONNECTIONS.c.id.desc())
    first_kept = connection.execute(newest.offset(kept - 1).limit(1)).scalar_one()
    return connection.execute(delete(CONNECTIONS).where(of_node, CONNECTIONS.c.id < first_kept)).rowcount
