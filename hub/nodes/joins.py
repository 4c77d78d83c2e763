"""Join tokens: made by an administrator, good for a while and so many uses, kept as hashes only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import delete, insert, select, update

from hub.nodes.join_tables import JOIN_TOKENS, JOINED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from hub.nodes.database import Database

#: 192 bits.
_SECRET_BYTES: Final = 24
#: Makes tokens easy to find where they must not be (logs, repositories).
_PREFIX: Final = "ihj_"


class JoinRow(msgspec.Struct, frozen=True):
    """One token that is still good; times in ns."""

    id: int
    created_ns: int
    expires_ns: int
    uses_left: int
    node: str | None
    groups: tuple[str, ...]
    by: str


class Joins:
    """Tokens and those who joined with them, in the registry's database; every call may raise ``RegistryError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def make(
        self, *, now_ns: int, expires_ns: int, uses: int, node: str | None, groups: Sequence[str], by: str
    ) -> tuple[int, str]:
        """Make a token; its number and the token itself, which is kept nowhere."""
        token = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        row = {
            "sha256": _hash(token),
            "created_ns": now_ns,
            "expires_ns": expires_ns,
            "uses_left": uses,
            "node": node,
            "groups": sorted(set(groups)),
            "by": by,
        }

        def work(connection: Connection) -> int:
            connection.execute(delete(JOIN_TOKENS).where(JOIN_TOKENS.c.expires_ns < now_ns))
            made = connection.execute(insert(JOIN_TOKENS).values(row)).inserted_primary_key
            if made is None:
                raise AssertionError("one row was inserted")
            return int(made[0])

        return await self._database.run(work), token

    async def tokens(self, now_ns: int) -> list[JoinRow]:
        """The tokens that are good, oldest first."""
        good = select(JOIN_TOKENS).where(*_good(now_ns)).order_by(JOIN_TOKENS.c.id)
        return await self._database.run(lambda connection: [_row(row) for row in connection.execute(good).mappings()])

    async def end(self, number: int) -> bool:
        """End a token before its time; False when there is none of that number."""
        return await self._database.run(
            lambda connection: connection.execute(delete(JOIN_TOKENS).where(JOIN_TOKENS.c.id == number)).rowcount > 0
        )

    async def take(self, token: str, node: str, now_ns: int) -> JoinRow | None:
        """Use a token for ``node``; None when it is unknown, ended, used up or another node's.

        Two who use the last one at the same time do not both get it.
        """
        found = JOIN_TOKENS.c.sha256 == _hash(token)

        def work(connection: Connection) -> JoinRow | None:
            row = connection.execute(select(JOIN_TOKENS).where(found, *_good(now_ns))).mappings().one_or_none()
            if row is None or row["node"] not in {None, node}:
                return None
            used = update(JOIN_TOKENS).where(found, JOIN_TOKENS.c.uses_left > 0)
            if connection.execute(used.values(uses_left=JOIN_TOKENS.c.uses_left - 1)).rowcount != 1:
                return None
            return _row(row)

        return await self._database.run(work)

    async def give_back(self, number: int) -> None:
        """Undo a :meth:`take` that led to nothing."""
        back = update(JOIN_TOKENS).where(JOIN_TOKENS.c.id == number).values(uses_left=JOIN_TOKENS.c.uses_left + 1)
        await self._database.run(lambda connection: connection.execute(back))

    async def joined(self, node: str, token: int, address: str, now_ns: int) -> str:
        """Note that ``node``, which is registered, joined; the token with which it may leave."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        row = {
            "node": node,
            "leave_sha256": _hash(secret),
            "joined_ns": now_ns,
            "address": address[:64],
            "token": token,
        }

        def work(connection: Connection) -> None:
            connection.execute(delete(JOINED).where(JOINED.c.node == node))
            connection.execute(insert(JOINED).values(row))

        await self._database.run(work)
        return secret

    async def may_leave(self, node: str, secret: str) -> bool:
        """Whether this is what ``node`` was given when it joined."""
        kept = select(JOINED.c.leave_sha256).where(JOINED.c.node == node)
        found = await self._database.run(lambda connection: connection.execute(kept).scalar_one_or_none())
        return hmac.compare_digest(found or "", _hash(secret))


def _good(now_ns: int) -> tuple[Any, ...]:
    return JOIN_TOKENS.c.expires_ns > now_ns, JOIN_TOKENS.c.uses_left > 0


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _row(row: Mapping[Any, Any]) -> JoinRow:
    return JoinRow(
        id=row["id"],
        created_ns=row["created_ns"],
        expires_ns=row["expires_ns"],
        uses_left=row["uses_left"],
        node=row["node"],
        groups=tuple(row["groups"]),
        by=row["by"],
    )
