"""The ledger's SQL: hourly rows, the state of each node, and the journal of what was settled since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from hub.ledger.books import Entry
from hub.ledger.model import HOUR_NS, HourRow
from hub.ledger.tally import NodeState
from hub.statefaults import damage
from hub.statefile import many, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from sqlite3 import Connection

    from hub.ledger.books import Changes

_T = TypeVar("_T")

MIGRATIONS: Final = (
    (
        """CREATE TABLE hours (
            node TEXT NOT NULL,
            hour INTEGER NOT NULL,  -- since the epoch
            received INTEGER NOT NULL,
            stored INTEGER NOT NULL,
            duplicate INTEGER NOT NULL,
            handled INTEGER NOT NULL,
            missing INTEGER NOT NULL,
            late INTEGER NOT NULL,
            dropped INTEGER NOT NULL,
            repeats INTEGER NOT NULL,
            PRIMARY KEY (hour, node)
        ) WITHOUT ROWID""",
        "CREATE INDEX hours_by_node ON hours (node, hour)",
        """CREATE TABLE refusals (
            node TEXT NOT NULL,
            hour INTEGER NOT NULL,
            reason TEXT NOT NULL,
            whole INTEGER NOT NULL,  -- 1: messages, 0: values of stored messages
            n INTEGER NOT NULL,
            PRIMARY KEY (hour, node, reason, whole)
        ) WITHOUT ROWID""",
        "CREATE TABLE nodes (node TEXT PRIMARY KEY, state TEXT NOT NULL)",
        "CREATE TABLE journal (id INTEGER PRIMARY KEY, entry BLOB NOT NULL)",
    ),
)

#: OR REPLACE: a row that a failed attempt left behind, against its word, makes way for the next attempt.
_JOURNAL: Final = "INSERT OR REPLACE INTO journal (id, entry) VALUES (?, ?)"
_HOURS: Final = """
    INSERT INTO hours SELECT
        value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4,
        value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9
    FROM json_each(?) WHERE true
    ON CONFLICT DO UPDATE SET
        received = received + excluded.received, stored = stored + excluded.stored,
        duplicate = duplicate + excluded.duplicate, handled = handled + excluded.handled,
        missing = missing + excluded.missing, late = late + excluded.late,
        dropped = dropped + excluded.dropped, repeats = repeats + excluded.repeats"""
_EARLIER: Final = """
    UPDATE hours SET
        missing = hours.missing + (moved.value ->> 2),
        late = late + (moved.value ->> 3),
        dropped = dropped + (moved.value ->> 4)
    FROM json_each(?) AS moved WHERE hours.node = moved.value ->> 0 AND hours.hour = moved.value ->> 1"""
_REFUSALS: Final = """
    INSERT INTO refusals SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
    FROM json_each(?) WHERE true
    ON CONFLICT DO UPDATE SET n = n + excluded.n"""
_NODES: Final = """
    INSERT INTO nodes SELECT value ->> 0, value ->> 1 FROM json_each(?) WHERE true
    ON CONFLICT DO UPDATE SET state = excluded.state"""
_REFUSED_OF: Final = """(
    SELECT json_group_object(reason, n) FROM refusals
    WHERE refusals.node = hours.node AND refusals.hour = hours.hour AND whole = {whole})"""
_ROWS: Final = f"""
    SELECT node, hour, received, stored, duplicate, handled, missing, late, dropped, repeats,
        {_REFUSED_OF.format(whole=1)}, {_REFUSED_OF.format(whole=0)}
    FROM hours
    WHERE (:node IS NULL OR node = :node)
        AND (:nodes IS NULL OR node IN (SELECT value FROM json_each(:nodes)))
        AND hour >= :since AND hour < :until AND (hour, node) < (:hour, :before)
    ORDER BY hour DESC, node DESC LIMIT :limit"""  # noqa: S608  put together from the constants above

_encoder: Final = msgspec.msgpack.Encoder()
_entries: Final = msgspec.msgpack.Decoder(Entry)
_states: Final = msgspec.json.Decoder(NodeState)
_refused: Final = msgspec.json.Decoder(dict[str, int])


def journal(connection: Connection, entry_id: int, entry: Entry) -> int:
    """Append one entry durably; its size in bytes."""
    body = _encoder.encode(entry)
    connection.execute(_JOURNAL, (entry_id, body))
    return len(body)


def journaled(connection: Connection) -> Iterator[tuple[int, int, Entry]]:
    """Id, size in bytes and content of all entries, in order."""
    for entry_id, body in connection.execute("SELECT id, entry FROM journal ORDER BY id").fetchall():
        yield entry_id, len(body), _decoded(_entries.decode, body)


def states(connection: Connection) -> Iterator[tuple[str, NodeState]]:
    """All nodes."""
    for node, state in connection.execute("SELECT node, state FROM nodes"):
        yield node, _decoded(_states.decode, state)


def fold(connection: Connection, changes: Changes) -> None:
    """Write all changes and empty the journal, in one transaction."""
    with transaction(connection):
        many(connection, _HOURS, changes.hours)
        many(connection, _EARLIER, changes.earlier)
        many(connection, _REFUSALS, changes.refusals)
        many(connection, _NODES, changes.nodes)
        connection.execute("DELETE FROM journal")


def hour_rows(
    connection: Connection,
    node: str | None,
    *,
    since_ns: int,
    until_ns: int,
    before: tuple[int, str] | None,
    limit: int,
    nodes: Collection[str] | None = None,
) -> list[HourRow]:
    """Newest hour first; of the same hour the node that sorts last first. ``before``: hour and node of the last row.

    ``nodes``: none of any other; None for all.
    """
    hour, last = before if before is not None else (until_ns // HOUR_NS + 2, "")
    arguments = {
        "node": node,
        "nodes": msgspec.json.encode(sorted(nodes)).decode() if nodes is not None else None,
        "since": since_ns // HOUR_NS,
        "until": -(-until_ns // HOUR_NS),
        "hour": hour,
        "before": last,
        "limit": limit,
    }
    return [_row(*row) for row in connection.execute(_ROWS, arguments).fetchall()]


def forget(connection: Connection, before_hour: int) -> int:
    """Drop hourly rows; how many."""
    with transaction(connection):
        connection.execute("DELETE FROM refusals WHERE hour < ?", (before_hour,))
        return connection.execute("DELETE FROM hours WHERE hour < ?", (before_hour,)).rowcount


def _decoded(decode: Callable[[Any], _T], body: bytes | str) -> _T:
    try:
        return decode(body)
    except msgspec.DecodeError as error:
        raise damage(f"holds what no ledger wrote: {error}") from error


def _row(node: str, hour: int, *rest: Any) -> HourRow:
    received, stored, duplicate, handled, missing, late, dropped, repeats, refused, values_refused = rest
    return HourRow(
        node=node,
        start_ns=hour * HOUR_NS,
        received=received,
        stored=stored,
        duplicate=duplicate,
        handled=handled,
        refused=_refused.decode(refused),
        values_refused=_refused.decode(values_refused),
        # SQLite makes sums past 64 bits floats; a node that lies about its numbers can bring that about.
        missing=int(missing),
        late=late,
        dropped_by_node=int(dropped),
        repeats=repeats,
    )
