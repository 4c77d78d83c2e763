"""The SQL of the dead-letter store. Bytes stand apart, so that lists need not read them."""
# ruff: noqa: S608  statements are put together from texts of this file; values are always bound

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final

from hub.rejects.model import KeptReject, RejectState
from wire.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from sqlite3 import Connection

    from hub.rejects.model import Reject, RejectFilter, ReplayOutcome

MIGRATIONS: Final = (
    (
        """CREATE TABLE rejects (
            id INTEGER PRIMARY KEY,
            topic TEXT NOT NULL,
            arrival_ns INTEGER NOT NULL,
            reason TEXT NOT NULL,
            detail TEXT NOT NULL,
            node TEXT,
            retain INTEGER NOT NULL,
            partial INTEGER NOT NULL,
            state TEXT NOT NULL,
            changed_ns INTEGER,
            version TEXT NOT NULL,
            size_bytes INTEGER NOT NULL,
            cost_bytes INTEGER NOT NULL  -- what it counts towards the bound
        )""",
        "CREATE INDEX rejects_done ON rejects (id) WHERE state <> 'kept'",
        "CREATE INDEX rejects_by_node ON rejects (node, id)",
        "CREATE TABLE payloads (id INTEGER PRIMARY KEY, payload BLOB NOT NULL)",
        "CREATE TABLE evicted (one INTEGER PRIMARY KEY CHECK (one = 1), n INTEGER NOT NULL)",
        "INSERT INTO evicted VALUES (1, 0)",
    ),
)

#: What a row takes beside its texts and bytes, indexes included; an estimate.
ROW_BYTES: Final = 200
#: Rows of one statement: makes them few, and stays below SQLite's limit of 32,766 values.
_AT_ONCE: Final = 500
_GLOB: Final = frozenset("*?[")

_SUMMARY: Final = "id, topic, arrival_ns, reason, detail, node, retain, partial, state, changed_ns, version, size_bytes"
_INSERT: Final = f"INSERT INTO rejects ({_SUMMARY}, cost_bytes) VALUES "
_ONE_ROW: Final = "(?, ?, ?, ?, ?, ?, ?, ?, 'kept', NULL, ?, ?, ?)"
#: Done with, the oldest first, before those that are kept. The newest row is never evicted.
_EVICTABLE: Final = ("state <> 'kept' AND id < :newest", "state = 'kept' AND id < :newest")
#: Walks from the oldest row on until enough is freed, and reads no further.
_OLDEST: Final = """
    WITH RECURSIVE old (id, n, freed) AS (
        SELECT * FROM (SELECT id, 1, cost_bytes FROM rejects WHERE {evictable} ORDER BY id LIMIT 1)
        UNION ALL
        SELECT rejects.id, n + 1, freed + cost_bytes FROM old JOIN rejects
        ON rejects.id = (SELECT id FROM rejects WHERE {evictable} AND id > old.id ORDER BY id LIMIT 1)
        WHERE n < :rows OR freed < :bytes
    ) SELECT max(id) FROM old"""
_MARK: Final = """
    UPDATE rejects SET state = ?, reason = ?, detail = ?, partial = ?, version = ?, changed_ns = ?
    WHERE id = ? AND state = ?"""
_DROPPABLE: Final = "FROM rejects WHERE id IN (SELECT value FROM json_each(?)) AND state <> 'dropped' GROUP BY state"
_DROP: Final = """
    UPDATE rejects SET state = 'dropped', changed_ns = ?, cost_bytes = cost_bytes - size_bytes
    WHERE id IN (SELECT value FROM json_each(?)) AND state <> 'dropped'"""


class Figures:
    """How much there is. Kept in memory, counted when the file is opened."""

    def __init__(self) -> None:
        self.states = dict.fromkeys(RejectState, 0)
        self.cost_bytes = 0
        self.evicted = 0
        self.next_id = 1

    def copy(self) -> Figures:
        """To be changed while the original still counts."""
        twin = copy.copy(self)
        twin.states = dict(self.states)
        return twin


def count(connection: Connection) -> Figures:
    """Count what is there."""
    figures = Figures()
    for state, n, cost_bytes in connection.execute(
        "SELECT state, count(*), sum(cost_bytes) FROM rejects GROUP BY state"
    ).fetchall():
        figures.states[RejectState(state)] = n
        figures.cost_bytes += cost_bytes
    figures.evicted = connection.execute("SELECT n FROM evicted").fetchone()[0]
    figures.next_id = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM rejects").fetchone()[0]
    return figures


def insert(connection: Connection, batch: Sequence[Reject], figures: Figures) -> None:
    """Append ``batch``; inside a transaction."""
    for start in range(0, len(batch), _AT_ONCE):
        part = batch[start : start + _AT_ONCE]
        rows: list[Any] = []
        payloads: list[Any] = []
        for each in part:
            topic, detail, size = _text(each.topic), _text(each.detail), len(each.payload)
            cost = size + len(topic.encode()) + len(detail.encode()) + ROW_BYTES
            node = None if each.node is None else _text(each.node)
            rows += (figures.next_id, topic, each.arrival_ns, each.reason, detail, node, each.retain, each.partial)
            rows += (__version__, size, cost)
            payloads += (figures.next_id, each.payload)
            figures.next_id += 1
            figures.cost_bytes += cost
        connection.execute(_INSERT + ", ".join([_ONE_ROW] * len(part)), rows)
        connection.execute("INSERT INTO payloads VALUES " + ", ".join(["(?, ?)"] * len(part)), payloads)
    figures.states[RejectState.KEPT] += len(batch)


def evict(connection: Connection, figures: Figures, *, max_bytes: int, max_messages: int) -> None:
    """Remove the oldest until the bounds hold, never the newest; inside a transaction."""
    for evictable in _EVICTABLE:
        rows = sum(figures.states.values()) - max_messages
        excess_bytes = figures.cost_bytes - max_bytes
        if rows <= 0 and excess_bytes <= 0:
            break
        wanted = {"newest": figures.next_id - 1, "rows": rows, "bytes": excess_bytes}
        last = connection.execute(_OLDEST.format(evictable=evictable), wanted).fetchone()[0]
        if last is None:
            continue
        chosen = {"newest": figures.next_id - 1, "last": last}
        going = f"FROM rejects WHERE {evictable} AND id <= :last"
        for state, n, cost_bytes in connection.execute(
            f"SELECT state, count(*), sum(cost_bytes) {going} GROUP BY state", chosen
        ).fetchall():
            figures.states[RejectState(state)] -= n
            figures.cost_bytes -= cost_bytes
            if state == RejectState.KEPT:
                figures.evicted += n
        connection.execute(f"DELETE FROM payloads WHERE id IN (SELECT id {going})", chosen)
        connection.execute(f"DELETE {going}", chosen)
    connection.execute("UPDATE evicted SET n = ? WHERE n <> ?", (figures.evicted, figures.evicted))


def select(connection: Connection, chosen: RejectFilter, *, before_id: int | None, limit: int) -> list[KeptReject]:
    """The newest ones, newest first, without their bytes."""
    conditions, arguments = _where(chosen)
    if before_id is not None:
        conditions.append("id < ?")
        arguments.append(before_id)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    found = connection.execute(f"SELECT {_SUMMARY} FROM rejects {where} ORDER BY id DESC LIMIT ?", (*arguments, limit))
    return [_kept(*row) for row in found.fetchall()]


def fetch(connection: Connection, ids: Iterable[int]) -> list[KeptReject]:
    """Those that are there, in order, with their bytes."""
    found = connection.execute(
        f"SELECT {_SUMMARY}, coalesce(payload, x'') FROM rejects LEFT JOIN payloads USING (id) "
        "WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps(list(ids)),),
    )
    return [_kept(*row) for row in found.fetchall()]


def mark(
    connection: Connection, outcomes: Iterable[tuple[KeptReject, ReplayOutcome]], now_ns: int, figures: Figures
) -> None:
    """Write what replays did to rejects that nobody changed meanwhile; inside a transaction."""
    for reject, outcome in outcomes:
        if outcome.reason is None:
            state, reason, detail, partial = RejectState.REPLAYED, reject.reason, reject.detail, reject.partial
        else:
            # What was stored in part stays so, even when nothing more of it was stored this time.
            state, reason, detail = RejectState.KEPT, outcome.reason, _text(outcome.detail)
            partial = outcome.partial or reject.partial
        row = (state, reason, detail, partial, __version__, now_ns, reject.id, reject.state)
        if connection.execute(_MARK, row).rowcount:
            figures.states[reject.state] -= 1
            figures.states[state] += 1


def drop(connection: Connection, ids: Iterable[int], now_ns: int, figures: Figures) -> int:
    """Remove the bytes and mark the rows; inside a transaction. How many there were."""
    chosen = json.dumps(list(ids))
    dropped = 0
    for state, n, size_bytes in connection.execute(f"SELECT state, count(*), sum(size_bytes) {_DROPPABLE}", (chosen,)):
        figures.states[RejectState(state)] -= n
        figures.states[RejectState.DROPPED] += n
        figures.cost_bytes -= size_bytes
        dropped += n
    connection.execute(_DROP, (now_ns, chosen))
    connection.execute("DELETE FROM payloads WHERE id IN (SELECT value FROM json_each(?))", (chosen,))
    return dropped


# -- private -----------------------------------------------------------------------------------------------------------


def _where(chosen: RejectFilter) -> tuple[list[str], list[Any]]:
    found: list[tuple[str, Any]] = []
    if chosen.node is not None:
        found.append(("node GLOB ?" if _GLOB & set(chosen.node) else "node = ?", chosen.node))
    if chosen.reason is not None:
        found.append(("reason = ?", chosen.reason))
    if chosen.topic is not None:
        found.append(("topic GLOB ?", chosen.topic))
    if chosen.state is not None:
        found.append(("state = ?", chosen.state))
    if chosen.since_ns is not None:
        found.append(("arrival_ns >= ?", chosen.since_ns))
    if chosen.until_ns is not None:
        found.append(("arrival_ns < ?", chosen.until_ns))
    if chosen.nodes is not None:
        found.append(("node IN (SELECT value FROM json_each(?))", json.dumps(sorted(chosen.nodes))))
    return [condition for condition, _ in found], [argument for _, argument in found]


def _kept(*row: Any) -> KeptReject:
    reject_id, topic, arrival_ns, reason, detail, node, retain, partial, state, *rest = row
    return KeptReject(
        reject_id,
        topic,
        arrival_ns,
        reason,
        detail,
        node,
        bool(retain),
        bool(partial),
        RejectState(state),
        *rest,
    )


def _text(text: str) -> str:
    """What the database can hold: text from outside may hold half of a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode()
