"""SQL of the commands' file: the journal (only ever appended to), the commands, their output, the fleet runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.commands.journal import Head, Row
from hub.commands.model import Chunk, Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from sqlite3 import Connection

    #: SQL text with ``?``, and a value for each of them.
    Condition = tuple[str, *tuple[Any, ...]]

MIGRATIONS: Final = (
    (
        """CREATE TABLE journal (
            number INTEGER PRIMARY KEY,
            at_ns INTEGER NOT NULL,
            kind TEXT NOT NULL,
            node TEXT NOT NULL,
            id TEXT NOT NULL,
            facts TEXT NOT NULL,
            digest TEXT NOT NULL
        )""",
        "CREATE INDEX journal_by_command ON journal (id, node)",
        """CREATE TRIGGER journal_is_not_changed BEFORE UPDATE ON journal
            BEGIN SELECT raise(ABORT, 'the journal is only appended to'); END""",
        """CREATE TRIGGER journal_is_not_shortened BEFORE DELETE ON journal
            BEGIN SELECT raise(ABORT, 'the journal is only appended to'); END""",
        "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL, digest TEXT NOT NULL)",
        """CREATE TABLE commands (
            number INTEGER PRIMARY KEY,
            node TEXT NOT NULL,
            id TEXT NOT NULL,
            command TEXT NOT NULL,
            state TEXT NOT NULL,
            run TEXT,
            requested_ns INTEGER NOT NULL,
            ended_ns INTEGER,
            due_ns INTEGER,
            kept_bytes INTEGER NOT NULL,
            rest TEXT NOT NULL  -- all of the command, JSON
        )""",
        "CREATE INDEX commands_by_id ON commands (id, node, number)",
        "CREATE INDEX commands_by_node ON commands (node, number)",
        "CREATE INDEX commands_by_run ON commands (run, number) WHERE run IS NOT NULL",
        "CREATE INDEX commands_due ON commands (due_ns) WHERE due_ns IS NOT NULL",
        "CREATE INDEX commands_open ON commands (state, number) WHERE ended_ns IS NULL",
        "CREATE INDEX commands_with_output ON commands (number) WHERE kept_bytes > 0",
        """CREATE TABLE output (
            command INTEGER NOT NULL,
            n INTEGER NOT NULL,
            at_ns INTEGER NOT NULL,
            stream TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (command, n)
        ) WITHOUT ROWID""",
        """CREATE TABLE runs (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            ended INTEGER NOT NULL,
            run TEXT NOT NULL
        )""",
    ),
)

_COLUMNS: Final = "number, node, id, command, state, run, requested_ns, ended_ns, due_ns, kept_bytes, rest"
_PUT: Final = f"INSERT OR REPLACE INTO commands ({_COLUMNS}) VALUES ({', '.join('?' * 11)})"  # noqa: S608  our own columns
_decode: Final = msgspec.json.Decoder(Command).decode


def head(connection: Connection) -> Head:
    """The end of the journal."""
    found = connection.execute("SELECT number, digest FROM head").fetchone()
    return Head(*found) if found is not None else Head()


def append(connection: Connection, rows: Sequence[Row]) -> None:
    """Add to the journal; inside a transaction."""
    if rows:
        connection.executemany(
            "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((r.number, r.at_ns, r.kind, r.node, r.id, r.facts, r.digest) for r in rows),
        )
        connection.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?)", (rows[-1].number, rows[-1].digest))


def journal(connection: Connection, *, after: int, limit: int) -> list[Row]:
    """Rows of the journal in order of their place in the file, from above ``after`` on."""
    found = connection.execute("SELECT * FROM journal WHERE number > ? ORDER BY number LIMIT ?", (after, limit))
    return [Row(*row) for row in found]


def journal_of(connection: Connection, node: str, command_id: str, limit: int) -> list[Row]:
    """The first rows of the journal about one command."""
    found = connection.execute(
        "SELECT * FROM journal WHERE id = ? AND node = ? ORDER BY number LIMIT ?", (command_id, node, limit)
    )
    return [Row(*row) for row in found]


def newest(connection: Connection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Command]:
    """The newest command of each (node, id) that is known."""
    wanted = msgspec.json.encode([list(key) for key in keys]).decode()
    found = connection.execute(
        "SELECT commands.number, rest, max(commands.number) FROM json_each(?) AS wanted "
        "JOIN commands ON commands.id = wanted.value ->> 1 AND commands.node = wanted.value ->> 0 "
        "GROUP BY commands.node, commands.id",
        (wanted,),
    )
    return {(command.node, command.id): command for command in map(_command, found)}


def next_number(connection: Connection) -> int:
    """Number of the next command."""
    found: int = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM commands").fetchone()[0]
    return found


def put(connection: Connection, commands: Iterable[tuple[Command, int | None]]) -> None:
    """Write commands that have a number, and when each is due; inside a transaction."""
    connection.executemany(
        _PUT,
        (
            (
                c.number,
                c.node,
                c.id,
                c.command,
                c.state,
                c.run,
                c.requested_ns,
                c.ended_ns,
                due_ns,
                c.kept_bytes,
                msgspec.json.encode(c).decode(),
            )
            for c, due_ns in commands
        ),
    )


def keep_output(connection: Connection, chunks: Iterable[tuple[int, Chunk]]) -> None:
    """Keep (number of the command, output); inside a transaction."""
    connection.executemany(
        "INSERT OR REPLACE INTO output VALUES (?, ?, ?, ?, ?)",
        ((number, c.n, c.at_ns, c.stream, c.data) for number, c in chunks),
    )


def output(connection: Connection, number: int, *, after: int, limit: int) -> list[Chunk]:
    """Kept output of a command, in order."""
    found = connection.execute(
        "SELECT n, at_ns, stream, data FROM output WHERE command = ? AND n > ? ORDER BY n LIMIT ?",
        (number, after, limit),
    )
    return [Chunk(*row) for row in found]


def select(
    connection: Connection, where: Sequence[Condition], *, limit: int, newest_first: bool = True
) -> list[Command]:
    """Commands that meet all conditions."""
    conditions = " AND ".join(condition for condition, *_ in where) or "true"
    order = "DESC" if newest_first else "ASC"
    found = connection.execute(
        f"SELECT number, rest FROM commands WHERE {conditions} ORDER BY number {order} LIMIT ?",  # noqa: S608  ours
        (*(value for _, *values in where for value in values), limit),
    )
    return [_command(row) for row in found]


def counts(connection: Connection, where: Sequence[Condition]) -> dict[str, int]:
    """How many commands that meet all conditions are in each state."""
    conditions = " AND ".join(condition for condition, *_ in where) or "true"
    found = connection.execute(
        f"SELECT state, count(*) FROM commands WHERE {conditions} GROUP BY state",  # noqa: S608  ours
        [value for _, *values in where for value in values],
    )
    return dict(found.fetchall())


def put_run(connection: Connection, run_id: str, run: str, *, ended: bool) -> None:
    """Write a fleet run, as JSON."""
    connection.execute(
        "INSERT INTO runs (id, ended, run) VALUES (?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET ended = excluded.ended, run = excluded.run",
        (run_id, ended, run),
    )


def runs(connection: Connection, where: Sequence[Condition], *, limit: int) -> list[tuple[int, str]]:
    """Number and JSON of fleet runs that meet all conditions, newest first."""
    conditions = " AND ".join(condition for condition, *_ in where) or "true"
    return connection.execute(
        f"SELECT number, run FROM runs WHERE {conditions} ORDER BY number DESC LIMIT ?",  # noqa: S608  ours
        (*(value for _, *values in where for value in values), limit),
    ).fetchall()


def nodes_of(connection: Connection, ids: Iterable[str]) -> dict[str, list[str]]:
    """For each id, the nodes that were sent a command of that id."""
    found: dict[str, list[str]] = {}
    for command_id, node in connection.execute(
        "SELECT DISTINCT id, node FROM commands WHERE id IN (SELECT value FROM json_each(?)) AND command <> ''",
        (msgspec.json.encode(list(ids)).decode(),),
    ):
        found.setdefault(command_id, []).append(node)
    return found


def shed_output(connection: Connection, most_bytes: int) -> int:
    """Drop the output of the oldest commands until at most ``most_bytes`` are kept; the bytes dropped."""
    total: int = connection.execute(
        "SELECT coalesce(sum(kept_bytes), 0) FROM commands WHERE kept_bytes > 0"
    ).fetchone()[0]
    dropped = 0
    for number, kept in _oldest_with_output(connection) if total > most_bytes else ():
        if total - dropped <= most_bytes:
            break
        connection.execute("DELETE FROM output WHERE command = ?", (number,))
        connection.execute(
            "UPDATE commands SET kept_bytes = 0, rest = json_set(rest, '$.kept_bytes', 0) WHERE number = ?", (number,)
        )
        dropped += kept
    return dropped


def drop_old(connection: Connection, before_ns: int) -> int:
    """Drop commands that ended before; the journal keeps what happened. How many."""
    old = "SELECT number FROM commands WHERE ended_ns < ?"
    connection.execute(f"DELETE FROM output WHERE command IN ({old})", (before_ns,))  # noqa: S608  ours
    return connection.execute("DELETE FROM commands WHERE ended_ns < ?", (before_ns,)).rowcount


# -- private -----------------------------------------------------------------------------------------------------------


def _oldest_with_output(connection: Connection) -> Iterator[tuple[int, int]]:
    yield from connection.execute(
        "SELECT number, kept_bytes FROM commands WHERE kept_bytes > 0 ORDER BY number"
    ).fetchall()


def _command(row: Sequence[Any]) -> Command:
    command = _decode(row[1])
    command.number = row[0]
    return command
