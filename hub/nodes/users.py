"""Users, their passwords (argon2id), opaque tokens (SHA-256 of random text) and the audit of logins."""

from __future__ import annotations

import asyncio
import enum
import hashlib
import secrets
from typing import TYPE_CHECKING, Final

import msgspec
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, insert, select, update

from hub.nodes.tables import LOGINS, TOKENS, USERS

if TYPE_CHECKING:
    from argon2 import PasswordHasher
    from sqlalchemy import Connection

    from hub.nodes.database import Database

#: Makes tokens easy to find where they must not be (logs, repositories).
_TOKEN_PREFIX: Final = "iothub_"  # noqa: S105  not a secret
_LOGINS_KEPT_NS: Final = 90 * 86_400 * 1_000_000_000
_LONGEST_NAME: Final = 64


class Role(enum.StrEnum):
    """What a user may do."""

    ADMIN = "admin"
    #: Reads everything, changes nothing.
    VIEWER = "viewer"


class Scope(enum.StrEnum):
    """What a token may do, at most what its user may."""

    FULL = "full"
    READ = "read"


class Caller(msgspec.Struct, frozen=True):
    """The holder of a valid token."""

    user: str
    role: Role
    scope: Scope
    #: ns; None: until it is revoked.
    expires_ns: int | None

    @property
    def may_change(self) -> bool:
        """Whether requests that change something are allowed."""
        return self.role is Role.ADMIN and self.scope is Scope.FULL


class Users:
    """Users and tokens in the registry's database; every call may raise ``RegistryError``."""

    def __init__(self, database: Database, hasher: PasswordHasher) -> None:
        self._database = database
        self._hasher = hasher
        #: Verified when the user does not exist, so that both answers take equally long.
        self._decoy = self._hasher.hash(secrets.token_urlsafe())
        #: One hash needs 64 MiB and a core for some 50 ms.
        self._one_at_a_time = asyncio.Semaphore(1)

    # -- users ------------------------------------------------------------------------------------------------------

    async def add(self, name: str, password: str | None, role: Role, now_ns: int) -> bool:
        """Add a user; False when there is one of that name. Without password it can hold tokens only."""
        encoded = await self._hash(password) if password is not None else None

        def work(connection: Connection) -> bool:
            if connection.execute(select(USERS.c.name).where(USERS.c.name == name)).first() is not None:
                return False
            row = {"name": name, "password_hash": encoded, "role": role, "created_ns": now_ns}
            connection.execute(insert(USERS).values(row))
            return True

        return await self._database.run(work)

    async def count(self) -> int:
        """How many users there are."""
        return await self._database.run(
            lambda connection: connection.execute(select(func.count()).select_from(USERS)).scalar_one()
        )

    async def set_password(self, name: str, password: str) -> bool:
        """Change a password and revoke all tokens of the user; False when there is no such user."""
        encoded = await self._hash(password)

        def work(connection: Connection) -> bool:
            connection.execute(delete(TOKENS).where(TOKENS.c.user == name))
            changed = connection.execute(update(USERS).where(USERS.c.name == name).values(password_hash=encoded))
            return changed.rowcount > 0

        return await self._database.run(work)

    async def check_password(self, name: str, password: str) -> Role | None:
        """Role of the user when the password is right, else None; as slow for unknown users as for known ones."""

        def work(connection: Connection) -> tuple[str | None, str] | None:
            found = connection.execute(select(USERS.c.password_hash, USERS.c.role).where(USERS.c.name == name)).first()
            return (found.password_hash, found.role) if found is not None else None

        encoded, role = await self._database.run(work) or (None, None)
        async with self._one_at_a_time:
            right = await asyncio.to_thread(self._verify, encoded or self._decoy, password)
        return Role(role) if right and encoded is not None and role is not None else None

    async def record_login(self, name: str, address: str, *, accepted: bool, now_ns: int) -> None:
        """Write one line of the audit."""
        row = {
            "at_ns": now_ns,
            "user": name[:_LONGEST_NAME].replace("\x00", ""),
            "address": address[:_LONGEST_NAME],
            "accepted": accepted,
        }
        await self._database.run(lambda connection: connection.execute(insert(LOGINS).values(row)).close())

    # -- tokens -----------------------------------------------------------------------------------------------------

    async def issue(self, user: str, scope: Scope, now_ns: int, expires_ns: int | None) -> str:
        """Make a token; only its hash is kept."""
        token = _TOKEN_PREFIX + secrets.token_urlsafe(32)
        row = {
            "sha256": _digest(token),
            "user": user,
            "created_ns": now_ns,
            "expires_ns": expires_ns,
            "scope": scope,
        }
        await self._database.run(lambda connection: connection.execute(insert(TOKENS).values(row)).close())
        return token

    async def holder(self, token: str, now_ns: int) -> Caller | None:
        """Who holds ``token``; None when it is unknown, revoked or expired."""
        chosen = (
            select(USERS.c.name, USERS.c.role, TOKENS.c.scope, TOKENS.c.expires_ns)
            .join(USERS, USERS.c.name == TOKENS.c.user)
            .where(TOKENS.c.sha256 == _digest(token))
        )
        row = await self._database.run(lambda connection: connection.execute(chosen).first())
        if row is None or (row.expires_ns is not None and row.expires_ns <= now_ns):
            return None
        return Caller(row.name, Role(row.role), Scope(row.scope), row.expires_ns)

    async def revoke(self, token: str) -> bool:
        """Make ``token`` invalid; False when it was unknown."""
        chosen = delete(TOKENS).where(TOKENS.c.sha256 == _digest(token))
        return await self._database.run(lambda connection: connection.execute(chosen).rowcount > 0)

    async def maintain(self, now_ns: int) -> None:
        """Drop expired tokens and logins older than 90 days. The maintenance of the registry calls it."""

        def work(connection: Connection) -> None:
            connection.execute(delete(TOKENS).where(TOKENS.c.expires_ns <= now_ns))
            connection.execute(delete(LOGINS).where(LOGINS.c.at_ns < now_ns - _LOGINS_KEPT_NS))

        await self._database.run(work)

    # -- private ----------------------------------------------------------------------------------------------------

    async def _hash(self, password: str) -> str:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._hasher.hash, password)

    def _verify(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
