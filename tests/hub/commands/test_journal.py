"""The journal's chain: whatever is changed, removed or put elsewhere, the first such row is named."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest

from hub.commands.book import Book, verified_file
from hub.commands.journal import START, Head, Row, chained, verified
from hub.commands.model import Entry

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = [Entry(i, "request", "n1", f"id{i}", {"command": "ping", "i": i}) for i in range(1, 6)]
ROWS = chained(ENTRIES, Head())
HEAD = Head(ROWS[-1].number, ROWS[-1].digest)
_NOT_AS_LEFT = "the journal does not end as it was left"


def test_rows_that_nobody_touched_hold() -> None:
    found = verified(ROWS, head=HEAD, noted=Head(3, ROWS[2].digest))
    assert (found.broken_at, found.rows, found.head) == (None, 5, HEAD)


def test_the_digest_is_the_documented_one() -> None:
    covered = json.dumps([START, 1, 1, "request", "n1", "id1", ROWS[0].facts], separators=(",", ":"))
    assert ROWS[0].digest == hashlib.sha256(covered.encode()).hexdigest()


@pytest.mark.parametrize("field", ["at_ns", "kind", "node", "id", "facts", "digest"])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_changed_row_is_named(field: str, place: int) -> None:
    rows = list(ROWS)
    rows[place] = msgspec.structs.replace(rows[place], **{field: 7 if field == "at_ns" else "x"})
    assert verified(rows, head=HEAD).broken_at == place + 1


@pytest.mark.parametrize("place", [0, 2])
def test_a_removed_row_is_named(place: int) -> None:
    rows = [*ROWS[:place], *ROWS[place + 1 :]]
    assert verified(rows, head=HEAD).broken_at == place + 1


def test_a_removed_row_is_found_when_the_others_are_numbered_anew() -> None:
    rows = [*ROWS[:2], *(msgspec.structs.replace(row, number=row.number - 1) for row in ROWS[3:])]
    assert verified(rows, head=Head(4, HEAD.digest)).broken_at == 3


def test_two_rows_that_changed_places_are_named() -> None:
    swapped = [ROWS[0], _with_number(ROWS[2], 2), _with_number(ROWS[1], 3), *ROWS[3:]]
    assert verified(swapped, head=HEAD).broken_at == 2
    assert verified([ROWS[0], ROWS[2], ROWS[1], *ROWS[3:]], head=HEAD).broken_at == 2


def test_a_journal_that_was_cut_off_does_not_reach_its_head() -> None:
    assert verified(ROWS[:3], head=HEAD).broken_at == 4


def test_an_end_that_was_cut_off_and_written_anew_is_not_the_one_that_was_kept() -> None:
    cut = [*ROWS[:3], *chained(ENTRIES[:2], Head(3, ROWS[2].digest))]
    assert verified(cut).broken_at is None, "the chain itself holds"
    assert (verified(cut, head=HEAD).broken_at, verified(cut, head=HEAD).why) == (5, _NOT_AS_LEFT)
    longer = [*ROWS, *chained(ENTRIES[:1], HEAD)]
    assert (verified(longer, head=HEAD).broken_at, verified(longer, head=HEAD).why) == (6, _NOT_AS_LEFT)


def test_a_journal_that_was_made_anew_does_not_have_the_noted_head() -> None:
    forged = chained([*ENTRIES[:2], Entry(3, "request", "n1", "other", {}), *ENTRIES[3:]], Head())
    head = Head(5, forged[-1].digest)
    assert verified(forged, head=head).broken_at is None
    assert verified(forged, head=head, noted=Head(4, ROWS[3].digest)).broken_at == 4
    assert verified(forged[:3], head=Head(3, forged[2].digest), noted=HEAD).broken_at == 4


def test_the_file_refuses_to_change_or_shorten_the_journal(tmp_path: Path) -> None:
    async def test() -> None:
        async with Book(tmp_path / "c.db"):
            pass

    asyncio.run(test())
    connection = sqlite3.connect(tmp_path / "c.db")
    for statement in ("UPDATE journal SET node = 'x'", "DELETE FROM journal"):
        with pytest.raises(sqlite3.IntegrityError, match="only appended to"):
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "broken_at"),
    [("UPDATE journal SET facts = '{}' WHERE number = 3", 3), ("DELETE FROM journal WHERE number = 2", 2)],
)
def test_a_file_that_somebody_wrote_to_is_found_out(tmp_path: Path, statement: str, broken_at: int) -> None:
    async def write() -> None:
        async with Book(tmp_path / "c.db") as book:
            for entry in ENTRIES:
                await book.put_run(entry.id, "{}", entry, ended=True)

    asyncio.run(write())
    connection = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
    connection.execute("DROP TRIGGER journal_is_not_changed")
    connection.execute("DROP TRIGGER journal_is_not_shortened")
    assert verified_file(connection, None).rows == 6
    connection.execute(statement)
    assert verified_file(connection, None).broken_at == broken_at
    connection.close()


def _with_number(row: Row, number: int) -> Row:
    return msgspec.structs.replace(row, number=number)
