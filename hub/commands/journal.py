"""The journal's chain: each row's digest covers the row and the digest before it. Pure; no database.

    digest(0) = SHA-256("iothub journal")
    digest(n) = SHA-256([digest(n-1), n, at_ns, kind, node, id, facts])     JSON without spaces, UTF-8; facts: a text

Changing, removing, inserting or reordering rows breaks every digest from there on. Whoever can write to the file can
also make all digests anew, or cut the end off: against that, keep the head (number and digest) somewhere else.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.commands.model import Entry

#: Digest before the first row.
START: Final = hashlib.sha256(b"iothub journal").hexdigest()


class Row(msgspec.Struct, frozen=True):
    """One row as it is kept."""

    number: int
    at_ns: int
    kind: str
    node: str
    id: str
    #: JSON text, as it was hashed.
    facts: str
    digest: str


class Head(msgspec.Struct, frozen=True):
    """Where the journal ends: the number of its last row (0: empty) and that row's digest."""

    number: int = 0
    digest: str = START


class Finding(msgspec.Struct, frozen=True):
    """What a check of the whole journal found."""

    rows: int
    head: Head
    #: First row that is not what it was, and why; None: all hold.
    broken_at: int | None = None
    why: str = ""


def chained(entries: Iterable[Entry], head: Head) -> list[Row]:
    """The rows of ``entries`` that follow ``head``."""
    rows = []
    number, digest = head.number, head.digest
    for entry in entries:
        number += 1
        facts = msgspec.json.encode(entry.facts, order="deterministic").decode()
        row = Row(number, entry.at_ns, entry.kind, entry.node, entry.id, facts, "")
        digest = digest_of(digest, row)
        rows.append(msgspec.structs.replace(row, digest=digest))
    return rows


def digest_of(before: str, row: Row) -> str:
    """Digest of a row, hexadecimal; what the row itself says of it is not looked at."""
    covered = msgspec.json.encode([before, row.number, row.at_ns, row.kind, row.node, row.id, row.facts])
    return hashlib.sha256(covered).hexdigest()


def verified(rows: Iterable[Row], *, head: Head | None = None, noted: Head | None = None) -> Finding:
    """Check rows in order, from the first of the journal on.

    Args:
        rows: all of them.
        head: the end as it is kept beside them; a journal that was cut off does not reach it.
        noted: a head that somebody kept elsewhere; that row must be there and have that digest.
    """
    at = Head()
    for row in rows:
        if row.number != at.number + 1:
            gone = f"row {at.number + 1} is missing" if row.number > at.number + 1 else "rows are out of order"
            return Finding(at.number, at, at.number + 1, f"{gone}: row {row.number} follows row {at.number}")
        digest = digest_of(at.digest, row)
        if digest != row.digest:
            return Finding(at.number, at, row.number, "its content does not match its digest and the row before")
        at = Head(row.number, digest)
        if noted is not None and noted.number == row.number and noted.digest != digest:
            return Finding(row.number - 1, at, row.number, "its digest is not the one that was noted for it")
    for wanted, what in ((head, "the journal ended"), (noted, "a head was noted")):
        if wanted is not None and wanted.number > at.number:
            return Finding(at.number, at, at.number + 1, f"rows are missing at the end: {what} at row {wanted.number}")
    if head is not None and head != at:
        return Finding(at.number, at, at.number, "the journal does not end as it was left")
    return Finding(at.number, at)
